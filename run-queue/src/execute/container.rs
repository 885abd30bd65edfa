//! The container engine: podman's command line, or one that takes the same words.

use std::fmt;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use tokio::process::{Child, ChildStdout, Command};

/// The words that start the engine, such as `podman` or `podman-remote --url=unix:///podman.sock`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Engine {
    program: String,
    words: Vec<String>,
}

impl Default for Engine {
    fn default() -> Self {
        Self { program: "podman".to_owned(), words: Vec::new() }
    }
}

/// The engine did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub(super) enum EngineError {
    /// It is not there.
    #[error("the container engine `{program}` cannot be started")]
    Missing {
        program: String,
        #[source]
        source: std::io::Error,
    },
    /// It refused.
    #[error("`{engine} {verb}` ended with {status}: {words}")]
    Refused { engine: String, verb: &'static str, status: ExitStatus, words: String },
    /// A pipe to it, or the folder for its files, failed.
    #[error("{what}")]
    Io {
        what: &'static str,
        #[source]
        source: std::io::Error,
    },
    /// It said something that is no exit code.
    #[error("`{engine} wait` said {answer:?} instead of an exit code")]
    Answer { engine: String, answer: String },
}

/// Longer answers of the engine are of no use to a reader.
const WORDS: usize = 2000;
/// After the container has ended, its log is read to the end within this.
const LAST_LINES: Duration = Duration::from_secs(10);

impl Engine {
    /// None without a word.
    #[must_use]
    pub fn new(words: Vec<String>) -> Option<Self> {
        let mut words = words.into_iter();
        let program = words.next().filter(|it| !it.is_empty())?;
        Some(Self { program, words: words.collect() })
    }

