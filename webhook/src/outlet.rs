//! The way out: one supervised connection for all requests.

use std::time::Duration;

use common::Chain;
use common::broker::{BrokerError, Outgoing, Publisher, Session, Sessions};
use common::queue::Queue;
use common::service::ReadyPart;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::body::Reserved;
use crate::metrics::{Link, LinkGauges};

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
    readiness: ReadyPart,
    gauges: LinkGauges,
}

pub(crate) fn outlet(readiness: ReadyPart, gauges: LinkGauges) -> (Keeper, Outlet) {
    let (sender, current) = watch::channel(None);
    (Keeper { current: sender, readiness, gauges }, Outlet { current })
}

impl Outlet {
    /// Returns when the broker has the message. A session that breaks meanwhile is waited out, as far as the limit allows; the
    /// message may then be in the queue twice. A scanner that reads the second one after it has posted what comes of the first
    /// does nothing more; two scanners at once may make two tasks, and nothing keeps both from being run yet.
    ///
    /// What was handed to the client library takes memory until it is confirmed or its session has ended, so `reserved` is
    /// held for that long, whatever the sender has been told: a broker that is silent fills the budget and nothing else.
    pub(crate) async fn publish(
        &self,
        message: Outgoing,
        reserved: Reserved,
        limit: Duration,
    ) -> Result<(), NotConfirmed> {
        let until = Instant::now() + limit;
        let outlet = self.clone();
        let publishing = tokio::spawn(async move {
            let published = outlet.publish_until(&message, until).await;
            drop(reserved);
            published
        });
        match tokio::time::timeout_at(until, publishing).await {
            Ok(Ok(true)) => Ok(()),
            _ => Err(NotConfirmed { limit }),
        }
    }

    /// Whether it was published. Begins nothing after `until`: then the sender has been told to try again.
    async fn publish_until(mut self, message: &Outgoing, until: Instant) -> bool {
        loop {
            let publisher = self.current.borrow_and_update().clone();
            if let Some(publisher) = publisher {
                match publisher.publish(message).await {
                    Ok(()) => return true,
                    Err(error) => tracing::warn!(error = %Chain(&error), "an event is not published yet"),
                }
            }
            match tokio::time::timeout_at(until, self.current.changed()).await {
                Ok(Ok(())) if Instant::now() < until => {}
                _ => return false,
            }
        }
    }
}

impl Keeper {
    /// Keeps a publisher at hand until the sessions end.
    pub(crate) async fn keep(&self, mut sessions: Sessions) {
        while let Some(session) = sessions.next(tokio::time::sleep).await {
            let error = tokio::select! {
                error = self.serve(&session) => error,
                () = sessions.stopped() => {
                    self.put(Link::Down, None);
                    session.close().await;
                    return;
                }
            };
            self.put(Link::Down, None);
            sessions.ended(&error);
        }
    }

    async fn serve(&self, session: &Session) -> BrokerError {
        let publisher = match self.open(session).await {
            Ok(publisher) => publisher,
            Err(error) => return error,
        };
        let put = |link| self.put(link, (link == Link::Open).then(|| publisher.clone()));
        put(Link::Open);
        session
            .watch(&publisher, |is_blocked| put(if is_blocked { Link::Blocked } else { Link::Open }))
            .await
            .error
    }

    async fn open(&self, session: &Session) -> Result<Publisher, BrokerError> {
        session.declare(&[Queue::Webhook]).await?;
        session.publisher().await
    }

    fn put(&self, link: Link, publisher: Option<Publisher>) {
        self.gauges.set(link);
        self.readiness.set(link.ready());
        self.current.send_replace(publisher);
    }
}
