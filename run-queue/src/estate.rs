//! What other processes of this host have left. It is looked for before anything is consumed, and then for as long as work is taken: a
//! process may leave when its successor has long begun.

use std::convert::Infallible;
use std::future::pending;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use common::Chain;
use common::broker::{Claimed, Take};
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::handler::{Handler, Remains};
use crate::link::Linked;
use crate::role::Role;
use crate::slot::Slot;

/// How often it is looked for.
const EVERY: Duration = Duration::from_secs(1);

/// Where what is found comes in.
pub(crate) type Finds<L> = mpsc::Receiver<Vec<L>>;

/// What was found, and is neither gone on with nor given up.
pub(crate) struct Estate<L> {
    undecided: Vec<Undecided<L>>,
    finds: Finds<L>,
}

struct Undecided<L> {
    left: L,
    found: Instant,
}

impl<L: Remains> Undecided<L> {
    /// Nobody here has had its claim for so long that another worker may begin it.
    fn is_overdue(&self, fence: Duration) -> bool {
        self.found.elapsed() >= fence
    }
}

impl<L: Remains> Estate<L> {
    /// With what there is at the start; none where the process ends before that is known.
    pub(crate) async fn open(mut finds: Finds<L>) -> Option<Self> {
        let first = finds.recv().await?;
        let mut estate = Self { undecided: Vec::new(), finds };
        estate.add(first);
        Some(estate)
    }

    fn add(&mut self, left: Vec<L>) {
        let found = Instant::now();
        self.undecided.extend(left.into_iter().map(|left| Undecided { left, found }));
    }

    /// Returns when there is something to decide about.
    async fn more(&mut self) {
        tokio::select! {
            found = self.finds.recv() => match found {
                Some(left) => self.add(left),
                // The process is to end: what is undecided is for the next.
                None => pending().await,
            },
            () = sleep(EVERY), if !self.undecided.is_empty() => {}
        }
    }

    /// What still runs and may be begun by another. Safe to be dropped while it waits.
    async fn overdue(&mut self, fence: Duration) -> L {
        let is_overdue = |it: &Undecided<L>| !it.left.is_done() && it.is_overdue(fence);
        loop {
            if let Some(at) = self.undecided.iter().position(is_overdue) {
                return self.undecided.remove(at).left;
            }
            self.more().await;
        }
    }
}

impl<H: Handler> Role<H> {
    /// Looks for what others leave until nothing new is to be begun.
    pub(crate) async fn look(&self, finds: mpsc::Sender<Vec<H::Left>>, stopping: &CancellationToken) {
        let mut found = self.handler.left().await;
        while finds.send(found).await.is_ok() {
            found = loop {
                if stopping.run_until_cancelled(sleep(EVERY)).await.is_none() {
                    return;
                }
                let found = self.handler.left().await;
                if !found.is_empty() {
                    break found;
                }
            };
        }
    }

    /// Waits before the broker is asked for again. What others have left runs on meanwhile, but for no longer than what this process has
    /// begun would.
    pub(crate) async fn rest(&self, pause: Duration, estate: &mut Estate<H::Left>) {
        let mut over = pin!(sleep(pause));
        loop {
            tokio::select! {
                biased;
                () = &mut over => return,
                left = estate.overdue(self.settler.times.fence) => {
                    let reason = "no session with the broker for so long that others may begin this";
                    tracing::warn!(task.id = %left.message().headers.id, reason, "what was left here is stopped");
                    self.handler.give_up(left).await;
                }
            }
        }
    }

    /// Takes up what is found, for as long as the session lasts. May be dropped at any point.
    pub(crate) async fn inherit(
        &self,
        estate: &mut Estate<H::Left>,
        slot: &Slot<H>,
        linked: &Arc<Linked>,
    ) -> Infallible {
        loop {
            estate.more().await;
            self.take_up(estate, slot, linked).await;
        }
    }

    /// Goes on with what others have left, unless another worker has begun it. What cannot be found out yet stays undecided.
    pub(crate) async fn take_up(&self, estate: &mut Estate<H::Left>, slot: &Slot<H>, linked: &Arc<Linked>) {
        let (undecided, mut at) = (&mut estate.undecided, 0);
        while let Some(next) = undecided.get_mut(at)
            && !slot.stopping.is_cancelled()
        {
            let message = next.left.message();
            match linked.session.claim(next.left.claim(), message.queue, Take::Back).await {
                Ok(Claimed::Ours(claim)) => {
                    // Nobody gives up the claim on what is done before its message is settled.
                    let is_settled = next.left.is_done() && claim.is_new();
                    let is_open = !is_settled && self.handler.is_open(&next.left).await;
                    // Asked to end meanwhile: it is for the next process.
                    if slot.stopping.is_cancelled() {
                        return;
                    }
                    if is_open {
                        tracing::info!(task.id = %message.headers.id, "goes on with what another process has left");
                        let Undecided { left, found } = undecided.remove(at);
                        slot.resumed.add(slot.resume(left, found, claim, linked));
                        continue;
                    }
                    // First, and with the rest still undecided: should it stay, or the session end, nobody would know of either.
                    if let Err(error) = claim.release(&linked.session).await {
                        tracing::warn!(error = %Chain(&error), "the claim could not be given up");
                    }
                    self.handler.give_up(undecided.remove(at).left).await;
                }
                // The broker hears late of the death of who was cut off: for so long it may be that one's.
                Ok(Claimed::ByAnother) if !next.is_overdue(self.settler.times.fence) => at += 1,
                Ok(Claimed::ByAnother | Claimed::FromAnotherQueue | Claimed::Left(_)) => {
                    tracing::info!(task.id = %message.headers.id, "another worker has begun what was left here");
                    self.handler.give_up(undecided.remove(at).left).await;
                }
                Err(error) => {
                    tracing::warn!(error = %Chain(&error), "the claim on what was left cannot be asked for");
                    at += 1;
                }
            }
        }
    }
}

/// The room that is taken by what was gone on with: a slot each, as soon as one is free.
#[derive(Default)]
pub(crate) struct Resumed {
    /// Each is cancelled when its room is free again.
    taken: Mutex<Vec<CancellationToken>>,
    more: Notify,
}

impl Resumed {
    pub(crate) fn add(&self, over: CancellationToken) {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner).push(over);
        self.more.notify_waiters();
    }

    /// Something that a slot has to give its room to.
    pub(crate) fn take(&self) -> Option<CancellationToken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    /// The same, as soon as there is such a thing.
    pub(crate) async fn next(&self) -> CancellationToken {
        loop {
            // Made before the look: what is added after it is heard of.
            let more = self.more.notified();
            if let Some(over) = self.take() {
                return over;
            }
            more.await;
        }
    }
}
