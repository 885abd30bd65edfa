//! Claims, as handlers ask for them, and the times that keep two workers from the same work.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use common::Chain;
use common::broker::{Claim, ClaimKey, Claimed, Headers, Received, Take};
use common::id::Attempt;
use common::queue::Queue;
use tokio::sync::oneshot;

use crate::handler::{Attempts, Failure};
use crate::link::Linked;

/// The law between the times: who has lost the broker stops before another may begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// So long after it last heard of the broker, a worker stops what it does.
    pub fence: Duration,
    /// So long the message of somebody who is gone waits before another begins its work.
    pub takeover: Duration,
}

impl Times {
    /// What stopping takes: two seconds for a container, and what the clocks of two hosts differ meanwhile.
    pub const MARGIN: Duration = Duration::from_secs(3);

    /// Whether the law holds.
    #[must_use]
    pub fn are_safe(&self) -> bool {
        self.takeover >= self.fence + Self::MARGIN
    }
}

impl Default for Times {
    fn default() -> Self {
        Self { fence: Duration::from_mins(1), takeover: Duration::from_secs(75) }
    }
}

/// Before it is looked again whether the same work from another queue has been done.
const OTHER_QUEUE_PAUSE: Duration = Duration::from_secs(10);

/// Which attempt a delivery is, if it is begun: the next one, where it has waited for somebody who has begun this one.
pub(crate) fn number(received: &Received) -> Attempt {
    let Headers { attempt, awaited, .. } = *received.headers();
    if awaited.is_some() { attempt.next() } else { attempt }
}

/// A claim that a handler got.
#[derive(Debug)]
pub(crate) struct Granted {
    pub(crate) key: ClaimKey,
    pub(crate) claim: Box<Claim>,
}

/// Where the handler of one delivery asks for its claim.
#[derive(Clone, Debug)]
pub struct Desk(Arc<Counter>);

#[derive(Debug)]
struct Counter {
    linked: Arc<Linked>,
    queue: Queue,
    take: Take,
    /// It was begun as often as it may, each time by somebody who was never heard of again.
    is_spent: bool,
    /// To the run; none once it has one.
    grant: Mutex<Option<oneshot::Sender<Granted>>>,
}

impl Desk {
    /// For a delivery, with the end that its run listens to.
    pub(crate) fn open(
        linked: Arc<Linked>,
        received: &Received,
        attempts: Attempts,
    ) -> (Self, oneshot::Receiver<Granted>) {
        let take = received.headers().awaited.map_or(Take::Fresh, Take::Over);
        let (grant, granted) = oneshot::channel();
        let is_spent = number(received).number() > attempts.most;
        let counter =
            Counter { linked, queue: received.queue(), take, is_spent, grant: Mutex::new(Some(grant)) };
        (Self(Arc::new(counter)), granted)
    }

    /// The work is done, and whoever had the claim is gone: nobody needs to wait for them.
    pub async fn forget(&self, key: &ClaimKey) {
        if let Err(error) = self.0.linked.session.forget_claim(key).await {
            tracing::warn!(error = %Chain(&error), "the claim on work that is done stays for some hours");
        }
    }

    /// Takes the claim on this work. From now on a lost session does not cancel the handler: it goes on until the claim itself
    /// is lost. A failure is for the handler to pass on.
    pub async fn claim(&self, key: &ClaimKey) -> Result<(), Failure> {
        let Counter { linked, queue, take, is_spent, grant } = &*self.0;
        match linked.session.claim(key, *queue, *take).await {
            Ok(Claimed::Ours(claim)) => {
                let grant = grant.lock().unwrap_or_else(PoisonError::into_inner).take();
                let granted = Granted { key: key.clone(), claim };
                // Nobody listens where the run has just lost its delivery: then it cancels us.
                grant.and_then(|it| it.send(granted).ok()).ok_or(Failure::Abandoned)?;
                tracing::debug!(claim = %key, "claimed");
                if *is_spent {
                    return Err(Failure::Spent);
                }
                Ok(())
            }
            Ok(Claimed::ByAnother) => Err(Failure::Elsewhere(key.clone())),
            Ok(Claimed::FromAnotherQueue) => Err(Failure::Later {
                reason: "the same work from another queue is under way".to_owned(),
                at_least: OTHER_QUEUE_PAUSE,
            }),
            Ok(Claimed::Left(generation)) => Err(Failure::Left(generation)),
            Err(error) => {
                tracing::warn!(error = %Chain(&error), "the claim on this work cannot be asked for");
                Err(Failure::Abandoned)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_stops_stops_before_another_begins() {
        assert!(Times::default().are_safe());
        let seconds = |fence, takeover| Times {
            fence: Duration::from_secs(fence),
            takeover: Duration::from_secs(takeover),
        };
        assert!(seconds(60, 63).are_safe());
        assert!(!seconds(60, 62).are_safe());
        assert!(!seconds(60, 0).are_safe());
    }
}
