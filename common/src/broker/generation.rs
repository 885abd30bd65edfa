//! Generations of a claim: how often it was taken after it had been left, by its owner who came back or by whoever took the work over.
//!
//! A message that waits for an owner carries the generation that it waits for. Where that is the claim's own when the wait is over,
//! nobody has had the claim since, and the work may be taken over, however often the message was handed over meanwhile. Where it
//! is not, somebody came and may have been lost a moment ago: they have their time to come back, too.
//!
//! A generation is the number of messages in the durable queue `generation.<digest>`, which only grows. It outlives the claim, so that
//! one which is made anew is not taken for the one that was left; the broker deletes it when nobody has looked at it for some hours.

use std::time::Duration;

use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable};

use super::{BrokerError, ClaimKey, Session};

/// Longer than a message waits for an owner and then for a slot, and not shorter than a claim is remembered.
const KEPT: Duration = Duration::from_hours(6);

/// See the module. That of a claim which was never left is 0.
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
    pub(super) async fn generation(&self, key: &ClaimKey) -> Result<Generation, BrokerError> {
        match self.depth_of(&name(key)).await {
            Err(BrokerError::Missing(_)) => Ok(Generation::default()),
            depth => depth.map(Generation),
        }
    }

    /// Begins the next generation. When this returns, it is durable: no wait for one before is an excuse any more.
    pub(super) async fn begin_generation(&self, key: &ClaimKey) -> Result<(), BrokerError> {
        let persistent = BasicProperties::default().with_delivery_mode(2);
        self.publisher().await?.send_making(&name(key), arguments(), &[], persistent).await
    }
}

fn name(key: &ClaimKey) -> String {
    format!("generation.{key}")
}

pub(super) fn arguments() -> FieldTable {
    let kept = AMQPValue::LongLongInt(i64::try_from(KEPT.as_millis()).unwrap_or(i64::MAX));
    let mut table = FieldTable::default();
    table.insert("x-expires".into(), kept);
    table
}
