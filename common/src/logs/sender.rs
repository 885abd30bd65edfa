//! The task that sends a log while it grows.

use std::collections::BTreeSet;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use bytes::Bytes;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

use super::chunks::{Chunks, MOST_BYTES, Span};
use super::error::LogError;
use super::found::{Found, Sample};
use super::name::{Folder, Own};
use super::pace::Pace;
use super::spool::Section;
use super::store::Store;
use super::writer::Growth;
use crate::Chain;

const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LAST_PAUSE: Duration = Duration::from_secs(30);

/// Follows the spool, and sends what is in it a block at a time. A store that is away costs it nothing but time: the job
/// prints on, into the spool, and what has gathered there is sent when the store is back.
#[derive(Debug)]
pub(super) struct Sender {
    store: Store,
    folder: Folder,
    growth: watch::Receiver<Growth>,
    pace: Pace,
    chunks: Chunks,
    /// The chunks that are, or may be, in the store.
    stored: BTreeSet<Span>,
    /// What is compared before anything is sent after what was found.
    sample: Option<Sample>,
}

/// Whether something was done, or given up at the end of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Done,
    GivenUp,
}

/// What the sender does next.
enum Next {
    Send(Section),
    Stop,
}

impl Sender {
    pub(super) fn new(
        store: Store,
        folder: Folder,
        growth: watch::Receiver<Growth>,
        flush_after: Duration,
        found: Found,
    ) -> Self {
        let Found { chunks, stored, sample } = found;
        Self { store, folder, growth, pace: Pace::new(flush_after), chunks, stored, sample }
    }

    /// Runs until the end is told, and returns the chunks to delete. If the writer ends without that, what waits is sent,
    /// and the log stays as it is: readable, and open.
    pub(super) async fn run(mut self) -> BTreeSet<Span> {
        while let Next::Send(whole) = self.next().await {
            self.pace.begin(Instant::now());
            self.compare(&whole).await;
            if self.send_block(whole).await == Step::GivenUp {
                break;
            }
        }
        self.stored
    }

    /// Waits until a block is due.
    async fn next(&mut self) -> Next {
        let mut since = None;
        loop {
            let Growth { whole, ended } = self.growth.borrow_and_update().clone();
            let waiting = whole.bytes().saturating_sub(self.chunks.bytes());
            if ended {
                return Next::Stop;
            }
            let due = (waiting > 0).then(|| self.pace.due(*since.get_or_insert_with(Instant::now), waiting));
            tokio::select! {
                biased;
                () = passed(due) => return Next::Send(whole),
                changed = self.growth.changed() => if changed.is_err() {
                    // Nobody prints any more; the rest is not worth a pause.
                    let last = self.growth.borrow().clone();
                    let is_more = last.whole.bytes() > self.chunks.bytes();
                    return if is_more && !last.ended { Next::Send(last.whole) } else { Next::Stop };
                },
            }
        }
    }

    /// A log that is not the one that was begun is sent from its beginning. Chunks of the old one go at the end.
    async fn compare(&mut self, whole: &Section) {
        if let Some(sample) = self.sample.take()
            && !sample.is_in(whole).await
        {
            let url = self.store.url(&self.folder.own(Own::Page));
            tracing::warn!(log = url, "a log is not what was sent of it before; it begins anew");
            self.chunks = Chunks::default();
        }
    }

    /// Sends the next block of what is there. In this order a reader finds every byte in some chunk at any time, or learns
    /// from a chunk that is gone that there is a newer list.
    async fn send_block(&mut self, whole: Section) -> Step {
        let waiting = whole.bytes().saturating_sub(self.chunks.bytes());
        let push = self.chunks.push(waiting.min(MOST_BYTES));
        self.stored.insert(push.write);
        let (store, growth) = (&self.store, &self.growth);
        let chunk = self.folder.own(Own::Chunk(push.write));
        let section = whole.part(push.write);
        if insist(store, growth, || store.put_section(&chunk, section.clone())).await == Step::GivenUp {
            return Step::GivenUp;
        }
        let (list, text) = (self.folder.own(Own::List), Bytes::from(push.list));
        if insist(store, growth, || store.put(&list, text.clone())).await == Step::GivenUp {
            return Step::GivenUp;
        }
        for span in push.obsolete {
            // What cannot be deleted now is deleted at the end.
            match self.store.delete(&self.folder.own(Own::Chunk(span))).await {
                Ok(()) => _ = self.stored.remove(&span),
                Err(error) => tracing::debug!(error = %Chain(&error), "a part of a log is deleted later"),
            }
        }
        Step::Done
    }
}

/// Does it, and does it again after a pause until it is done, or until the log ends and there is something better to do.
async fn insist<F: Future<Output = Result<(), LogError>>>(
    store: &Store,
    growth: &watch::Receiver<Growth>,
    act: impl Fn() -> F,
) -> Step {
    let pauses = ExponentialBuilder::new()
        .with_min_delay(FIRST_PAUSE)
        .with_max_delay(LAST_PAUSE)
        .without_max_times()
        .with_jitter();
    for pause in pauses.build() {
        let grace = async {
            ended(growth.clone()).await;
            passed(store.patience().map(|it| Instant::now() + it)).await;
        };
        let done = tokio::select! {
            biased;
            done = act() => done,
            () = grace => return Step::GivenUp,
        };
        let Err(error) = done else { return Step::Done };
        if growth.has_changed().is_err() {
            tracing::warn!(error = %Chain(&error), "the end of a log that was given up is lost");
            return Step::GivenUp;
        }
        tracing::warn!(error = %Chain(&error), "a log is behind what the job has printed; nothing of it is lost");
        tokio::select! {
            () = sleep(pause.min(LAST_PAUSE)) => {}
            () = ended(growth.clone()) => return Step::GivenUp,
        }
    }
    Step::GivenUp
}

/// Returns when the end of the log is told; never if it isn't.
async fn ended(mut growth: watch::Receiver<Growth>) {
    if growth.wait_for(|it| it.ended).await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Returns at that moment, or never.
async fn passed(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}
