//! Settling: what becomes of a delivery once its handler has answered. The one place that does it.

use std::time::Duration;

use common::broker::{BrokerError, Publisher, Received};
use common::id::Attempt;

use crate::burials::Burials;
use crate::claims::Times;
use crate::handler::{Attempts, Failure};
use crate::link::Linked;
use crate::metrics::{Metrics, Settled};
use crate::run::Outcome;

/// Settles the deliveries of a role.
#[derive(Clone)]
pub(crate) struct Settler {
    pub(crate) attempts: Attempts,
    pub(crate) times: Times,
    pub(crate) metrics: Metrics,
    pub(crate) burials: Burials,
}

impl Settler {
    /// `attempt` is the one that has come to this, and `begun` whether it had its claim: one that did not get there is none. A message that
    /// is for another run is passed on as it is. After an error the delivery is the broker's again, and what was published
    /// before stays published.
    pub(crate) async fn settle(
        &self,
        received: Received,
        attempt: Attempt,
        begun: bool,
        outcome: &Outcome,
        linked: &Linked,
    ) -> Result<Settled, BrokerError> {
        let publisher = &linked.publisher;
        let last = received.headers().attempt;
        let received = match outcome {
            // It was the last one that was begun, and its worker is lost, too.
            Err(Failure::Spent) => received.count_as(last),
            _ if begun => received.count_as(attempt),
            _ => received,
        };
        let settled = match outcome {
            Ok(outgoing) => {
                for message in outgoing {
                    publisher.publish(message).await?;
                }
                received.ack().await?;
                Settled::Acked
            }
            Err(Failure::Abandoned) => {
                received.requeue().await?;
                Settled::Requeued
            }
            Err(Failure::HandedOver) => {
                received.requeue().await?;
                Settled::HandedOver
            }
            Err(Failure::Retry(reason)) => self.retry(received, reason, publisher).await?,
            Err(Failure::Later { reason, at_least }) => {
                self.delay(received, reason, *at_least, publisher).await?
            }
            Err(Failure::Fail(reason)) => self.bury(received, reason, publisher).await?,
            Err(Failure::Spent) => self.bury(received, Failure::SPENT, publisher).await?,
            Err(Failure::Elsewhere(key)) => {
                tracing::info!(claim = %key, "the same work is under way; its owner is told");
                received.forward(&linked.session, publisher, key).await?;
                Settled::Forwarded
            }
            Err(Failure::Left(generation)) => {
                let wait_s = self.times.takeover.as_secs_f64();
                tracing::warn!(wait_s, "somebody has begun this and is gone; given time to come back");
                received.await_owner(publisher, self.times.takeover, *generation).await?;
                Settled::Awaited
            }
        };
        self.metrics.settled(settled);
        Ok(settled)
    }

    async fn retry(
        &self,
        received: Received,
        reason: &str,
        publisher: &Publisher,
    ) -> Result<Settled, BrokerError> {
        let attempt = received.headers().attempt;
        let Some(pause) = self.attempts.pause_after(attempt) else {
            return self.bury(received, &format!("out of attempts: {reason}"), publisher).await;
        };
        tracing::warn!(reason = short(reason), pause_s = pause.as_secs_f64(), "tried again later");
        received.retry(publisher, pause, reason).await?;
        Ok(Settled::Retried)
    }

    async fn delay(
        &self,
        received: Received,
        reason: &str,
        at_least: Duration,
        publisher: &Publisher,
    ) -> Result<Settled, BrokerError> {
        let pause = at_least.max(self.attempts.first_pause);
        tracing::warn!(reason = short(reason), pause_s = pause.as_secs_f64(), "has to wait");
        received.delay(publisher, pause).await?;
        Ok(Settled::Delayed)
    }

    async fn bury(
        &self,
        received: Received,
        reason: &str,
        publisher: &Publisher,
    ) -> Result<Settled, BrokerError> {
        tracing::error!(reason = short(reason), "goes to `dead`");
        let tell = self.burials.of(&received, reason);
        received.bury(publisher, reason).await?;
        tell();
        Ok(Settled::Buried)
    }
}

/// What is fit for a log line.
fn short(reason: &str) -> &str {
    reason.char_indices().nth(1000).map_or(reason, |(end, _)| reason.get(..end).unwrap_or(reason))
}
