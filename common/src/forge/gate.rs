//! Who asks a forge next: so many requests at a time, those that somebody waits for first, and none while the forge wants to be
//! left alone.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use reqwest::header::HeaderMap;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::pace::{Pace, Urgency};

/// Who waits for a limit looks again after this: it may have been lifted, by another token for example.
const GLANCE: Duration = Duration::from_secs(30);

/// The way to a forge. Clones are the same one.
#[derive(Clone, Debug)]
pub(super) struct Gate(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    free: usize,
    urgent: VecDeque<oneshot::Sender<Permit>>,
    background: VecDeque<oneshot::Sender<Permit>>,
    pace: Pace,
}

/// The right to one request at a time; whoever is first in the queue gets it next.
#[derive(Debug)]
#[must_use = "without it there may be too many requests"]
pub(super) struct Permit(Option<Gate>);

impl Gate {
    pub(super) fn new(requests: usize) -> Self {
        let (urgent, background) = (VecDeque::new(), VecDeque::new());
        Self(Arc::new(Mutex::new(State { free: requests.max(1), urgent, background, pace: Pace::default() })))
    }

    /// Waits for the forge's limits, then for a place. A wait for limits that would be longer than `patience` ends at once with what
    /// is left of it.
    pub(super) async fn enter(&self, urgency: Urgency, patience: Duration) -> Result<Permit, Duration> {
        let deadline = Instant::now() + patience;
        loop {
            if let Some(wait) = self.limit(urgency) {
                if Instant::now() + wait > deadline {
                    return Err(wait);
                }
                tokio::time::sleep(wait.min(GLANCE)).await;
                continue;
            }
            let permit = self.queue(urgency).await;
            // Somebody who asked meanwhile may have been told to wait.
            if self.limit(urgency).is_none() {
                return Ok(permit);
            }
        }
    }

    /// How long such a request would have to wait for the forge's limits.
    fn limit(&self, urgency: Urgency) -> Option<Duration> {
        self.state().pace.wait(urgency, Instant::now())
    }

    async fn queue(&self, urgency: Urgency) -> Permit {
        let turn = {
            let mut state = self.state();
            if state.free > 0 {
                state.free -= 1;
                return Permit(Some(self.clone()));
            }
            let (sender, turn) = oneshot::channel();
            match urgency {
                Urgency::Now => state.urgent.push_back(sender),
                Urgency::Background => state.background.push_back(sender),
            }
            turn
        };
        // The sender lives in the queue of this gate until it is used.
        turn.await.unwrap_or(Permit(None))
    }

    /// Reads what an answer says about the forge's limits.
    pub(super) fn note(&self, headers: &HeaderMap) {
        self.state().pace.note(headers, Instant::now());
    }

    /// The forge wants to be left alone for so long.
    pub(super) fn close(&self, wait: Duration) {
        self.state().pace.close(wait, Instant::now());
    }

    /// Limits are a credential's: another one has its own.
    pub(super) fn forget(&self) {
        self.state().pace = Pace::default();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn release(&self) {
        let mut permit = Permit(Some(self.clone()));
        loop {
            let next = {
                let mut state = self.state();
                let next = state.urgent.pop_front().or_else(|| state.background.pop_front());
                if next.is_none() {
                    state.free += 1;
                }
                next
            };
            let Some(next) = next else {
                // It is counted as free: dropping it must not free it again.
                permit.0 = None;
                return;
            };
            match next.send(permit) {
                Ok(()) => return,
                // Whoever queued there has gone.
                Err(returned) => permit = returned,
            }
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(gate) = self.0.take() {
            gate.release();
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    const NO_PATIENCE: Duration = Duration::ZERO;

    #[tokio::test]
    async fn those_that_somebody_waits_for_go_first() {
        let gate = Gate::new(1);
        let first = gate.enter(Urgency::Background, NO_PATIENCE).await.unwrap();
        let order = Arc::new(Mutex::new(Vec::new()));
        let ask = |name: &'static str, urgency| {
            let (gate, order) = (gate.clone(), Arc::clone(&order));
            async move {
                let _permit = gate.enter(urgency, NO_PATIENCE).await.unwrap();
                order.lock().unwrap().push(name);
            }
        };
        let queue = async {
            tokio::join!(
                ask("sweep 1", Urgency::Background),
                ask("sweep 2", Urgency::Background),
                ask("status 1", Urgency::Now),
                ask("status 2", Urgency::Now),
                async { drop(first) },
            )
        };
        queue.await;
        assert_eq!(*order.lock().unwrap(), ["status 1", "status 2", "sweep 1", "sweep 2"]);
    }

    #[tokio::test]
    async fn a_place_is_never_lost() {
        let gate = Gate::new(2);
        let held = [(); 2].map(|()| gate.enter(Urgency::Now, NO_PATIENCE).now_or_never().unwrap().unwrap());
        // One gives up while it waits, one when it was its turn and it had not looked yet.
        let mut gone = Box::pin(gate.enter(Urgency::Now, NO_PATIENCE));
        assert!((&mut gone).now_or_never().is_none());
        drop(gone);
        let mut late = Box::pin(gate.enter(Urgency::Background, NO_PATIENCE));
        assert!((&mut late).now_or_never().is_none());
        drop(held);
        drop(late);
        assert_eq!(gate.state().free, 2);
        let again = [(); 2].map(|()| gate.enter(Urgency::Now, NO_PATIENCE).now_or_never().unwrap().unwrap());
        assert!(gate.enter(Urgency::Now, NO_PATIENCE).now_or_never().is_none());
        drop(again);
    }

    #[tokio::test(start_paused = true)]
    async fn a_limit_is_waited_for_or_told() {
        let (gate, started) = (Gate::new(1), Instant::now());
        gate.close(Duration::from_secs(40));
        let told = gate.enter(Urgency::Now, Duration::from_secs(15)).await.unwrap_err();
        assert_eq!((told, started.elapsed()), (Duration::from_secs(40), Duration::ZERO));
        let _permit = gate.enter(Urgency::Now, Duration::from_mins(1)).await.unwrap();
        assert_eq!(started.elapsed().as_secs(), 40);
    }

    #[tokio::test(start_paused = true)]
    async fn who_waited_for_a_place_sees_a_limit_that_came_meanwhile() {
        let gate = Gate::new(1);
        let first = gate.enter(Urgency::Now, NO_PATIENCE).await.unwrap();
        let second = gate.enter(Urgency::Now, Duration::from_secs(15));
        let limit = async {
            gate.close(Duration::from_mins(2));
            drop(first);
        };
        let (told, ()) = tokio::join!(second, limit);
        assert_eq!(told.unwrap_err(), Duration::from_mins(2));
        assert_eq!(gate.state().free, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn another_token_lifts_the_limit() {
        let (gate, started) = (Gate::new(1), Instant::now());
        gate.close(Duration::from_hours(1));
        let waiting = gate.enter(Urgency::Background, Duration::from_hours(2));
        let (permit, ()) = tokio::join!(waiting, async { gate.forget() });
        drop(permit);
        assert_eq!(started.elapsed(), GLANCE);
    }
}
