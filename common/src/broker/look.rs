//! Looking into queues, which changes nothing but the redelivered flag of what was seen.

use std::ops::ControlFlow;

use lapin::Channel;
use lapin::message::Delivery;
use lapin::options::{BasicGetOptions, QueueDeclareOptions};
use lapin::protocol::AMQPSoftError;
use lapin::types::FieldTable;

use super::error::within;
use super::session::{LIMIT, close, is_refusal};
use super::{BrokerError, Headers, Received, Session};
use crate::queue::Queue;

/// How much of a queue was seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Peeked {
    /// Messages for which `see` wanted to go on.
    pub seen: u32,
    /// Messages that were there besides.
    pub more: u32,
}

impl Session {
    /// How many messages wait in a queue (those that are out with a worker do not count); an error where it does not exist.
    pub async fn depth(&self, queue: Queue) -> Result<u32, BrokerError> {
        self.depth_of(self.queues().of(queue)).await
    }

    /// The same by the queue's name on the broker.
    pub async fn depth_of(&self, name: &str) -> Result<u32, BrokerError> {
        self.look_at(name).await.map(|it| it.message_count())
    }

    /// A passive look, which needs no permission.
    pub(super) async fn look_at(&self, name: &str) -> Result<lapin::Queue, BrokerError> {
        let channel = self.channel().await?;
        let options = QueueDeclareOptions { passive: true, durable: true, ..QueueDeclareOptions::default() };
        let declare = channel.queue_declare(name.into(), options, FieldTable::default());
        let found = within(LIMIT, || format!("look at the queue `{name}`"), declare).await;
        match found {
            Ok(state) => {
                close(&channel).await;
                Ok(state)
            }
            Err(error) => Err(missing(error, name)),
        }
    }

    /// Shows the messages of a queue in their order, at most those that are there now, and puts each back to where it was by
    /// closing the channel that holds them. They come back with the redelivered flag set; nothing else changes.
    pub async fn peek(&self, queue: Queue, mut see: impl FnMut(&Received)) -> Result<u32, BrokerError> {
        let see = |received: &Received| {
            see(received);
            ControlFlow::Continue(())
        };
        self.peek_while(queue, see).await.map(|it| it.seen)
    }

    /// The same until `see` has seen enough.
    pub async fn peek_while(
        &self,
        queue: Queue,
        mut see: impl FnMut(&Received) -> ControlFlow<()>,
    ) -> Result<Peeked, BrokerError> {
        let show = |delivery: Delivery, channel: &Channel| {
            see(&Received::new(delivery, queue, self.queues().clone(), channel.clone()))
        };
        self.look_into(self.queues().of(queue), show).await
    }

    /// The same for a queue that is none of the fleet's, such as one of [`super::waiting_rooms`], of which most do not exist at a
    /// time: one that is not there is empty. Keeps no body: what `see` needs of it, it takes. What would expire while it is
    /// looked at does so when it is back.
    pub async fn peek_named(
        &self,
        name: &str,
        mut see: impl FnMut(&Headers, &[u8]),
    ) -> Result<u32, BrokerError> {
        let show = |delivery: Delivery, _: &Channel| {
            see(&Headers::read(&delivery.properties, &delivery.data), &delivery.data);
            ControlFlow::Continue(())
        };
        match self.look_into(name, show).await {
            Err(BrokerError::Missing(_)) => Ok(0),
            looked => looked.map(|it| it.seen),
        }
    }

    async fn look_into(
        &self,
        name: &str,
        mut show: impl FnMut(Delivery, &Channel) -> ControlFlow<()>,
    ) -> Result<Peeked, BrokerError> {
        let mut peeked = Peeked { seen: 0, more: self.depth_of(name).await? };
        if peeked.more == 0 {
            return Ok(peeked);
        }
        let channel = self.channel().await?;
        while peeked.more > 0 {
            let get = channel.basic_get(name.into(), BasicGetOptions::default());
            let got = within(LIMIT, || format!("look into `{name}`"), get).await;
            let Some(got) = got.map_err(|it| missing(it, name))? else {
                // Others took what was there.
                peeked.more = 0;
                break;
            };
            if show(got.delivery, &channel).is_break() {
                break;
            }
            peeked = Peeked { seen: peeked.seen + 1, more: peeked.more - 1 };
        }
        let closed = channel.close(200, "seen".into());
        within(LIMIT, || "put back what was looked at".to_owned(), closed).await?;
        Ok(peeked)
    }
}

/// An error by its better name, if the queue is not there.
fn missing(error: BrokerError, name: &str) -> BrokerError {
    if is_refusal(&error, &AMQPSoftError::NOTFOUND) { BrokerError::Missing(name.to_owned()) } else { error }
}
