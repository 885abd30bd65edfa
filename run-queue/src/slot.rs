//! A slot: room for one task. It takes a message, has it run, and takes the next.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use common::Chain;
use common::broker::{BrokerError, Claim, Intake, Received};
use common::queue::Queue;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use crate::claims::{Desk, Granted};
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
    /// What was gone on with at the start: each takes the room of a slot, and is cancelled when it has ended.
    pub(crate) resumed: Mutex<Vec<CancellationToken>>,
    /// Take nothing new.
    pub(crate) stopping: CancellationToken,
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
}

impl<H: Handler> Slot<H> {
    /// Works, session after session, until it is to stop and what it began has ended.
    pub(crate) async fn work(&self, mut link: Link) {
        loop {
            let up = self.stopping.run_until_cancelled(link::up(&mut link)).await;
            let Some(Some(linked)) = up else { return };
            if let Some(over) = self.taken() {
                over.cancelled().await;
                continue;
            }
            match self.session(&linked).await {
                Ok(Left::Stopping) => return,
                Ok(Left::Session) => {}
                Err(_) if linked.ended().is_cancelled() => {}
                Err(error) => {
                    tracing::warn!(error = %Chain(&error), "a slot lost its channel and begins anew");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    /// Room that is taken already, by what another process has left.
    fn taken(&self) -> Option<CancellationToken> {
        self.resumed.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    /// Takes one delivery after the other. An error is one of the slot's own channel, and costs no other slot anything.
    async fn session(&self, linked: &Arc<Linked>) -> Result<Left, BrokerError> {
        let mut intake = linked.session.intake(&self.queues).await?;
        loop {
            let received = tokio::select! {
                biased;
                () = self.stopping.cancelled() => return intake.stop().await.map(|()| Left::Stopping),
                () = linked.ended().cancelled() => return Ok(Left::Session),
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
        tokio::select! {
            () = over.cancelled() => Ok(()),
            error = intake.broken() => {
                lost.cancel();
                over.cancelled().await;
                Err(error)
            }
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
        let (queue, headers) = (received.queue(), received.headers().clone());
        let message = Message { queue, body: received.body().clone(), headers };
        let delivery = Some(Held { received, lost: lost.clone() });
        let claim = Standing::Unclaimed(Some(granted));
        let handler = Arc::clone(&self.handler);
        self.start(message, Some(desk), delivery, claim, linked, move |work| async move {
            handler.handle(work).await
        })
    }

    /// Goes on with what another process has left, under the claim on it. Its message is on its way.
    pub(crate) fn resume(&self, left: H::Left, claim: Box<Claim>, linked: &Arc<Linked>) -> CancellationToken {
        let claim = Standing::Ours(Granted { key: left.claim().clone(), claim });
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
        };
        // A task of its own: its panic is a failure of this message and of no other, and one that does not end can be left.
        let attempt = tokio::spawn(attempt(work).in_current_span());
        let (handler, task) = (Arc::clone(&self.handler), id.clone());
        self.runs.begin(
            |returns| Run {
                id,
                queue,
                attempt: Some(attempt),
                cancelled,
                linked: Arc::clone(linked),
                is_linked: true,
                delivery,
                claim,
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
