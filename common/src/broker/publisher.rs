//! Publishing: confirmed, persistent, `mandatory`.

use std::time::Duration;

use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::types::ShortString;
use lapin::{BasicProperties, Channel, Confirmation};
use tokio_util::sync::CancellationToken;

use super::error::within;
use super::{BrokerError, Outgoing};
use crate::clock::Clock;
use crate::queue::QueueNames;

/// How long a confirm may take where the caller has no closer limit of its own.
pub(super) const CONFIRM_LIMIT: Duration = Duration::from_secs(30);

/// Puts messages into queues. Clones share one channel; each message is confirmed by itself.
#[derive(Clone, Debug)]
pub struct Publisher {
    channel: Channel,
    queues: QueueNames,
    clock: Clock,
    app: &'static str,
    broken: CancellationToken,
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
        Ok(Self { channel, queues, clock, app, broken: CancellationToken::new() })
    }

    /// Returns when the broker has the message: stored durably, in a queue that exists.
    pub async fn publish(&self, message: &Outgoing) -> Result<(), BrokerError> {
        let properties = message.properties(self.clock, self.app);
        self.send(self.queues.of(message.queue), &message.body, properties).await
    }

    pub(super) async fn send(
        &self,
        queue: &str,
        body: &[u8],
        properties: BasicProperties,
    ) -> Result<(), BrokerError> {
        let sent = self.confirmed(queue, body, properties).await;
        if matches!(sent, Err(BrokerError::Refused { .. } | BrokerError::Silent { .. })) {
            self.broken.cancel();
        }
        sent
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

    /// Returns when the channel is known to be of no use any more.
    pub async fn broken(&self) {
        self.broken.cancelled().await;
    }
}
