//! A slot: room for one task. The one place where deliveries are settled.

use std::sync::Arc;
use std::time::Instant;

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
    /// Takes one delivery after the other until it is time to stop, or something ends the session.
    pub(crate) async fn run(&self, mut intake: Intake) -> Result<(), BrokerError> {
        loop {
            let received = tokio::select! {
                biased;
                () = self.stopping.cancelled() => return intake.stop().await,
                () = self.epoch.cancelled() => return Ok(()),
                received = intake.next() => received?,
            };
            self.deal_with(received).await?;
        }
    }

    /// One delivery, from its hand-over to its settlement, in a span of its own.
    pub(crate) async fn deal_with(&self, received: Received) -> Result<(), BrokerError> {
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
            let done = self.attempt(&received).await;
            let settled = self.settle(received, done).await?;
            let duration_ms = begun.elapsed().as_millis();
            tracing::info!(settled = settled.name(), duration_ms, "settled");
            self.metrics.settled(settled);
            Ok(())
        }
        .instrument(span)
        .await
    }

    /// Runs the handler in a task of its own, so that its panic is a failure of this message and of no other.
    async fn attempt(&self, received: &Received) -> Result<Vec<Outgoing>, Failure> {
        let work = Work {
            queue: received.queue(),
            body: received.body().clone(),
            headers: received.headers().clone(),
            cancelled: self.epoch.clone(),
        };
        let handler = Arc::clone(&self.handler);
        let attempt = tokio::spawn(async move { handler.handle(work).await }.in_current_span());
        attempt.await.unwrap_or_else(|panic| Err(Failure::Retry(format!("the handler panicked: {panic}"))))
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
            Err(Failure::Fail(reason)) => self.bury(received, &reason).await,
        }
    }

    async fn retry(&self, received: Received, reason: &str) -> Result<Settled, BrokerError> {
        let Some(pause) = self.attempts.pause_after(received.headers().attempt) else {
            return self.bury(received, &format!("out of attempts: {reason}")).await;
        };
        tracing::warn!(reason, pause_s = pause.as_secs_f64(), "tried again later");
        received.retry(&self.publisher, pause).await?;
        Ok(Settled::Retried)
    }

    async fn bury(&self, received: Received, reason: &str) -> Result<Settled, BrokerError> {
        tracing::error!(reason, "goes to `dead`");
        received.bury(&self.publisher, reason).await?;
        Ok(Settled::Buried)
    }
}
