//! A process of the engine that takes its time: it makes a container, or is attached to one.

use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::AsyncReadExt;
use tokio::process::{Child, ChildStderr, ChildStdout, Command};
use tokio::task::JoinHandle;

use super::engine::{Engine, WORDS};
use super::error::EngineError;

/// How long the engine has to drop what it is about to make.
const GRACE: Duration = Duration::from_secs(1);

/// One that is dropped is killed.
pub(super) struct Client {
    /// In a box, as it is much larger than all around it.
    child: Box<Child>,
    words: JoinHandle<Vec<u8>>,
}

impl Client {
    pub(super) fn spawn(engine: &Engine, mut command: Command) -> Result<Self, EngineError> {
        let child = command.stderr(Stdio::piped()).spawn();
        let mut child = child.map_err(|it| engine.missing(it))?;
        let words = tokio::spawn(last_words(child.stderr.take()));
        Ok(Self { child: Box::new(child), words })
    }

    /// Its standard output, once, where that is a pipe.
    pub(super) const fn stdout(&mut self) -> Option<ChildStdout> {
        self.child.stdout.take()
    }

    /// Waits for its end. Dropping the future loses nothing.
    pub(super) async fn ended(&mut self, engine: &Engine) -> Result<ExitStatus, EngineError> {
        self.child.wait().await.map_err(|it| engine.missing(it))
    }

    /// The end of what it said, once it has ended.
    pub(super) async fn words(self) -> Vec<u8> {
        self.words.await.unwrap_or_default()
    }

    /// Ends it. The engine is asked first, so that it can drop what is half made.
    pub(super) async fn stop(mut self) {
        if let Some(id) = self.child.id().and_then(|it| Pid::from_raw(it.cast_signed())) {
            // It may have ended meanwhile.
            let _ = kill_process(id, Signal::TERM);
        }
        if tokio::time::timeout(GRACE, self.child.wait()).await.is_err() {
            let _ = self.child.kill().await;
        }
    }
}

/// The end of what the engine's process says itself. What it says before, such as the progress of a pull, is read and dropped.
async fn last_words(stderr: Option<ChildStderr>) -> Vec<u8> {
    let (Some(mut stderr), mut words) = (stderr, Vec::new()) else { return Vec::new() };
    while matches!(stderr.read_buf(&mut words).await, Ok(1..)) {
        words.drain(..words.len().saturating_sub(WORDS * 4));
    }
    words
}
