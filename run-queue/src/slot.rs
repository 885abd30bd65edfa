//! A slot: room for one task. It takes a message, has it run, and takes the next.

use std::sync::Arc;
use std::time::Duration;

use common::Chain;
use common::broker::{BrokerError, Claim, Headers, Intake, Received};
use common::queue::Queue;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use crate::claims::{self, Desk, Granted};
use crate::estate::Resumed;
use crate::handler::{Handler, Message, Remains, Work};
use crate::link::{self, Link, Linked};
use crate::run::{Held, Outcome, Run, Standing};
use crate::runs::Runs;
use crate::settle::Settler;

/// What every slot of a role shares.
pub(crate) struct Slot<H> {
    pub(crate) handler: Arc<H>,
    pub(crate) queues: Vec<Queue>,
    pub(crate) settler: Settler,
    pub(crate) runs: Runs,
    /// What is gone on with that another process has begun: each takes the room of a slot.
    pub(crate) resumed: Resumed,
    /// Take nothing new.
    pub(crate) stopping: CancellationToken,
    /// Leave to the next process what it can go on with.
    pub(crate) handover: CancellationToken,
    /// Leave what runs.
    pub(crate) leaving: CancellationToken,
}

/// Before a slot that lost its channel begins anew.
const PAUSE: Duration = Duration::from_secs(1);

/// Why a slot has left a session.
enum Left {
    /// It is to take nothing new.
    Stopping,
    /// The session is lost.
    Session,
    /// Its room is taken until this is cancelled.
    Taken(CancellationToken),
}

impl<H: Handler> Slot<H> {
    /// Works, session after session, until it is to stop and what it began has ended.
    pub(crate) async fn work(&self, mut link: Link) {
        loop {
            let up = self.stopping.run_until_cancelled(link::up(&mut link)).await;
            let Some(Some(linked)) = up else { return };
            match self.session(&linked).await {
                Ok(Left::Stopping) => return,
                Ok(Left::Session) => {}
                Ok(Left::Taken(over)) => over.cancelled().await,
                Err(_) if linked.ended().is_cancelled() => {}
                Err(error) => {
                    tracing::warn!(error = %Chain(&error), "a slot lost its channel and begins anew");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    /// Takes one delivery after the other. An error is one of the slot's own channel, and costs no other slot anything.
    async fn session(&self, linked: &Arc<Linked>) -> Result<Left, BrokerError> {
        if let Some(over) = self.resumed.take() {
            return Ok(Left::Taken(over));
        }
        // One that is only half open when it is to stop is closed by being dropped.
        let opened = self.stopping.run_until_cancelled(linked.session.intake(&self.queues)).await;
        let Some(mut intake) = opened.transpose()? else { return Ok(Left::Stopping) };
        loop {
            let received = tokio::select! {
                biased;
                () = self.stopping.cancelled() => return intake.stop().await.map(|()| Left::Stopping),
                () = linked.ended().cancelled() => return Ok(Left::Session),
                over = self.resumed.next() => return Ok(Left::Taken(over)),
                received = intake.next() => received?,
            };
            self.run(received, linked, &mut intake).await?;
        }
    }

    /// Has it run, and returns when there is room for another.
    async fn run(
        &self,
        received: Received,
        linked: &Arc<Linked>,
        intake: &mut Intake,
    ) -> Result<(), BrokerError> {
        let lost = linked.ended().child_token();
        let over = self.begin(received, linked, &lost);
        let error = tokio::select! {
            () = over.cancelled() => return Ok(()),
            error = self.broken(intake) => error,
        };
        lost.cancel();
        over.cancelled().await;
        Err(error)
    }

    /// Returns when what was delivered is lost. An intake that is to stop does so at once: else the broker would send the next message
    /// as soon as this one is settled.
    async fn broken(&self, intake: &mut Intake) -> BrokerError {
        tokio::select! {
            error = intake.broken() => return error,
            () = self.stopping.cancelled() => {}
        }
        match intake.stop().await {
            Ok(()) => intake.broken().await,
            Err(error) => error,
        }
    }

    /// Begins a run of a delivery. What is returned is cancelled when there is room for another.
    pub(crate) fn begin(
        &self,
        received: Received,
        linked: &Arc<Linked>,
        lost: &CancellationToken,
    ) -> CancellationToken {
        let (desk, granted) = Desk::open(Arc::clone(linked), &received, self.settler.attempts);
        let attempt = claims::number(&received);
        let (queue, headers) = (received.queue(), Headers { attempt, ..received.headers().clone() });
        let message = Message { queue, body: received.body().clone(), headers };
        let delivery = Some(Held { received, lost: lost.clone() });
        let claim = Standing::Unclaimed(Some(granted));
        let handler = Arc::clone(&self.handler);
        self.start(message, Some(desk), delivery, claim, linked, move |work| async move {
            handler.handle(work).await
        })
    }

    /// Goes on with what another process has left and was found at this moment, under the claim on it. Its message is on its way.
    pub(crate) fn resume(
        &self,
        left: H::Left,
        found: Instant,
        claim: Box<Claim>,
        linked: &Arc<Linked>,
    ) -> CancellationToken {
        let claim = Standing::Back(Granted { key: left.claim().clone(), claim }, found);
        let (message, handler) = (left.message(), Arc::clone(&self.handler));
        self.start(
            message,
            None,
            None,
            claim,
            linked,
            move |work| async move { handler.resume(work, left).await },
        )
    }

    /// In a span of its own.
    fn start<F: Future<Output = Outcome> + Send + 'static>(
        &self,
        message: Message,
        desk: Option<Desk>,
        delivery: Option<Held>,
        claim: Standing,
        linked: &Arc<Linked>,
        attempt: impl FnOnce(Work) -> F,
    ) -> CancellationToken {
        let Message { queue, body, headers } = message;
        let span = tracing::info_span!(
            "delivery",
            %queue,
            task.id = %headers.id,
            delivery.id = headers.delivery.as_ref().map(tracing::field::display),
            trace.id = headers.trace.id(),
            attempt = headers.attempt.number(),
        );
        let _entered = span.enter();
        let number = headers.attempt;
        let (cancelled, over) = (self.leaving.child_token(), CancellationToken::new());
        let id = headers.id.clone();
        let work = Work {
            queue,
            body,
            is_last: self.settler.attempts.pause_after(headers.attempt).is_none(),
            headers,
            cancelled: cancelled.clone(),
            desk,
            stopping: self.stopping.clone(),
            handover: self.handover.clone(),
        };
        // A task of its own: its panic is a failure of this message and of no other, and one that does not end can be left.
        let attempt = tokio::spawn(attempt(work).in_current_span());
        let (handler, task) = (Arc::clone(&self.handler), id.clone());
        self.runs.begin(
            |returns| Run {
                id,
                queue,
                number,
                attempt: Some(attempt),
                cancelled,
                linked: Arc::clone(linked),
                is_linked: true,
                delivery,
                claim,
                is_settled: false,
                kept: Vec::new(),
                returns,
                stopping: self.stopping.clone(),
                settler: self.settler.clone(),
                begun: Instant::now(),
                _counted: self.settler.metrics.running(),
                busy: Some(over.clone().drop_guard()),
            },
            move || async move { handler.settled(&task).await },
        );
        over
    }
}
