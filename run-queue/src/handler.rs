//! What handlers are given and what they answer. They decide and do; only `slot` settles.

use std::convert::Infallible;
use std::error::Error;
use std::time::Duration;

use bytes::Bytes;
use common::Chain;
use common::broker::{ClaimKey, Generation, Headers, Outgoing};
use common::forge::ForgeError;
use common::id::{Attempt, TaskId};
use common::queue::Queue;
use tokio_util::sync::CancellationToken;

use crate::claims::Desk;

/// A message to be dealt with.
#[derive(Clone, Debug)]
pub struct Work {
    /// Where it came from.
    pub queue: Queue,
    /// What it says.
    pub body: Bytes,
    /// What is said of it.
    pub headers: Headers,
    /// Cancelled when the work is lost to others (its claim is; without one, its delivery) or the process leaves: stop, clean up,
    /// and tell nobody, for the message will be delivered again.
    pub cancelled: CancellationToken,
    /// Cancelled when the process is to end as soon as its work has: end what is begun, but wait for nobody.
    pub stopping: CancellationToken,
    /// Cancelled when the process is to end and leaves what it can to the next one of this host: what another process can go on with
    /// is left as it is, and the answer is [`Failure::HandedOver`]. What cannot be left yet goes on; `cancelled` ends its time.
    pub handover: CancellationToken,
    /// Whether no other attempt will be made.
    pub is_last: bool,
    /// Where the claim on the work is to be had; none where nobody else can be at it.
    pub desk: Option<Desk>,
}

impl Work {
    /// Sees to it that nobody else does this work. To be called before anything is begun that must not be done twice at once, and
    /// before it is looked at whether somebody has done it already.
    pub async fn claim(&self, key: &ClaimKey) -> Result<(), Failure> {
        match &self.desk {
            Some(desk) => desk.claim(key).await,
            None => Ok(()),
        }
    }

    /// Says of a claim that was [`Failure::Left`] that its work is done.
    pub async fn forget_claim(&self, key: &ClaimKey) {
        if let Some(desk) = &self.desk {
            desk.forget(key).await;
        }
    }
}

/// Why a message was not dealt with. There is no `From`, so that each `?` in a handler chooses.
#[derive(Debug)]
pub enum Failure {
    /// Ours or the infrastructure's: another attempt may do better.
    Retry(String),
    /// What everybody needs is away, such as the forge: the same attempt, later. No message is to blame, so none is given up.
    Later {
        /// What is away.
        reason: String,
        /// How long it wants to be left alone.
        at_least: Duration,
    },
    /// No attempt will do better.
    Fail(String),
    /// It was begun as often as it may, each time by somebody who was never heard of again. The claim on it is ours.
    Spent,
    /// It was cancelled.
    Abandoned,
    /// It goes on without us, and the next process of this host goes on with it, as the same attempt.
    HandedOver,
    /// Another run has the claim on the same work: the message is for that one to settle.
    Elsewhere(ClaimKey),
    /// Somebody has begun the same work in this generation of the claim, and is gone: the message waits for as long as they may need to
    /// come back.
    Left(Generation),
}

impl Failure {
    /// What is wrong with a message that is [`Failure::Spent`].
    pub const SPENT: &str = "out of attempts: each worker that began it was lost";

    /// For `map_err`: another attempt may do better.
    pub fn retry(error: impl Error) -> Self {
        Self::Retry(Chain(&error).to_string())
    }

    /// For `map_err`: what a forge that is away, limits us or refuses our token makes wait, and what else it says is final.
    pub fn forge(error: ForgeError) -> Self {
        let at_least = match &error {
            ForgeError::RateLimited { retry_after, .. } => retry_after.unwrap_or(FORGE_PAUSE),
            ForgeError::Unauthorized { .. } => FORGE_PAUSE,
            other if other.is_transient() => Duration::ZERO,
            _ => return Self::fail(error),
        };
        Self::Later { reason: Chain(&error).to_string(), at_least }
    }

