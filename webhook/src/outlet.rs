//! The way out: one supervised connection for all requests.

use std::time::Duration;

use common::Chain;
use common::broker::{BrokerError, Outgoing, Publisher, Session, Sessions};
use common::queue::Queue;
use common::service::Readiness;
use tokio::sync::watch;

/// Publishes through whatever session is up.
#[derive(Clone)]
pub(crate) struct Outlet {
    current: watch::Receiver<Option<Publisher>>,
}

/// The broker has not confirmed in time, so nothing may be promised.
#[derive(Debug, thiserror::Error)]
#[error("not confirmed by the broker within {} s", .limit.as_secs_f64())]
pub(crate) struct NotConfirmed {
    limit: Duration,
}

/// Keeps the outlet's connection.
pub(crate) struct Keeper {
    current: watch::Sender<Option<Publisher>>,
    readiness: Readiness,
}

pub(crate) fn outlet(readiness: Readiness) -> (Keeper, Outlet) {
    let (sender, current) = watch::channel(None);
    (Keeper { current: sender, readiness }, Outlet { current })
}

impl Outlet {
    /// Returns when the broker has the message. A session that breaks meanwhile is waited out, as far as the limit allows; the
    /// message may then be in the queue twice, which scanners do not mind.
    pub(crate) async fn publish(&self, message: &Outgoing, limit: Duration) -> Result<(), NotConfirmed> {
        let sent = tokio::time::timeout(limit, self.publish_at_last(message)).await;
        if sent == Ok(true) { Ok(()) } else { Err(NotConfirmed { limit }) }
    }

    /// False when the keeper is gone.
    async fn publish_at_last(&self, message: &Outgoing) -> bool {
        let mut current = self.current.clone();
        loop {
            let publisher = current.borrow_and_update().clone();
            if let Some(publisher) = publisher {
                match publisher.publish(message).await {
                    Ok(()) => return true,
                    Err(error) => tracing::warn!(error = %Chain(&error), "an event is not published yet"),
                }
            }
            if current.changed().await.is_err() {
                return false;
            }
        }
    }
}

impl Keeper {
    /// Keeps a publisher at hand until the sessions end.
    pub(crate) async fn keep(&self, mut sessions: Sessions) {
        while let Some(session) = sessions.next().await {
            let error = tokio::select! {
                error = self.serve(&session) => error,
                () = sessions.stopped() => {
                    self.put(None);
                    session.close().await;
                    return;
                }
            };
            self.put(None);
            sessions.ended(&error);
        }
    }

    async fn serve(&self, session: &Session) -> BrokerError {
        let publisher = match self.open(session).await {
            Ok(publisher) => publisher,
            Err(error) => return error,
        };
        self.put(Some(publisher.clone()));
        tokio::select! {
            error = session.lost() => error,
            error = publisher.broken() => error,
        }
    }

    async fn open(&self, session: &Session) -> Result<Publisher, BrokerError> {
        session.declare(&[Queue::Webhook]).await?;
        session.publisher().await
    }

    fn put(&self, publisher: Option<Publisher>) {
        self.readiness.set(publisher.is_some());
        self.current.send_replace(publisher);
    }
}
