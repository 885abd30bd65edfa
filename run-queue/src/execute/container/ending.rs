//! How a container stands, and when it ends.
//!
//! The kernel says when the first process of a container is gone; the engine, asked then, has its exit code, as its monitor writes
//! that down when it has the last of the output. That takes some 40 ms. An engine's process that waits (`podman wait`) would
//! be one more process for each job, look every 250 ms by default, and come after the engine's own clean-up.

use std::os::fd::OwnedFd;
use std::time::Duration;

use backon::{ConstantBuilder, Retryable};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::engine::Engine;
use super::error::EngineError;

/// How long the monitor may take from the end of the process to its exit code; a busy disk makes it late.
const PATIENCE: Duration = Duration::from_secs(30);
/// The pause between two questions while it does.
const PAUSE: Duration = Duration::from_millis(10);
/// The engine is asked this often even if the kernel says nothing, for processes that we cannot see, or took for another.
const UNSEEN: Duration = Duration::from_secs(1);
const SEEN: Duration = Duration::from_mins(1);
/// How often, and with which pauses, it is asked again when it refuses.
const REFUSALS: usize = 2;
const REFUSAL_PAUSE: Duration = Duration::from_millis(100);

/// How a container stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It was made, and did not run.
    Made,
    /// It runs; with the number of its first process, where its machine is ours.
    Running(i32),
    /// It has ended with this code, and all of its output has been written. The engine is still cleaning up.
    Stopped(i32),
    /// The same, and the engine has cleaned up.
    Ended(i32),
}

impl Engine {
    /// How a container stands. podman 4.3 refuses to say while a process that it looks at ends (`read /proc/7/cgroup: no such process`),
    /// so it is asked again.
    pub(super) async fn state(&self, name: &str) -> Result<State, EngineError> {
        let pauses = ConstantBuilder::new().with_delay(REFUSAL_PAUSE).with_max_times(REFUSALS);
        let asked = || self.state_once(name);
        asked.retry(pauses).when(|it| matches!(it, EngineError::Refused { .. })).await
    }

    async fn state_once(&self, name: &str) -> Result<State, EngineError> {
        let mut inspect = self.command("inspect");
        let format = "--format={{.State.Status}} {{.State.ExitCode}} {{.State.Pid}}";
        inspect.args(["--type=container", format, name]);
        let answer = self.ask("inspect", inspect).await?;
        state(&answer).ok_or_else(|| self.misunderstood("inspect", &answer))
    }