    /// For `map_err`: no attempt will do better.
    pub fn fail(error: impl Error) -> Self {
        Self::Fail(Chain(&error).to_string())
    }
}

/// What is known of work that was left.
pub trait Remains: Send + 'static {
    /// Its message.
    fn message(&self) -> Message;
    /// The claim on it.
    fn claim(&self) -> &ClaimKey;
    /// Whether it is done, and told, and only its message may be there still.
    fn is_done(&self) -> bool;
}

/// A message that is somewhere else.
#[derive(Clone, Debug)]
pub struct Message {
    /// Where it came from.
    pub queue: Queue,
    /// What it says.
    pub body: Bytes,
    /// What is said of it.
    pub headers: Headers,
}

impl Remains for Infallible {
    fn message(&self) -> Message {
        match *self {}
    }

    fn claim(&self) -> &ClaimKey {
        match *self {}
    }

    fn is_done(&self) -> bool {
        match *self {}
    }
}

/// Deals with the messages of some queues.
pub trait Handler: Send + Sync + 'static {
    /// What another process of this host had begun and has left.
    type Left: Remains;

    /// What came of it: messages that are published and confirmed before this one is acknowledged. May be called again with
    /// the same message at any time, so its effects are idempotent.
    fn handle(&self, work: Work) -> impl Future<Output = Result<Vec<Outgoing>, Failure>> + Send;

    /// What was found of it since this was asked last. Nothing of it is gone on with before its claim is held.
    fn left(&self) -> impl Future<Output = Vec<Self::Left>> + Send;

    /// Goes on with it, in the place of [`Handler::handle`]: its claim is ours.
    fn resume(
        &self,
        work: Work,
        left: Self::Left,
    ) -> impl Future<Output = Result<Vec<Outgoing>, Failure>> + Send;

    /// Whether anything is left to do: nobody has begun or ended it since, and whoever gets its message would not see that it is done.
    /// To be asked when its claim is ours: it is, too, when another worker had it and is done.
    fn is_open(&self, left: &Self::Left) -> impl Future<Output = bool> + Send;

    /// Puts it away: nothing is left to do, or another worker has begun it anew.
    fn give_up(&self, left: Self::Left) -> impl Future<Output = ()> + Send;

    /// The message of this task is settled, by who had its claim: nothing of it needs to be remembered.
    fn settled(&self, task: &TaskId) -> impl Future<Output = ()> + Send;
}

/// How an infrastructure error is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempts {
    /// How many there are in all, from 1.
    pub most: u32,
    /// Before the second; each further pause is four times as long.
    pub first_pause: Duration,
}

impl Attempts {
    /// The pause before the attempt after this one; none after the last.
    #[must_use]
    pub fn pause_after(&self, attempt: Attempt) -> Option<Duration> {
        let growth = 4_u32.saturating_pow(attempt.number().saturating_sub(1));
        (attempt.number() < self.most).then(|| self.first_pause.saturating_mul(growth).min(LONGEST_PAUSE))
    }
}

const LONGEST_PAUSE: Duration = Duration::from_hours(1);
/// For a forge that does not say how long (GitHub asks for a minute at least).
const FORGE_PAUSE: Duration = Duration::from_mins(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_are_bounded_and_end() {
        let attempts = Attempts { most: 12, first_pause: Duration::from_secs(10) };
        let mut attempt = Attempt::FIRST;
        let mut pauses = Vec::new();
        while let Some(pause) = attempts.pause_after(attempt) {
            pauses.push(pause.as_secs());
            attempt = attempt.next();
        }
        assert_eq!(&pauses[..5], [10, 40, 160, 640, 2560]);
        assert_eq!((pauses.len(), pauses.last()), (11, Some(&3600)));
        let once = Attempts { most: 1, first_pause: Duration::ZERO };
        assert_eq!(once.pause_after(Attempt::FIRST), None);
    }
}