    fn command(&self, verb: &str) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.words).arg(verb).stdin(Stdio::null()).kill_on_drop(true);
        command
    }

    /// Starts a container that outlives this process; `arguments` come after `run --detach --init`.
    ///
    /// Dropping the future in the middle (a pull can take minutes) leaves nothing behind.
    pub(super) async fn start(&self, arguments: &[String]) -> Result<Container, EngineError> {
        let folder = tempfile::Builder::new().prefix("flotilla-container-").tempdir();
        let folder =
            folder.map_err(|source| EngineError::Io { what: "a folder for the container's id", source })?;
        let container =
            Container { engine: self.clone(), cidfile: folder.path().join("cid"), folder, removed: false };
        let mut run = self.command("run");
        run.args(["--detach", "--init", "--cidfile"]).arg(&container.cidfile).args(arguments);
        self.ask("run", run).await?;
        Ok(container)
    }

    /// Runs the engine to its end and gives its standard output.
    async fn ask(&self, verb: &'static str, mut command: Command) -> Result<String, EngineError> {
        let output = command.output().await.map_err(|it| self.missing(it))?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
        }
        Err(self.refused(verb, output.status, &output.stderr))
    }

    fn missing(&self, source: std::io::Error) -> EngineError {
        EngineError::Missing { program: self.program.clone(), source }
    }

    fn refused(&self, verb: &'static str, status: ExitStatus, stderr: &[u8]) -> EngineError {
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

/// A container that was started. It must be removed ([`Container::remove`]); one that is dropped instead, in a panic or because a
/// future was, is removed in the background.
#[derive(Debug)]
pub(super) struct Container {
    engine: Engine,
    cidfile: PathBuf,
    folder: TempDir,
    removed: bool,
}

impl Container {
    fn id(&self) -> Option<String> {
        std::fs::read_to_string(&self.cidfile).ok().map(|it| it.trim().to_owned()).filter(|it| !it.is_empty())
    }

    fn command(&self, verb: &str) -> Command {
        self.engine.command(verb)
    }

    /// Its output from the beginning, both streams in one, as it comes.
    pub(super) fn output(&self) -> Result<Output, EngineError> {
        let pipe_failed = |source| EngineError::Io { what: "a pipe for the container's output", source };
        let (reader, writer) = std::io::pipe().map_err(pipe_failed)?;
        let errors = writer.try_clone().map_err(pipe_failed)?;
        let mut logs = self.command("logs");
        logs.arg("--follow").args(self.id()).stdout(writer).stderr(errors);
        let child = logs.spawn().map_err(|it| self.engine.missing(it))?;
        drop(logs);
        let reader = pipe::Receiver::from_owned_fd(reader.into()).map_err(pipe_failed)?;
        Ok(Output { child, reader })
    }

    /// Its exit code, when it has ended.
    pub(super) async fn wait(&self) -> Result<i32, EngineError> {
        let mut wait = self.command("wait");
        wait.args(self.id());
        let answer = self.engine.ask("wait", wait).await?;
        answer.parse().map_err(|_| EngineError::Answer { engine: self.engine.to_string(), answer })
    }

    /// Ends it at once, so that what it left can be copied out.
    pub(super) async fn kill(&self) -> Result<(), EngineError> {
        let mut kill = self.command("kill");
        kill.args(self.id());
        self.engine.ask("kill", kill).await.map(drop)
    }

    /// A folder in it, as a tar stream. Its end is the end of the stream; [`Copying::finish`] says whether all came.
    pub(super) fn copy_out(&self, path: &str) -> Result<Copying, EngineError> {
        let mut copy = self.command("cp");
        copy.arg(format!("{}:{path}/.", self.id().unwrap_or_default())).arg("-");
        let mut child = copy
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|it| self.engine.missing(it))?;
        let stdout = child.stdout.take();
        Ok(Copying { engine: self.engine.clone(), child, stdout })
    }

    /// Removes it by force, with its volumes.
    pub(super) async fn remove(mut self) -> Result<(), EngineError> {
        let removed = self.engine.ask("rm", self.removal().into()).await;
        self.removed = removed.is_ok();
        removed.map(drop)
    }

    fn removal(&self) -> std::process::Command {
        let mut remove = std::process::Command::new(&self.engine.program);
        remove.args(&self.engine.words).args(["rm", "--force", "--time", "0", "--volumes"]).args(self.id());
        remove.stdin(Stdio::null());
        remove
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        if self.removed || self.id().is_none() {
            return;
        }
        // Not waited for: it is a last resort, and the engine needs no parent.
        let spawned = self.removal().stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        tracing::warn!(ok = spawned.is_ok(), folder = %self.folder.path().display(), "a container was left and is removed");
    }
}

/// See [`Container::output`].
pub(super) struct Output {
    child: Child,
    reader: pipe::Receiver,
}

impl Output {
    /// Where it comes out.
    pub(super) const fn reader(&mut self) -> &mut pipe::Receiver {
        &mut self.reader
    }

    /// Limits what follows: the container has ended, so its log must, too.
    pub(super) async fn rest<T>(reading: impl Future<Output = T>) -> Option<T> {
        tokio::time::timeout(LAST_LINES, reading).await.ok()
    }

    /// Whether the engine read the log to its end.
    pub(super) async fn finish(mut self) -> bool {
        let ended = tokio::time::timeout(LAST_LINES, self.child.wait()).await;
        matches!(ended, Ok(Ok(status)) if status.success())
    }
}

/// See [`Container::copy_out`].
pub(super) struct Copying {
    engine: Engine,
    child: Child,
    stdout: Option<ChildStdout>,
}

impl Copying {
    /// The stream, once.
    pub(super) const fn stream(&mut self) -> Option<ChildStdout> {
        self.stdout.take()
    }

    /// Whether all came.
    pub(super) async fn finish(mut self) -> Result<(), EngineError> {
        let mut words = Vec::new();
        if let Some(stderr) = self.child.stderr.take() {
            let read = stderr.take(WORDS as u64 * 4).read_to_end(&mut words).await;
            read.map_err(|source| EngineError::Io { what: "the engine's words", source })?;
        }
        let status = self.child.wait().await.map_err(|it| self.engine.missing(it))?;
        if status.success() { Ok(()) } else { Err(self.engine.refused("cp", status, &words)) }
    }
}
