//! Publishing: confirmed, persistent, `mandatory`.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions};
use lapin::types::{FieldTable, ShortString};
use lapin::{BasicProperties, Channel, Confirmation};
use tokio::sync::watch;

use super::error::within;
use super::{BrokerError, Outgoing, waiting};
use crate::queue::QueueNames;
use crate::{Chain, Clock};

/// How long a confirm may take where the caller has no closer limit of its own.
pub(super) const CONFIRM_LIMIT: Duration = Duration::from_secs(30);

/// Puts messages into queues. Clones share one channel; each message is confirmed by itself.
#[derive(Clone, Debug)]
pub struct Publisher {
    channel: Channel,
    queues: QueueNames,
    clock: Clock,
    app: &'static str,
    broken: Arc<watch::Sender<Option<String>>>,
}

impl Publisher {
    pub(super) async fn open(
        channel: Channel,
        queues: QueueNames,
        clock: Clock,
        app: &'static str,
    ) -> Result<Self, BrokerError> {
        let select = channel.confirm_select(ConfirmSelectOptions::default());
        within(CONFIRM_LIMIT, || "turn publisher confirms on".to_owned(), select).await?;
        Ok(Self { channel, queues, clock, app, broken: Arc::default() })
    }

    /// Returns when the broker has the message: stored durably, in a queue that exists.
    pub async fn publish(&self, message: &Outgoing) -> Result<(), BrokerError> {
        let properties = message.properties(self.clock, self.app);
        self.send(self.queues.of(message.queue), &message.body, properties).await
    }

    /// Publishes what is to come into its queue after a pause. It waits in a queue of its own, without a consumer, whose messages
    /// expire into the queue that they are for; the broker deletes it some time after the last one has left. The pause is rounded
    /// up to one that has a room (see [`super::waiting_rooms`]): 147 ms, then twice the one before, to an hour and twenty minutes.
    pub async fn publish_later(&self, message: &Outgoing, pause: Duration) -> Result<(), BrokerError> {
        let properties = message.properties(self.clock, self.app);
        self.send_later(self.queues.of(message.queue), &message.body, properties, pause).await
    }

    pub(super) async fn send_later(
        &self,
        queue: &str,
        body: &[u8],
        properties: BasicProperties,
        pause: Duration,
    ) -> Result<(), BrokerError> {
        let millis = waiting::step(pause);
        let waiting = waiting::room(queue, millis);
        self.declare_and_send(&waiting, waiting::arguments(queue, millis), body, properties).await
    }

    /// Into a durable queue that is made with these arguments where it is not there.
    pub(super) async fn declare_and_send(
        &self,
        queue: &str,
        arguments: FieldTable,
        body: &[u8],
        properties: BasicProperties,
    ) -> Result<(), BrokerError> {
        let declare = self.channel.queue_declare(queue.into(), QueueDeclareOptions::durable(), arguments);
        within(CONFIRM_LIMIT, || format!("declare the queue `{queue}`"), declare).await?;
        self.send(queue, body, properties).await
    }

    pub(super) async fn send(
        &self,
        queue: &str,
        body: &[u8],
        properties: BasicProperties,
    ) -> Result<(), BrokerError> {
        let sent = self.confirmed(queue, body, properties).await;
        if let Err(error) = &sent {
            // The first error is kept: those that follow come of it.
            self.broken
                .send_if_modified(|it| it.is_none().then(|| *it = Some(Chain(error).to_string())).is_some());
        }
        sent
    }

    /// The same for a queue that may have gone meanwhile, which is no fault of the session.
    pub(super) async fn send_to_whoever_is_there(
        &self,
        queue: &str,
        body: &[u8],
        properties: BasicProperties,
    ) -> Result<(), BrokerError> {
        self.confirmed(queue, body, properties).await
    }

    /// The time, for what is written down about messages.
    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    async fn confirmed(
        &self,
        queue: &str,
        body: &[u8],
        properties: BasicProperties,
    ) -> Result<(), BrokerError> {
        let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
        let exchange = async {
            let key = ShortString::from(queue);
            self.channel.basic_publish("".into(), key, options, body, properties).await?.await
        };
        match within(CONFIRM_LIMIT, || format!("publish to `{queue}`"), exchange).await? {
            Confirmation::Ack(None) => Ok(()),
            Confirmation::Ack(Some(_)) => Err(BrokerError::Unroutable(queue.to_owned())),
            Confirmation::Nack(_) | Confirmation::NotRequested => Err(BrokerError::Nacked(queue.to_owned())),
        }
    }

    /// Whether a message could not be published: see [`Publisher::broken`].
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.broken.borrow().is_some()
    }

    /// Returns when a message could not be published: the session is of no use any more. (Even where only a queue was missing,
    /// as the next session declares it.)
    pub async fn broken(&self) -> BrokerError {
        let mut broken = self.broken.subscribe();
        let reason = broken.wait_for(Option::is_some).await.ok().and_then(|it| it.clone());
        BrokerError::Lost(reason.unwrap_or_default())
    }
}
