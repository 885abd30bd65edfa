//! The container engine: podman's command line, or one that takes the same words.

mod shell;

use std::fmt;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::net::unix::pipe;
use tokio::process::{Child, ChildStderr, ChildStdout, Command};
use tokio::task::JoinHandle;

pub(super) use shell::Kept;

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
    /// It does not answer.
    #[error("`{engine} {verb}` has not ended within {} s", ANSWER.as_secs())]
    Silent { engine: String, verb: &'static str },
    /// It said something that is no exit code.
    #[error("`{engine}` said {answer:?} instead of an exit code")]
    Answer { engine: String, answer: String },
}

/// Longer answers of the engine are of no use to a reader.
const WORDS: usize = 2000;
/// What is asked of the engine takes a fraction of a second; on a machine that is out of breath, some.
const ANSWER: Duration = Duration::from_mins(2);

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
        // In a group of its own: what is sent to ours, such as a terminal's Ctrl-C, is not for the engine.
        command.args(&self.words).arg(verb).stdin(Stdio::null()).process_group(0).kill_on_drop(true);
        command
    }

    /// Starts a container; `arguments` come after `run --init`.
    ///
    /// The engine's process stays attached to its output, which is complete and in order only there: `podman logs --follow`
    /// of 4.3 loses the middle of what a container says fast. The container itself does not need that process: its
    /// monitor keeps it, and a second copy of its output, when this worker dies.
    pub(super) fn start(&self, arguments: &[String]) -> Result<Container, EngineError> {
        let folder = tempfile::Builder::new().prefix("flotilla-container-").tempdir();
        let folder =
            folder.map_err(|source| EngineError::Io { what: "a folder for the container's id", source })?;
        let cidfile = folder.path().join("cid");
        let mut run = self.command("run");
        run.args(["--init", "--sig-proxy=false", "--log-driver=k8s-file", "--cidfile"]).arg(&cidfile);
        run.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut attached = run.spawn().map_err(|it| self.missing(it))?;
        let words = tokio::spawn(last_words(attached.stderr.take()));
        Ok(Container { engine: self.clone(), cidfile, folder, attached, words, removed: false })
    }

    /// Runs the engine to its end and gives its standard output.
    async fn ask(&self, verb: &'static str, mut command: Command) -> Result<String, EngineError> {
        let answer = tokio::time::timeout(ANSWER, command.output()).await;
        let silent = |_| EngineError::Silent { engine: self.to_string(), verb };
        let output = answer.map_err(silent)?.map_err(|it| self.missing(it))?;
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

/// The end of what the engine's process says itself. What it says before, such as the progress of a pull, is read and dropped.
async fn last_words(stderr: Option<ChildStderr>) -> Vec<u8> {
    let (Some(mut stderr), mut words) = (stderr, Vec::new()) else { return Vec::new() };
    while matches!(stderr.read_buf(&mut words).await, Ok(1..)) {
        words.drain(..words.len().saturating_sub(WORDS * 4));
    }
    words
}

/// A container that was started. It must be removed ([`Container::remove`]); one that is dropped instead, in a panic or because a
/// future was, is removed in the background.
#[derive(Debug)]
pub(super) struct Container {
    engine: Engine,
    cidfile: PathBuf,
    folder: TempDir,
    attached: Child,
    words: JoinHandle<Vec<u8>>,
    removed: bool,
}

impl Container {
    /// None while there is no container: an image may be on its way.
    fn id(&self) -> Option<String> {
        std::fs::read_to_string(&self.cidfile).ok().map(|it| it.trim().to_owned()).filter(|it| !it.is_empty())
    }

    fn command(&self, verb: &str) -> Command {
        self.engine.command(verb)
    }

    /// Its output, once: from the beginning, as it comes, to its end. Its standard error is in it as far as its command put it there.
    pub(super) const fn output(&mut self) -> Option<ChildStdout> {
        self.attached.stdout.take()
    }

    /// How it ended, once its output has. Where it did not run, the engine's words say why.
    pub(super) async fn ended(&mut self) -> Result<Ended, EngineError> {
        let status = self.attached.wait().await.map_err(|it| self.engine.missing(it))?;
        let Some(id) = self.id() else { return Err(self.refused(status).await) };
        let mut inspect = self.command("inspect");
        inspect.args(["--type=container", "--format={{.State.Status}} {{.State.ExitCode}}", &id]);
        let answer = self.engine.ask("inspect", inspect).await?;
        match answer.split_once(' ') {
            // Between `stopped` and `exited` podman only cleans up.
            Some(("exited" | "stopped", code)) => self.code(code).map(Ended::Exited),
            Some(("running" | "stopping", _)) => Ok(Ended::Detached),
            _ => Err(self.refused(status).await),
        }
    }

    async fn refused(&mut self, status: ExitStatus) -> EngineError {
        let words = (&mut self.words).await.unwrap_or_default();
        self.engine.refused("run", status, &words)
    }

    fn code(&self, answer: &str) -> Result<i32, EngineError> {
        let engine = self.engine.to_string();
        answer.trim().parse().map_err(|_| EngineError::Answer { engine, answer: answer.to_owned() })
    }

    /// The exit code of a container that goes on without anybody attached, when it has ended.
    pub(super) async fn wait(&self) -> Result<i32, EngineError> {
        let mut wait = self.command("wait");
        let output = wait.args(self.id()).output().await.map_err(|it| self.engine.missing(it))?;
        if !output.status.success() {
            return Err(self.engine.refused("wait", output.status, &output.stderr));
        }
        self.code(&String::from_utf8_lossy(&output.stdout))
    }

    /// The output of a container that has ended, from the engine's own copy, without the first bytes.
    pub(super) async fn output_after(
        &self,
        bytes: u64,
    ) -> Result<impl AsyncRead + Unpin + use<>, EngineError> {
        let copy_failed = |source| EngineError::Io { what: "the engine's copy of the output", source };
        let mut logs = self.command("logs");
        let (reader, writer) = std::io::pipe().map_err(copy_failed)?;
        // It ends with the pipe, so nobody has to keep it.
        logs.args(self.id()).stdout(writer).stderr(Stdio::null()).kill_on_drop(false);
        logs.spawn().map_err(|it| self.engine.missing(it))?;
        drop(logs);
        let mut output = pipe::Receiver::from_owned_fd(reader.into()).map_err(copy_failed)?;
        let skipped = tokio::io::copy(&mut (&mut output).take(bytes), &mut tokio::io::sink()).await;
        skipped.map_err(copy_failed)?;
        Ok(output)
    }

    /// Ends it at once, so that what it left can be copied out. False if there was none yet.
    pub(super) async fn kill(&mut self) -> Result<bool, EngineError> {
        if self.id().is_none() {
            return Ok(false);
        }
        let mut kill = self.command("kill");
        kill.args(self.id());
        self.engine.ask("kill", kill).await.map(|_| true)
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

    /// Removes it by force, with its volumes; also what is only about to be one.
    pub(super) async fn remove(mut self) -> Result<(), EngineError> {
        self.attached.kill().await.map_err(|it| self.engine.missing(it))?;
        if self.id().is_none() {
            return Ok(());
        }
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

/// How a container stands when nobody is attached any more.
pub(super) enum Ended {
    /// It ended with this code, and all of its output has come.
    Exited(i32),
    /// It runs: the attached process was killed by somebody else.
    Detached,
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
