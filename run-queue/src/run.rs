//! One run of a message's work: an attempt of the handler, the delivery that it will be settled on, and the claim that keeps others from
//! the same work.
//!
//! A run outlives its session. While the broker is away the attempt goes on, for as long as nobody else can have begun the same.
//! When the broker is back, the run takes its claim again and waits there for its message: by then that is with another worker,
//! who forwards it. What has no claim ends with its delivery, since the broker gives that to others at once.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use common::Chain;
use common::broker::{BrokerError, Claim, ClaimKey, Claimed, Outgoing, Received, Session, Take};
use common::id::{Attempt, TaskId};
use common::queue::Queue;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::claims::Granted;
use crate::handler::Failure;
use crate::link::Linked;
use crate::metrics::{Running, Settled};
use crate::runs::Return;
use crate::settle::Settler;

/// What the handler came to.
pub(crate) type Outcome = Result<Vec<Outgoing>, Failure>;

/// How long work that is done waits for its message. It is there in seconds, or in the time that an owner is given to come back,
/// unless the broker has lost its data.
const MESSAGE_LIMIT: Duration = Duration::from_mins(10);
/// How long a handler that was cancelled may take to clean up.
const CLEANING: Duration = Duration::from_secs(20);
/// How often a claim is asked for that somebody has while nobody else can: the broker does not know yet that our last session is gone.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// See the module.
pub(crate) struct Run {
    pub(crate) id: TaskId,
    pub(crate) queue: Queue,
    /// Which attempt this is.
    pub(crate) number: Attempt,
    /// None when it has ended.
    pub(crate) attempt: Option<JoinHandle<Outcome>>,
    /// Ends the attempt.
    pub(crate) cancelled: CancellationToken,
    pub(crate) linked: Arc<Linked>,
    /// Whether that session is there, as far as this run has heard.
    pub(crate) is_linked: bool,
    pub(crate) delivery: Option<Held>,
    pub(crate) claim: Standing,
    /// Whoever was brought the message while the broker was away has seen that the work is done, and settled it.
    pub(crate) is_settled: bool,
    /// Messages for the same work, which go back to their queue when it is done: then it shows whether anything is left to do.
    pub(crate) kept: Vec<Received>,
    /// Each new session comes here before anything is consumed in it.
    pub(crate) returns: mpsc::Receiver<Return>,
    /// Nothing new is begun, so nobody here brings a message that is on its way.
    pub(crate) stopping: CancellationToken,
    pub(crate) settler: Settler,
    pub(crate) begun: Instant,
    pub(crate) _counted: Running,
    /// Dropped when the slot may begin another.
    pub(crate) busy: Option<DropGuard>,
}

/// A delivery that a run holds.
pub(crate) struct Held {
    pub(crate) received: Received,
    /// Cancelled when it cannot be settled any more.
    pub(crate) lost: CancellationToken,
}

/// How the claim stands.
pub(crate) enum Standing {
    /// Not asked for. If it is, it comes here; none when the handler cannot ask any more.
    Unclaimed(Option<oneshot::Receiver<Granted>>),
    /// Held.
    Ours(Granted),
    /// Held again. Until a generation is begun, nobody can know later that we were back: if the claim is lost before, our time counts from
    /// when the broker was last heard before we were away, at this moment.
    Back(Granted, Instant),
    /// The broker is away. It was last heard at this moment.
    Away(ClaimKey, Instant),
    /// Lost, given up, or not needed.
    None,
}

/// What happens to a run.
enum Change {
    Ended(Outcome),
    Overdue,
    Granted(Granted),
    /// The generation is begun that says that we are back.
    Known,
    Mail(Box<Received>),
    ClaimBroken(BrokerError),
    DeliveryLost,
    SessionLost,
    Returned(Return),
    AskAgain,
    TooLate,
}

/// Whose the message is in the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Message {
    /// It is settled.
    Settled,
    /// It was lost or handed on, and whoever gets it deals with it.
    Others,
}

impl Run {
    /// To its end: its message is settled, or another's to settle.
    pub(crate) async fn finish(mut self) -> Message {
        let outcome = self.attend().await;
        let message = self.settle(&outcome).await;
        if message == Message::Settled && !matches!(outcome, Err(Failure::Abandoned)) {
            self.settle_copies().await;
        }
        // Else the claim stays, with nobody holding it: who gets the message sees by it that the work was begun.
        if message == Message::Settled {
            self.release().await;
        }
        message
    }

    /// Waits for the attempt, whatever the connection does meanwhile.
    async fn attend(&mut self) -> Outcome {
        loop {
            match self.next().await {
                Change::Ended(outcome) => {
                    self.take_the_last_grant();
                    return outcome;
                }
                Change::Overdue => {
                    tracing::error!("a cancelled handler has not ended in time and is left");
                    if let Some(attempt) = self.attempt.take() {
                        attempt.abort();
                    }
                    return Err(Failure::Abandoned);
                }
                change => self.take_in(change).await,
            }
        }
    }

