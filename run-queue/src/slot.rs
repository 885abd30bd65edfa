//! A slot: room for one task. The one place where deliveries are settled.

use std::sync::Arc;
use std::time::{Duration, Instant};

use common::broker::{BrokerError, Intake, Outgoing, Publisher, Received};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use crate::handler::{Attempts, Failure, Handler, Work};
use crate::metrics::{Metrics, Settled};

/// What every slot of a role shares.
pub(crate) struct Slot<H> {
    pub(crate) handler: Arc<H>,
    pub(crate) publisher: Publisher,
    pub(crate) attempts: Attempts,
    pub(crate) metrics: Metrics,
    /// Ends with the session: what runs then has lost its delivery.
    pub(crate) epoch: CancellationToken,
    /// Take nothing new.
    pub(crate) stopping: CancellationToken,
}

impl<H: Handler> Slot<H> {
    /// Takes one delivery after the other until it is time to stop. An error is one of its own channel or of the publisher.
    pub(crate) async fn run(&self, mut intake: Intake) -> Result<(), BrokerError> {
        loop {
            let received = tokio::select! {
                biased;
                () = self.stopping.cancelled() => return intake.stop().await,
                () = self.epoch.cancelled() => return Ok(()),
                received = intake.next() => received?,
            };
            let cancelled = self.epoch.child_token();
            let dealing = self.deal_with(received, &cancelled);
            tokio::pin!(dealing);
            tokio::select! {
                dealt = &mut dealing => dealt?,
                error = intake.broken() => {
                    cancelled.cancel();
                    // It cannot be settled any more; what matters is that it ends.
                    let _ = dealing.await;
                    return Err(error);
                }
            }
        }
    }

    /// One delivery, from its hand-over to its settlement, in a span of its own.
    pub(crate) async fn deal_with(
        &self,
        received: Received,
        cancelled: &CancellationToken,
    ) -> Result<(), BrokerError> {
        let headers = received.headers();
        let span = tracing::info_span!(
            "delivery",
            queue = %received.queue(),
            task.id = %headers.id,
            delivery.id = headers.delivery.as_ref().map(tracing::field::display),
            trace.id = headers.trace.id(),
            attempt = headers.attempt.number(),
        );
        async {
            let begun = Instant::now();
            let _running = self.metrics.running();
            let done = self.attempt(&received, cancelled).await;
            let settled = self.settle(received, done).await?;
            let duration_ms = begun.elapsed().as_millis();
            tracing::info!(settled = settled.name(), duration_ms, "settled");
            self.metrics.settled(settled);
            Ok(())
        }
        .instrument(span)
        .await
    }

    /// Runs the handler in a task of its own, so that its panic is a failure of this message and of no other, and so that one
    /// that does not end when it is cancelled can be left.
    async fn attempt(
        &self,
        received: &Received,
        cancelled: &CancellationToken,
    ) -> Result<Vec<Outgoing>, Failure> {
        let work = Work {
            queue: received.queue(),
            body: received.body().clone(),
            headers: received.headers().clone(),
            cancelled: cancelled.clone(),
            stopping: self.stopping.clone(),
        };
        let handler = Arc::clone(&self.handler);
        let mut attempt = tokio::spawn(async move { handler.handle(work).await }.in_current_span());
        let ended = tokio::select! {
            ended = &mut attempt => ended,
            () = async { cancelled.cancelled().await; tokio::time::sleep(CLEANING).await } => {
                tracing::error!("a cancelled handler has not ended in time and is left");
                attempt.abort();
                attempt.await
            }
        };
        ended.unwrap_or_else(|error| match error.try_into_panic() {
            Ok(_) => Err(Failure::Retry("the handler panicked; its log says where".to_owned())),
            Err(_) => Err(Failure::Abandoned),
        })
    }

    async fn settle(
        &self,
        received: Received,
        done: Result<Vec<Outgoing>, Failure>,
    ) -> Result<Settled, BrokerError> {
        match done {
            Ok(outgoing) => {
                for message in &outgoing {
                    self.publisher.publish(message).await?;
                }
                received.ack().await?;
                Ok(Settled::Acked)
            }
            Err(Failure::Abandoned) => {
                received.requeue().await?;
                Ok(Settled::Requeued)
            }
            Err(Failure::Retry(reason)) => self.retry(received, &reason).await,
            Err(Failure::Later { reason, at_least }) => self.delay(received, &reason, at_least).await,
            Err(Failure::Fail(reason)) => self.bury(received, &reason).await,
        }
    }

    async fn retry(&self, received: Received, reason: &str) -> Result<Settled, BrokerError> {
        let attempt = received.headers().attempt;
        let Some(pause) = self.attempts.pause_after(attempt) else {
            return self.bury(received, &format!("out of attempts: {reason}")).await;
        };
        tracing::warn!(reason = short(reason), pause_s = pause.as_secs_f64(), "tried again later");
        received.retry(&self.publisher, attempt.next(), pause).await?;
        Ok(Settled::Retried)
    }

    async fn delay(
        &self,
        received: Received,
        reason: &str,
        at_least: Duration,
    ) -> Result<Settled, BrokerError> {
        let (attempt, pause) = (received.headers().attempt, at_least.max(self.attempts.first_pause));
        tracing::warn!(reason = short(reason), pause_s = pause.as_secs_f64(), "has to wait");
        received.retry(&self.publisher, attempt, pause).await?;
        Ok(Settled::Delayed)
    }

    async fn bury(&self, received: Received, reason: &str) -> Result<Settled, BrokerError> {
        tracing::error!(reason = short(reason), "goes to `dead`");
        received.bury(&self.publisher, reason).await?;
        Ok(Settled::Buried)
    }
}

/// How long a handler that was cancelled may take to clean up.
const CLEANING: Duration = Duration::from_secs(20);

/// What is fit for a log line.
fn short(reason: &str) -> &str {
    reason.char_indices().nth(1000).map_or(reason, |(end, _)| reason.get(..end).unwrap_or(reason))
}
