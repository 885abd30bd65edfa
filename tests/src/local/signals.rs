//! Ctrl-C and its like: the first one ends the show in good order, the second one ends the patience with that.

use std::future::pending;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

/// A second signal within this time is the first one: `timeout` sends each to its child and to the group of its child.
const ECHO: Duration = Duration::from_millis(200);
/// How long a fleet has for an orderly end.
const PATIENCE: Duration = Duration::from_secs(10);
/// On a terminal, Ctrl-C also ends what runs in our own process group; then its failure can be here before our signal.
const SIMULTANEOUS: Duration = Duration::from_millis(200);

/// Why the show ended before its end.
#[derive(Debug)]
pub(super) enum Stop {
    /// Somebody sent this signal.
    Signal(u8),
    /// Something failed.
    Error(anyhow::Error),
}

impl From<anyhow::Error> for Stop {
    fn from(error: anyhow::Error) -> Self {
        Self::Error(error)
    }
}

/// The signals that came.
pub(super) struct Signals {
    first: Arc<OnceLock<u8>>,
    came: CancellationToken,
    came_again: CancellationToken,
}

impl Signals {
    pub(super) fn install() -> Result<Self> {
        let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
        let signals =
            kinds.map(|kind| signal(kind).map(|it| (kind, it))).into_iter().collect::<Result<Vec<_>, _>>();
        let it = Self {
            first: Arc::default(),
            came: CancellationToken::new(),
            came_again: CancellationToken::new(),
        };
        let (first, came, came_again) = (Arc::clone(&it.first), it.came.clone(), it.came_again.clone());
        let mut signals = signals.context("cannot listen to signals")?;
        tokio::spawn(async move {
            let number = any(&mut signals).await;
            let _ = first.set(number);
            came.cancel();
            sleep(ECHO).await;
            let _ = timeout(Duration::ZERO, any(&mut signals)).await;
            any(&mut signals).await;
            came_again.cancel();
        });
        Ok(it)
    }

    /// Does something unless a signal comes, which drops it.
    pub(super) async fn watch<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T, Stop> {
        tokio::select! {
            biased;
            () = self.came.cancelled() => Err(self.stop()),
            done = work => match done {
                Ok(done) => Ok(done),
                Err(error) => match timeout(SIMULTANEOUS, self.came.cancelled()).await {
                    Ok(()) => Err(self.stop()),
                    Err(_) => Err(Stop::Error(error)),
                },
            },
        }
    }

    /// Returns when an orderly end has taken too long, or somebody does not want to wait for it.
    pub(super) async fn patience(&self) {
        let _ = timeout(PATIENCE, self.came_again.cancelled()).await;
    }

    fn stop(&self) -> Stop {
        Stop::Signal(self.first.get().copied().unwrap_or_default())
    }
}

/// Waits for any of them, and gives its number.
async fn any(signals: &mut [(SignalKind, Signal)]) -> u8 {
    let each = signals.iter_mut().map(|(kind, it)| {
        Box::pin(async move {
            if it.recv().await.is_none() {
                pending::<()>().await;
            }
            u8::try_from(kind.as_raw_value()).unwrap_or_default()
        })
    });
    futures_util::future::select_all(each).await.0
}