    /// A handler that ends right after it got its claim is heard of before the claim is.
    fn take_the_last_grant(&mut self) {
        if let Standing::Unclaimed(Some(granted)) = &mut self.claim
            && let Ok(granted) = granted.try_recv()
        {
            self.claim = Standing::Ours(granted);
        }
    }

    /// Settles the message on the delivery that there is, or on one that comes later.
    async fn settle(&mut self, outcome: &Outcome) -> Message {
        let limit = Instant::now() + MESSAGE_LIMIT;
        loop {
            if let Some(held) = self.delivery.take() {
                // What was left may be begun by another at once.
                if matches!(outcome, Err(Failure::Abandoned)) {
                    self.release().await;
                }
                let begun = !matches!(self.claim, Standing::Unclaimed(_));
                match self.settler.settle(held.received, self.number, begun, outcome, &self.linked).await {
                    Ok(settled) => {
                        let duration_ms = self.begun.elapsed().as_millis();
                        tracing::info!(settled = settled.name(), duration_ms, "settled");
                        return match settled {
                            Settled::Forwarded | Settled::Awaited | Settled::HandedOver => Message::Others,
                            _ => Message::Settled,
                        };
                    }
                    Err(error) => tracing::warn!(error = %Chain(&error), "not settled on this delivery"),
                }
            }
            if matches!(self.claim, Standing::Unclaimed(_) | Standing::None) {
                return Message::Others;
            }
            self.busy = None;
            let stopping = self.stopping.clone();
            let change = tokio::select! {
                change = self.next() => change,
                () = sleep_until(limit) => return Message::Others,
                () = stopping.cancelled() => return Message::Others,
            };
            self.take_in(change).await;
            if self.is_settled && outcome.is_ok() {
                tracing::info!("another worker has settled this");
                return Message::Settled;
            }
        }
    }

    async fn next(&mut self) -> Change {
        let Self { attempt, cancelled, linked, is_linked, delivery, claim, returns, settler, .. } = self;
        let session = is_linked.then_some(&linked.session);
        tokio::select! {
            outcome = ended(attempt) => Change::Ended(outcome),
            () = overdue(cancelled), if attempt.is_some() => Change::Overdue,
            change = of_claim(claim, session, settler.times.fence) => change,
            () = lost(delivery.as_ref()) => Change::DeliveryLost,
            () = linked.ended().cancelled(), if *is_linked => Change::SessionLost,
            Some(back) = returns.recv() => Change::Returned(back),
        }
    }

    async fn take_in(&mut self, change: Change) {
        match change {
            Change::Granted(granted) => self.claim = Standing::Ours(granted),
            Change::Known => {
                if let Standing::Back(granted, _) = std::mem::replace(&mut self.claim, Standing::None) {
                    tracing::info!("whoever waits for us knows that we are back");
                    self.claim = Standing::Ours(granted);
                }
            }
            Change::Mail(received) if self.delivery.is_none() && received.headers().id == self.id => {
                tracing::info!("the message is back");
                let lost = self.linked.ended().clone();
                self.delivery = Some(Held { received: *received, lost });
            }
            Change::Mail(received) => self.kept.push(*received),
            Change::ClaimBroken(error) => {
                tracing::warn!(error = %Chain(&error), "the claim's channel is lost");
                self.away(Instant::now());
                self.claim_again().await;
            }
            Change::DeliveryLost => {
                tracing::warn!("the delivery is lost");
                self.delivery = None;
                self.end_what_is_unclaimed();
            }
            Change::SessionLost => {
                tracing::warn!("the broker is lost");
                (self.is_linked, self.delivery) = (false, None);
                self.away(self.linked.last_heard());
                self.end_what_is_unclaimed();
            }
            Change::Returned(Return { linked, done: _done }) => {
                (self.linked, self.is_linked) = (linked, true);
                self.claim_again().await;
            }
            Change::AskAgain => self.claim_again().await,
            Change::TooLate => self.stop("the broker is away for so long that others may begin this"),
            Change::Ended(_) | Change::Overdue => {}
        }
    }

    fn end_what_is_unclaimed(&mut self) {
        if matches!(self.claim, Standing::Unclaimed(_)) {
            self.stop("the broker gives this to others");
        }
    }

    fn stop(&mut self, reason: &str) {
        tracing::warn!(reason, "stopped");
        self.claim = Standing::None;
        self.cancelled.cancel();
    }

    fn away(&mut self, since: Instant) {
        self.kept.clear();
        self.claim = match std::mem::replace(&mut self.claim, Standing::None) {
            Standing::Ours(Granted { key, .. }) => Standing::Away(key, since),
            Standing::Back(Granted { key, .. }, before) | Standing::Away(key, before) => {
                Standing::Away(key, since.min(before))
            }
            other => other,
        };
    }

