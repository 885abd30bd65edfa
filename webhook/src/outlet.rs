//! The way out: one supervised connection for all requests.

use std::time::Duration;

use common::Chain;
use common::broker::{BrokerError, Outgoing, Publisher, Session, SessionEvent, Sessions};
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
        while let Some(session) = sessions.next().await {
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
        follow(|| session.event(), || publisher.broken(), put).await
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

/// Follows a session to its end. While the broker has an alarm only the session's own events count: a publish that the alarm
/// keeps waiting breaks the publisher, but a new session would be no better off, and the old connection could not even be
/// closed, as nothing is written to it. The publisher's end counts again when the alarm is over.
async fn follow(
    event: impl AsyncFn() -> SessionEvent,
    broken: impl AsyncFn() -> BrokerError,
    put: impl Fn(Link),
) -> BrokerError {
    let mut link = Link::Open;
    put(link);
    loop {
        let event = tokio::select! {
            biased;
            error = broken(), if link == Link::Open => return error,
            event = event() => event,
        };
        link = match event {
            SessionEvent::Blocked(_) => Link::Blocked,
            SessionEvent::Unblocked => Link::Open,
            SessionEvent::Lost(error) => return error,
        };
        put(link);
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use tokio::sync::{Mutex, mpsc};

    use super::*;

    fn lost(why: &str) -> BrokerError {
        BrokerError::Lost(why.to_owned())
    }

    /// What comes of these events where the publisher breaks during the first alarm.
    async fn follow_an_alarm(events: Vec<SessionEvent>) -> (String, Vec<Link>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        let (receiver, (breaks, broken)) = (Mutex::new(receiver), watch::channel(false));
        let links = RefCell::new(Vec::new());
        let put = |link| {
            links.borrow_mut().push(link);
            if link == Link::Blocked {
                breaks.send_replace(true);
            }
        };
        let event = async || receiver.lock().await.recv().await.unwrap();
        let broken = async || {
            broken.clone().wait_for(|it| *it).await.unwrap();
            lost("the publisher broke")
        };
        let tell = async {
            for event in events {
                tokio::time::sleep(Duration::from_mins(1)).await;
                sender.send(event).unwrap();
            }
            std::future::pending::<()>().await;
        };
        let error = tokio::select! {
            error = follow(event, broken, put) => error,
            () = tell => unreachable!("it never ends"),
        };
        (error.to_string(), links.into_inner())
    }

    #[tokio::test(start_paused = true)]
    async fn a_publisher_that_breaks_during_an_alarm_ends_the_session_after_it() {
        let (error, links) =
            follow_an_alarm(vec![SessionEvent::Blocked(String::new()), SessionEvent::Unblocked]).await;
        assert!(error.ends_with("the publisher broke"), "{error}");
        assert_eq!(links, [Link::Open, Link::Blocked, Link::Open]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_is_lost_during_an_alarm_ends_the_session_at_once() {
        let events = vec![SessionEvent::Blocked(String::new()), SessionEvent::Lost(lost("the broker ended"))];
        let (error, links) = follow_an_alarm(events).await;
        assert!(error.ends_with("the broker ended"), "{error}");
        assert_eq!(links, [Link::Open, Link::Blocked]);
    }
}
