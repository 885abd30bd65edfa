//! One connection, from its start to its first error.

use std::fmt;
use std::time::Duration;

use backon::{ConstantBuilder, Retryable};
use futures_util::{Stream, StreamExt};
use lapin::options::{BasicGetOptions, QueueDeclareOptions};
use lapin::protocol::{AMQPErrorKind, AMQPSoftError};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, Connection, ErrorKind, Event};
use tokio::sync::Mutex;

use super::error::within;
use super::{BrokerError, Intake, Publisher, Received};
use crate::queue::{Queue, QueueArguments, QueueNames};
use crate::{Chain, Clock};

pub(super) const LIMIT: Duration = Duration::from_secs(10);
/// How often, and with which pauses, a channel is opened anew whose number somebody else's refusal clings to.
const CHANNEL_TRIES: usize = 5;
const CHANNEL_PAUSE: Duration = Duration::from_millis(20);

/// A connection to the broker. It does not heal: at the first error it is given up, and [`super::Sessions`] makes another.
pub struct Session {
    connection: Connection,
    queues: QueueNames,
    clock: Clock,
    app: &'static str,
    // lapin's listeners steal from each other, so there is exactly one.
    events: Mutex<std::pin::Pin<Box<dyn Stream<Item = Event> + Send>>>,
}

/// What happens to a connection.
#[derive(Debug)]
pub(super) enum SessionEvent {
    /// The broker has an alarm, by this name, and takes no messages (`connection.blocked`). It reads nothing more of a connection that
    /// has published since.
    Blocked(String),
    /// It takes messages again.
    Unblocked,
    /// The connection has ended.
    Lost(BrokerError),
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("app", &self.app).finish_non_exhaustive()
    }
}

impl Session {
    pub(super) fn new(connection: Connection, queues: QueueNames, clock: Clock, app: &'static str) -> Self {
        let events = Mutex::new(Box::pin(connection.events_listener()) as std::pin::Pin<Box<_>>);
        Self { connection, queues, clock, app, events }
    }

    pub(super) async fn channel(&self) -> Result<Channel, BrokerError> {
        let open = || within(LIMIT, || "open a channel".to_owned(), self.connection.create_channel());
        let pauses = ConstantBuilder::new().with_delay(CHANNEL_PAUSE).with_max_times(CHANNEL_TRIES);
        // The client library takes the refusal that ended the last channel of the same number for its answer.
        open.retry(pauses).when(is_soft).await
    }

    pub(super) const fn queues(&self) -> &QueueNames {
        &self.queues
    }

    /// Makes sure that the queues exist, with their exact arguments. The one place that declares.
    pub async fn declare(&self, queues: &[Queue]) -> Result<(), BrokerError> {
        let channel = self.channel().await?;
        for queue in queues {
            let name = self.queues.of(*queue);
            let declare = channel.queue_declare(
                name.into(),
                QueueDeclareOptions::durable(),
                arguments(queue.arguments()),
            );
            within(LIMIT, || format!("declare the queue `{name}`"), declare).await?;
        }
        close(&channel).await;
        Ok(())
    }

    /// What puts messages into queues.
    pub async fn publisher(&self) -> Result<Publisher, BrokerError> {
        Publisher::open(self.channel().await?, self.queues.clone(), self.clock, self.app).await
    }

    /// What feeds one slot from these queues.
    pub async fn intake(&self, from: &[Queue]) -> Result<Intake, BrokerError> {
        Intake::open(self.channel().await?, from, self.queues.clone()).await
    }

    /// Takes one message without waiting.
    pub async fn take(&self, queue: Queue) -> Result<Option<Received>, BrokerError> {
        let channel = self.channel().await?;
        let name = self.queues.of(queue);
        let get = channel.basic_get(name.into(), BasicGetOptions::default());
        let got = within(LIMIT, || format!("take from `{name}`"), get).await?;
        Ok(got.map(|it| Received::new(it.delivery, queue, self.queues.clone(), channel)))
    }