    /// Takes the claim that was ours. A network that fell silent leaves our last session at the broker for half a minute, which holds
    /// it; nobody else can before our time is over.
    async fn claim_again(&mut self) {
        let Standing::Away(key, since) = &self.claim else { return };
        let is_in_time = Instant::now() < *since + self.settler.times.fence;
        match self.linked.session.claim(key, self.queue, Take::Back).await {
            Ok(Claimed::Ours(claim)) => {
                tracing::info!("the claim is ours again");
                // Work that reports shows when it is done; of other work, nobody but its owner knows.
                self.is_settled =
                    self.attempt.is_none() && claim.is_new() && *key != ClaimKey::of_message(&self.id);
                self.claim = Standing::Back(Granted { key: key.clone(), claim }, *since);
            }
            Ok(Claimed::ByAnother) if is_in_time => {
                tracing::info!(
                    "the broker does not know yet that the last session is gone; the claim is asked for again"
                );
            }
            Ok(Claimed::ByAnother | Claimed::FromAnotherQueue | Claimed::Left(_)) => {
                self.stop("another worker has begun this");
            }
            // The next session may be a better one.
            Err(error) => tracing::warn!(error = %Chain(&error), "the claim could not be taken again"),
        }
    }

    /// Copies of the message, such as one that was published again before its first delivery was acknowledged, are settled with it.
    async fn settle_copies(&mut self) {
        let (copies, others): (Vec<_>, _) = self.kept.drain(..).partition(|it| it.headers().id == self.id);
        self.kept = others;
        for copy in copies {
            tracing::info!("a copy of the message is settled with it");
            if let Err(error) = copy.ack().await {
                tracing::warn!(error = %Chain(&error), "a copy of the message could not be settled");
            }
        }
    }

    /// What was kept goes first: a claim's queue takes it along.
    async fn release(&mut self) {
        for received in self.kept.drain(..) {
            if let Err(error) = received.requeue().await {
                tracing::warn!(error = %Chain(&error), "a message for the same work could not be given back");
            }
        }
        if let Standing::Ours(Granted { claim, .. }) | Standing::Back(Granted { claim, .. }, _) =
            std::mem::replace(&mut self.claim, Standing::None)
            && let Err(error) = claim.release(&self.linked.session).await
        {
            tracing::warn!(error = %Chain(&error), "the claim could not be given up");
        }
    }
}

async fn ended(attempt: &mut Option<JoinHandle<Outcome>>) -> Outcome {
    let Some(running) = attempt else { return pending().await };
    let ended = running.await;
    *attempt = None;
    // A panic is a failure of this message and of no other.
    ended.unwrap_or_else(|error| match error.try_into_panic() {
        Ok(_) => Err(Failure::Retry("the handler panicked; its log says where".to_owned())),
        Err(_) => Err(Failure::Abandoned),
    })
}

async fn overdue(cancelled: &CancellationToken) {
    cancelled.cancelled().await;
    sleep(CLEANING).await;
}

async fn lost(delivery: Option<&Held>) {
    match delivery {
        Some(held) => held.lost.cancelled().await,
        None => pending().await,
    }
}

async fn of_claim(claim: &mut Standing, session: Option<&Session>, fence: Duration) -> Change {
    match claim {
        Standing::Unclaimed(Some(granted)) => {
            if let Ok(granted) = granted.await {
                return Change::Granted(granted);
            }
            *claim = Standing::Unclaimed(None);
            pending().await
        }
        Standing::Ours(Granted { claim, .. }) => mail(claim).await,
        Standing::Back(Granted { key, claim }, _) => tokio::select! {
            change = mail(claim) => change,
            () = begin_generation(session, key) => Change::Known,
        },
        Standing::Away(_, since) => tokio::select! {
            () = sleep_until(*since + fence) => Change::TooLate,
            () = sleep(ASK_AGAIN), if session.is_some() => Change::AskAgain,
        },
        Standing::Unclaimed(None) | Standing::None => pending().await,
    }
}

async fn mail(claim: &mut Claim) -> Change {
    match claim.mail().await {
        Ok(received) => Change::Mail(Box::new(received)),
        Err(error) => Change::ClaimBroken(error),
    }
}

/// An alarm of the broker can keep it from being durable for long. Dropped and called again it begins another, which does no harm.
async fn begin_generation(session: Option<&Session>, key: &ClaimKey) {
    let Some(session) = session else { return pending().await };
    while let Err(error) = session.begin_generation(key).await {
        tracing::warn!(error = %Chain(&error), "whoever waits for us cannot be told yet that we are back");
        sleep(ASK_AGAIN).await;
    }
}
