//! Generations of a claim: how often one that was left has been taken, by an owner who came back or by who took the work over, or was
//! forgotten.
//!
//! A message that waits for an owner carries the generation that it waits for. Where that is the claim's own when the wait is over,
//! nobody has had the claim since, and the work may be taken over, however often the message was handed over meanwhile. Where it
//! is not, somebody came and may have been lost a moment ago: they have their time to come back, too.
//!
//! A generation is the number of messages in the durable queue `generation.<digest>`, which only grows. It outlives the claim, so that
//! one which is made anew does not begin at 0 again; the broker deletes it when nobody has asked for it for a day.

use std::time::Duration;

use lapin::BasicProperties;
use lapin::options::QueueDeclareOptions;
use lapin::types::FieldTable;

use super::claim::millis;
use super::error::within;
use super::session::{LIMIT, close};
use super::{BrokerError, ClaimKey, Session};

/// Longer than messages wait for anything that is expected to come back.
const KEPT: Duration = Duration::from_hours(24);

/// See the module. That of a claim of which nothing is known is 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Generation(u32);

impl Generation {
    /// From a message header; none for what is no such number.
    pub(super) fn from_wire(number: i64) -> Option<Self> {
        number.try_into().ok().map(Self)
    }

    pub(super) fn number(self) -> i64 {
        self.0.into()
    }
}

impl Session {
    /// The generation of a claim. Where it matters whether somebody has the claim, it is to be asked for before that is.
    ///
    /// Its queue is made here: one that is younger than a second may be lost with its broker, and this one is as old as the wait by the
    /// time that the next generation counts.
    pub(super) async fn generation(&self, key: &ClaimKey) -> Result<Generation, BrokerError> {
        let (queue, channel) = (name(key), self.channel().await?);
        let declare =
            channel.queue_declare(queue.as_str().into(), QueueDeclareOptions::durable(), arguments());
        let state = within(LIMIT, || format!("look at `{queue}`"), declare).await?;
        close(&channel).await;
        Ok(Generation(state.message_count()))
    }

    /// Begins the next generation of a claim: for who holds it and has come back to it. When this returns, it is durable, and whoever waits
    /// for one before waits anew. An alarm of the broker keeps it from returning: then it is an error, after half a minute.
    pub async fn begin_generation(&self, key: &ClaimKey) -> Result<(), BrokerError> {
        let persistent = BasicProperties::default().with_delivery_mode(2);
        self.publisher().await?.declare_and_send(&name(key), arguments(), &[], persistent).await
    }
}

fn name(key: &ClaimKey) -> String {
    format!("generation.{key}")
}

pub(super) fn arguments() -> FieldTable {
    let mut table = FieldTable::default();
    table.insert("x-expires".into(), millis(KEPT));
    table
}