    /// The next thing that happens to the connection.
    pub(super) async fn event(&self) -> SessionEvent {
        let mut events = self.events.lock().await;
        while let Some(event) = events.next().await {
            if let Some(event) = of_the_connection(event, self.is_connected()) {
                return event;
            }
        }
        SessionEvent::Lost(BrokerError::Lost("its events ended".to_owned()))
    }

    /// Whether the connection is up, as far as we know.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.connection.status().connected()
    }

    /// Returns when the connection has ended.
    pub async fn lost(&self) -> BrokerError {
        loop {
            if let SessionEvent::Lost(error) = self.event().await {
                return error;
            }
        }
    }

    /// Asks the broker for a sign of life. A connection can look healthy long after its peer is gone: heartbeats are the client
    /// library's own business, and a network may let one direction pass.
    pub async fn probe(&self) -> Result<(), BrokerError> {
        let channel = self.channel().await?;
        close(&channel).await;
        Ok(())
    }

    /// Ends in good order; deliveries that were not settled go back.
    pub async fn close(&self) {
        let closed = self.connection.close(200, "done".into());
        if let Err(error) = within(LIMIT, || "close the connection".to_owned(), closed).await {
            tracing::debug!(error = %Chain(&error), "the connection did not close in good order");
        }
    }
}

/// What an event of lapin's means for the connection, if anything. lapin says errors of channels here, too; a connection's
/// state changes before its error is said, so one that comes while the connection is up is a channel's, and whoever uses
/// that channel hears of it there.
fn of_the_connection(event: Event, connected: bool) -> Option<SessionEvent> {
    match event {
        Event::Error(error) if connected => {
            tracing::debug!(error = %Chain(&error), "a channel ended");
            None
        }
        Event::Error(error) => Some(SessionEvent::Lost(BrokerError::Lost(Chain(&error).to_string()))),
        Event::ConnectionBlocked(reason) => {
            tracing::warn!(broker.alarm = reason, "the broker takes no messages for now");
            Some(SessionEvent::Blocked(reason))
        }
        Event::ConnectionUnblocked => {
            tracing::info!("the broker takes messages again");
            Some(SessionEvent::Unblocked)
        }
        _ => None,
    }
}

pub(super) async fn close(channel: &Channel) {
    let closed = channel.close(200, "done".into());
    if let Err(error) = within(LIMIT, || "close a channel".to_owned(), closed).await {
        tracing::debug!(error = %Chain(&error), "a channel did not close in good order");
    }
}

pub(super) fn arguments(of: QueueArguments) -> FieldTable {
    let QueueArguments { max_priority, single_active_consumer } = of;
    let mut table = FieldTable::default();
    if let Some(max) = max_priority {
        table.insert("x-max-priority".into(), AMQPValue::LongInt(max.into()));
    }
    if single_active_consumer {
        table.insert("x-single-active-consumer".into(), AMQPValue::Boolean(true));
    }
    table
}

/// Whether it is an error that ends a channel, and no session.
fn is_soft(error: &BrokerError) -> bool {
    let BrokerError::Refused { source, .. } = error else { return false };
    matches!(source.kind(), ErrorKind::ProtocolError(it) if matches!(it.kind(), AMQPErrorKind::Soft(_)))
}

/// Whether the broker refused with this reason; that ended the channel, and nothing else.
pub(super) fn is_refusal(error: &BrokerError, reason: &AMQPSoftError) -> bool {
    let BrokerError::Refused { source, .. } = error else { return false };
    matches!(source.kind(), ErrorKind::ProtocolError(it) if *it.kind() == AMQPErrorKind::Soft(reason.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_the_connections_only_where_it_is_down() {
        let error = || Event::Error(ErrorKind::MissingHeartbeatError.into());
        assert!(of_the_connection(error(), true).is_none());
        assert!(matches!(of_the_connection(error(), false), Some(SessionEvent::Lost(_))));
        let blocked = Event::ConnectionBlocked("memory".to_owned());
        assert!(matches!(of_the_connection(blocked, true), Some(SessionEvent::Blocked(_))));
    }
}
