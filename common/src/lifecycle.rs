//! The life of a process: SIGTERM or SIGINT asks it to end in good order, a second one to end now, as does the end of its patience,
//! and a part that dies by itself takes the process down (design, law 10).

use std::convert::Infallible;
use std::future::{Future, pending};
use std::process::ExitCode;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Tells the parts of a process when to stop.
#[derive(Clone, Debug)]
pub struct Lifecycle {
    soft: CancellationToken,
    hard: CancellationToken,
    /// So long after it was asked to end, it is as if it had been asked twice; none: never.
    patience: Option<Duration>,
}

/// How a process ends; [`Exit::code`] is what its caller sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It did what it was to do, or was asked to end and did.
    Done,
    /// `--once` found nothing to do.
    NothingToDo,
    /// A part died.
    Crashed,
    /// The options or the configuration are wrong, or what was asked for is refused.
    Usage,
}

impl Exit {
    /// 0 done, 1 nothing to do, 2 usage, 3 crashed.
    #[must_use]
    pub fn code(self) -> ExitCode {
        ExitCode::from(match self {
            Self::Done => 0,
            Self::NothingToDo => 1,
            Self::Usage => 2,
            Self::Crashed => 3,
        })
    }
}

impl Lifecycle {
    /// One that nobody has told to stop, without signals.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "two life cycles are not interchangeable")]
    pub fn new() -> Self {
        let hard = CancellationToken::new();
        Self { soft: hard.child_token(), hard, patience: None }
    }

    /// One that follows SIGTERM and SIGINT. Needs a tokio runtime.
    pub fn install() -> std::io::Result<Self> {
        let lifecycle = Self::new();
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let told = lifecycle.clone();
        tokio::spawn(async move {
            for (token, now) in [(&told.soft, false), (&told.hard, true)] {
                tokio::select! {
                    _ = terminate.recv() => {}
                    _ = interrupt.recv() => {}
                }
                tracing::info!(now, "asked to end");
                token.cancel();
            }
        });
        Ok(lifecycle)
    }

    /// One that waits no longer than this for what was begun.
    #[must_use]
    pub fn within(self, patience: Option<Duration>) -> Self {
        Self { patience, ..self }
    }

    /// Cancelled when nothing new is to be begun.
    #[must_use]
    pub fn stopping(&self) -> &CancellationToken {
        &self.soft
    }

    /// Cancelled when what was begun is to be left.
    #[must_use]
    pub fn leaving(&self) -> &CancellationToken {
        &self.hard
    }

    /// Runs the parts of a process until it is asked to end and they have ended, or one of them ends by itself: then the others
    /// are told to stop, and the process has crashed.
    pub async fn run(&self, parts: impl IntoIterator<Item = Part<'_>>) -> Exit {
        let watched = parts.into_iter().map(|part| self.watch(part));
        let ends = futures_util::future::join_all(watched);
        tokio::select! {
            ends = ends => if ends.contains(&Exit::Crashed) { Exit::Crashed } else { Exit::Done },
            () = self.left() => Exit::Done,
            never = self.overdue() => match never {},
        }
    }

    async fn watch(&self, part: Part<'_>) -> Exit {
        part.work.await;
        if self.soft.is_cancelled() {
            return Exit::Done;
        }
        tracing::error!(part = part.name, "ended by itself; the process ends with it");
        self.soft.cancel();
        Exit::Crashed
    }

    /// After the second signal the parts get a moment to put back what they hold.
    async fn left(&self) {
        self.hard.cancelled().await;
        tokio::time::sleep(LEAVING).await;
    }

    /// When patience is at its end, it is as if the second signal had come.
    async fn overdue(&self) -> Infallible {
        let Some(patience) = self.patience else { return pending().await };
        self.soft.cancelled().await;
        tokio::time::sleep(patience).await;
        if !self.hard.is_cancelled() {
            tracing::warn!(
                patience_s = patience.as_secs_f64(),
                "what was begun has not ended in time and is left"
            );
            self.hard.cancel();
        }
        pending().await
    }
}

const LEAVING: Duration = Duration::from_secs(3);

/// Something that a process consists of, which ends only when told to.
pub struct Part<'a> {
    name: &'static str,
    work: std::pin::Pin<Box<dyn Future<Output = ()> + 'a>>,
}

impl<'a> Part<'a> {
    /// Under this name in the log.
    pub fn new(name: &'static str, work: impl Future<Output = ()> + 'a) -> Self {
        Self { name, work: Box::pin(work) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_part_that_dies_takes_the_others_down() {
        let lifecycle = Lifecycle::new();
        let good = Part::new("good", lifecycle.stopping().cancelled());
        let bad = Part::new("bad", async {});
        assert_eq!(lifecycle.run([good, bad]).await, Exit::Crashed);
    }

    #[tokio::test]
    async fn parts_that_end_when_told_to_end_well() {
        let lifecycle = Lifecycle::new();
        lifecycle.stopping().cancel();
        let part = Part::new("part", lifecycle.stopping().cancelled());
        assert_eq!(lifecycle.run([part]).await, Exit::Done);
        assert!(!lifecycle.leaving().is_cancelled());
    }

    #[tokio::test(start_paused = true)]
    async fn the_second_signal_does_not_wait_for_parts() {
        let lifecycle = Lifecycle::new();
        lifecycle.leaving().cancel();
        assert!(lifecycle.stopping().is_cancelled());
        let part = Part::new("deaf", pending());
        assert_eq!(lifecycle.run([part]).await, Exit::Done);
    }

    #[tokio::test(start_paused = true)]
    async fn what_does_not_end_in_time_is_left_as_after_a_second_signal() {
        let lifecycle = Lifecycle::new().within(Some(Duration::from_mins(1)));
        let begun = tokio::time::Instant::now();
        lifecycle.stopping().cancel();
        let part = Part::new("slow", lifecycle.leaving().cancelled());
        assert_eq!(lifecycle.run([part]).await, Exit::Done);
        assert_eq!(begun.elapsed().as_secs(), 60);
        let patient = Lifecycle::new();
        patient.stopping().cancel();
        let part = Part::new("slower", tokio::time::sleep(Duration::from_hours(48)));
        assert_eq!(patient.run([part]).await, Exit::Done);
        assert!(!patient.leaving().is_cancelled());
    }
}
