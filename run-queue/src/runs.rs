//! The runs of a role, for as long as they live.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::{mpsc, oneshot};
use tokio_util::task::TaskTracker;
use tracing::Instrument;

use crate::link::Linked;
use crate::run::{Message, Run};

/// How long the runs may take to have their claims back before anything new is consumed. Who is later is brought its message by
/// way of the time that owners are given.
const RETURN_LIMIT: Duration = Duration::from_secs(10);

/// Told to each run when there is a new session.
pub(crate) struct Return {
    pub(crate) linked: Arc<Linked>,
    /// Dropped when the run has its claim again.
    pub(crate) done: oneshot::Sender<()>,
}

/// All runs that have not ended.
#[derive(Clone, Default)]
pub(crate) struct Runs {
    tasks: TaskTracker,
    alive: Arc<Mutex<HashMap<u64, mpsc::Sender<Return>>>>,
}

impl Runs {
    /// Begins one, which is told of new sessions. When its message is settled, `settled` comes last.
    pub(crate) fn begin<F: Future<Output = ()> + Send + 'static>(
        &self,
        run: impl FnOnce(mpsc::Receiver<Return>) -> Run,
        settled: impl FnOnce() -> F + Send + 'static,
    ) {
        let (sender, returns) = mpsc::channel(1);
        let mut alive = self.lock();
        let number = alive.keys().max().map_or(0, |it| it + 1);
        alive.insert(number, sender);
        drop(alive);
        let (runs, run) = (self.clone(), run(returns));
        self.tasks.spawn(
            async move {
                if run.finish().await == Message::Settled {
                    settled().await;
                }
                runs.lock().remove(&number);
            }
            .in_current_span(),
        );
    }

    /// Has every run take its claim again.
    pub(crate) async fn back(&self, linked: &Arc<Linked>) {
        let alive: Vec<_> = self.lock().values().cloned().collect();
        let told = alive.iter().map(|run| async {
            let (done, returned) = oneshot::channel();
            if run.send(Return { linked: Arc::clone(linked), done }).await.is_ok() {
                // An error is the sender being dropped, which is what is waited for.
                let _ = returned.await;
            }
        });
        if tokio::time::timeout(RETURN_LIMIT, join_all(told)).await.is_err() {
            tracing::warn!("some of what runs has not got its claim again in time");
        }
    }

    /// Returns when all have ended.
    pub(crate) async fn ended(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// No code panics while it holds the lock.
    fn lock(&self) -> MutexGuard<'_, HashMap<u64, mpsc::Sender<Return>>> {
        self.alive.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
