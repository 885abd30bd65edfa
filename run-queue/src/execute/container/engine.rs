//! The engine: podman's command line, or one that takes the same words.

use std::fmt;
use std::os::unix::process::CommandExt;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use tokio::process::Command;
use tokio::sync::OnceCell;

use super::error::EngineError;

/// The words that start the engine, such as `podman` or `podman-remote --url=unix:///podman.sock`.
#[derive(Clone, Debug)]
pub struct Engine {
    program: String,
    words: Vec<String>,
    place: Arc<OnceCell<Place>>,
}

impl Default for Engine {
    fn default() -> Self {
        Self { program: "podman".to_owned(), words: Vec::new(), place: Arc::default() }
    }
}

/// Where the engine's containers are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// On this machine: their processes and files are ours to look at.
    Here,
    /// Behind a socket or a connection, so anywhere.
    Elsewhere,
}

/// Longer answers of the engine are of no use to a reader. Counted in characters.
pub(super) const WORDS: usize = 2000;
/// What is asked of the engine takes a fraction of a second; on a machine that is out of breath, some.
pub(super) const ANSWER: Duration = Duration::from_mins(2);

impl Engine {
    /// None without a word.
    #[must_use]
    pub fn new(words: Vec<String>) -> Option<Self> {
        let mut words = words.into_iter();
        let program = words.next().filter(|it| !it.is_empty())?;
        Some(Self { program, words: words.collect(), place: Arc::default() })
    }

    /// Where its containers are. It is asked once; the words alone don't say, as a connection can be podman's own setting.
    pub(super) async fn place(&self) -> Result<Place, EngineError> {
        let asked = self.place.get_or_try_init(async || {
            let mut info = self.command("info");
            info.arg("--format={{.Host.ServiceIsRemote}}");
            match self.ask("info", info).await?.as_str() {
                "false" => Ok(Place::Here),
                "true" => Ok(Place::Elsewhere),
                answer => Err(self.misunderstood("info", answer)),
            }
        });
        asked.await.copied()
    }

    pub(super) fn command(&self, verb: &str) -> Command {
        let mut command = Command::from(self.plain_command(verb));
        command.kill_on_drop(true);
        command
    }

    /// For where nobody can wait for its end.
    pub(super) fn plain_command(&self, verb: &str) -> std::process::Command {
        let mut command = std::process::Command::new(&self.program);
        // In a group of its own: what is sent to ours, such as a terminal's Ctrl-C, is not for the engine.
        command.args(&self.words).arg(verb).stdin(Stdio::null()).process_group(0);
        command
    }

    /// In our own group, with our own input and output: for who sits at the terminal.
    pub(super) fn foreground_command(&self, verb: &str) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.words).arg(verb);
        command
    }

    /// Runs the engine to its end and gives its standard output.
    pub(super) async fn ask(&self, verb: &'static str, mut command: Command) -> Result<String, EngineError> {
        let answer = tokio::time::timeout(ANSWER, command.output()).await;
        let silent = |_| EngineError::Silent { engine: self.to_string(), verb };
        let output = answer.map_err(silent)?.map_err(|it| self.missing(it))?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
        }
        Err(self.refused(verb, output.status, &output.stderr))
    }

    pub(super) fn missing(&self, source: std::io::Error) -> EngineError {
        EngineError::Missing { program: self.program.clone(), source }
    }

    pub(super) fn misunderstood(&self, verb: &'static str, answer: &str) -> EngineError {
        let answer = answer.chars().take(WORDS).collect();
        EngineError::Answer { engine: self.to_string(), verb, answer }
    }

    pub(super) fn refused(&self, verb: &'static str, status: ExitStatus, stderr: &[u8]) -> EngineError {
        let words = String::from_utf8_lossy(stderr);
        let last = words.trim().char_indices().rev().nth(WORDS).map_or(0, |(at, _)| at);
        let words = words.trim().get(last..).unwrap_or_default().to_owned();
        EngineError::Refused { engine: self.to_string(), verb, status, words }
    }
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.program)?;
        self.words.iter().try_for_each(|it| write!(f, " {it}"))
    }
}