    /// Whether the engine sees what runs in a container. It may where we do not, as in another namespace of processes.
    async fn sees_processes(&self, name: &str) -> Result<bool, EngineError> {
        let mut top = self.command("top");
        top.args([name, "pid"]);
        match self.ask("top", top).await {
            Ok(_) => Ok(true),
            Err(EngineError::Refused { words, .. }) => {
                tracing::debug!(name, words, "the engine does not see what runs in a container");
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    /// Waits until the engine has cleaned up after a container that has ended: what it unmounts meanwhile cannot be copied.
    pub(super) async fn cleaned_up(&self, name: &str) -> Result<(), EngineError> {
        let since = Instant::now();
        while matches!(self.state(name).await?, State::Stopped(_)) && since.elapsed() < PATIENCE {
            tokio::time::sleep(PAUSE).await;
        }
        Ok(())
    }
}

fn state(answer: &str) -> Option<State> {
    let mut words = answer.split(' ');
    let (status, code, process) = (words.next()?, words.next()?, words.next()?);
    match status {
        "created" | "configured" | "initialized" => Some(State::Made),
        "stopped" => code.parse().ok().map(State::Stopped),
        "exited" => code.parse().ok().map(State::Ended),
        "running" | "stopping" | "paused" | "removing" => process.parse().ok().map(State::Running),
        _ => None,
    }
}

/// Waits for a container's end in the background.
pub(super) struct Ending {
    name: String,
    /// None when it has been heard.
    waiting: Option<AbortOnDropHandle<Result<i32, EngineError>>>,
    code: Option<i32>,
    /// Cancelled when there is no more to come, for whatever reason.
    pub(super) over: CancellationToken,
}

impl Ending {
    pub(super) fn watch(engine: Engine, name: String) -> Self {
        let over = CancellationToken::new();
        let guard = over.clone().drop_guard();
        let waiting = tokio::spawn({
            let name = name.clone();
            async move {
                let _guard = guard;
                wait(&engine, &name, PATIENCE).await
            }
        });
        Self { name, waiting: Some(AbortOnDropHandle::new(waiting)), code: None, over }
    }

    /// The exit code. An error is told once; after it nobody knows the code. Dropping the future loses nothing.
    pub(super) async fn code(&mut self) -> Result<i32, EngineError> {
        let lost = || EngineError::Lost { name: self.name.clone() };
        if let Some(waiting) = &mut self.waiting {
            let heard = waiting.await;
            self.waiting = None;
            self.code = Some(heard.map_err(|_| lost())??);
        }
        self.code.ok_or_else(lost)
    }
}

/// `patience` is for a monitor that does not say how its container has ended, as it may be dead.
async fn wait(engine: &Engine, name: &str, patience: Duration) -> Result<i32, EngineError> {
    let lost = || EngineError::Lost { name: name.to_owned() };
    let mut watched: Option<Process> = None;
    // Since when its process is gone, or not to be seen from here.
    let mut gone: Option<Instant> = None;
    loop {
        let number = match engine.state(name).await? {
            State::Stopped(code) | State::Ended(code) => return Ok(code),
            State::Made => return Err(EngineError::NeverRan { name: name.to_owned() }),
            State::Running(number) => number,
        };
        let is_late = gone.is_some_and(|it| it.elapsed() > patience);
        // One that was opened before the engine says that it runs is the container's: its number was not another's meanwhile.
        match &watched {
            Some(process) if process.number == number => match gone {
                None => gone = process.ended(SEEN).await.then(Instant::now),
                Some(_) if is_late => return Err(lost()),
                Some(_) => tokio::time::sleep(PAUSE).await,
            },
            _ => {
                watched = Process::open(number);
                if watched.is_some() {
                    gone = None;
                } else if is_late && !engine.sees_processes(name).await? {
                    return Err(lost());
                } else {
                    // What the engine sees is asked again as late as the first time.
                    gone = gone.filter(|_| !is_late).or_else(|| Some(Instant::now()));
                    tokio::time::sleep(UNSEEN).await;
                }
            }
        }
    }
}

/// A process that is not our child.
struct Process {
    number: i32,
    handle: AsyncFd<OwnedFd>,
}

impl Process {
    /// None where there is none of that number, at least for us.
    fn open(number: i32) -> Option<Self> {
        let handle = pidfd_open(Pid::from_raw(number)?, PidfdFlags::NONBLOCK).ok()?;
        #[expect(
            deprecated,
            reason = "the new form is unsafe code for types that could change their descriptor; ours can't"
        )]
        let handle = AsyncFd::with_interest(handle, Interest::READABLE).ok()?;
        Some(Self { number, handle })
    }

    /// Whether it ends within this time.
    async fn ended(&self, within: Duration) -> bool {
        tokio::time::timeout(within, self.handle.readable()).await.is_ok_and(|it| it.is_ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_engines_words_for_states() {
        for (answer, expected) in [
            ("running 0 42", Some(State::Running(42))),
            ("paused 0 42", Some(State::Running(42))),
            ("exited 7 0", Some(State::Ended(7))),
            ("stopped 137 0", Some(State::Stopped(137))),
            ("created 0 0", Some(State::Made)),
            ("exited", None),
            ("dancing 0 0", None),
            ("", None),
        ] {
            assert_eq!(state(answer), expected, "{answer}");
        }
    }

    /// An engine that says that a container runs whose process is gone, and does or does not see it all the same.
    fn deceived(sees: bool) -> Engine {
        let script = format!("case $0 in inspect) echo running 0 4194305 ;; top) {sees} ;; esac");
        Engine::new(["sh", "-c", &script].map(str::to_owned).into()).unwrap()
    }

    #[tokio::test]
    async fn a_container_whose_process_was_never_seen_and_is_gone_is_lost() {
        let waits = async |sees| {
            let engine = deceived(sees);
            let waiting = wait(&engine, "it", Duration::ZERO);
            tokio::time::timeout(2 * UNSEEN + UNSEEN / 2, waiting).await
        };
        let lost = waits(false).await.unwrap().unwrap_err();
        assert!(matches!(lost, EngineError::Lost { .. }), "{lost}");
        assert!(waits(true).await.is_err(), "it runs where we cannot see it");
    }

    /// An engine that refuses so often, and then says that the container has ended.
    fn refusing(times: u32, folder: &std::path::Path) -> Engine {
        let script = format!(
            "echo >> {0}; [ $(wc -l < {0}) -gt {times} ] && echo exited 7 0 && exit; echo no such process >&2; exit 125",
            folder.join("asked").display()
        );
        Engine::new(["sh", "-c", &script].map(str::to_owned).into()).unwrap()
    }

    #[tokio::test]
    async fn an_engine_that_refuses_for_a_moment_is_asked_again() {
        let folder = tempfile::tempdir().unwrap();
        let (twice, forever) = (folder.path().join("twice"), folder.path().join("forever"));
        std::fs::create_dir(&twice).unwrap();
        std::fs::create_dir(&forever).unwrap();
        assert_eq!(refusing(2, &twice).state("it").await.unwrap(), State::Ended(7));
        let refused = refusing(u32::MAX, &forever).state("it").await.unwrap_err();
        assert!(matches!(refused, EngineError::Refused { .. }), "{refused}");
    }

    #[tokio::test]
    async fn the_end_of_a_process_is_noticed() {
        let mut child =
            tokio::process::Command::new("cat").stdin(std::process::Stdio::piped()).spawn().unwrap();
        let process = Process::open(child.id().unwrap().cast_signed()).unwrap();
        assert!(!process.ended(Duration::from_millis(20)).await);
        drop(child.stdin.take());
        assert!(process.ended(Duration::from_secs(20)).await);
        child.wait().await.unwrap();
        assert!(Process::open(process.number).is_none());
    }
}
