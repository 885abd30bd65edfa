//! Programs on the worker itself, in its folder and environment, their output beside the worker's own.

use std::ffi::OsStr;
use std::fmt;
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::{Child, Command};

use super::output::{Output, Tail};
use crate::handler::{Failure, Work};

/// How long a program that is to end has between SIGTERM and SIGKILL.
const GRACE: Duration = Duration::from_secs(2);

/// How a program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// By itself.
    Exited(ExitStatus),
    /// It was ended when its time was up.
    OutOfTime,
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited(status) => match (status.code(), status.signal()) {
                (Some(code), _) => write!(f, "exit code {code}"),
                (None, Some(signal)) => write!(f, "signal {signal}"),
                (None, None) => write!(f, "{status}"),
            },
            Self::OutOfTime => f.write_str("its time being up"),
        }
    }
}

/// A program that has ended.
#[derive(Debug)]
pub(super) struct Finished {
    pub(super) ended: Ended,
    /// The end of what it said.
    pub(super) output: Tail,
}

/// A program and its arguments; no shell looks at them.
pub(super) fn program(words: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Command {
    let mut words = words.into_iter();
    let mut command = words.next().map_or_else(|| Command::new(""), Command::new);
    command.args(words);
    command
}

/// Runs it to its end. When its time is up or the work is cancelled, it ends with all that it started. What it says goes where the
/// worker's own output goes, as it comes.
pub(super) async fn run(
    mut command: Command,
    limit: Option<Duration>,
    work: &Work,
) -> Result<Finished, Failure> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.process_group(0).kill_on_drop(true).spawn().map_err(Failure::retry)?;
    let output = Output::of(&mut child);
    let ended = tokio::select! {
        status = child.wait() => status.map(Ended::Exited).map_err(Failure::retry)?,
        () = tokio::time::sleep(limit.unwrap_or(Duration::MAX)) => {
            end(&mut child).await;
            Ended::OutOfTime
        }
        () = work.cancelled.cancelled() => {
            end(&mut child).await;
            return Err(Failure::Abandoned);
        }
    };
    Ok(Finished { ended, output: output.rest().await })
}

/// Ends the whole group: what a program started would outlive it.
async fn end(child: &mut Child) {
    let group = child.id().and_then(|it| i32::try_from(it).ok()).and_then(Pid::from_raw);
    for signal in [Signal::TERM, Signal::KILL] {
        if let Some(group) = group
            && let Err(error) = kill_process_group(group, signal)
        {
            tracing::debug!(%error, "the program's group");
        }
        let ended = tokio::time::timeout(GRACE, child.wait()).await;
        tracing::debug!(?signal, ended = ended.is_ok(), "a program is ended");
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::path::Path;

    use common::broker::Headers;
    use common::queue::Queue;
    use tokio_util::sync::CancellationToken;

    use super::*;

    pub(in super::super) fn work(queue: Queue, cancelled: CancellationToken) -> Work {
        let stopping = cancelled.clone();
        Work {
            queue,
            body: bytes::Bytes::new(),
            headers: Headers::fresh(),
            cancelled,
            stopping,
            handover: CancellationToken::new(),
            is_last: false,
            desk: None,
        }
    }

    /// Makes a pipe and then something in the background that reads it for ever.
    fn reading(fifo: &Path) -> Command {
        program(["sh", "-c", &format!("mkfifo {0}; (read x < {0}) & wait", fifo.display())])
    }

    async fn exists(fifo: &Path) {
        while !fifo.exists() {
            tokio::task::yield_now().await;
        }
    }

    /// Returns when nobody reads the pipe any more.
    async fn unread(fifo: &Path) {
        // Opening a pipe for writing without waiting fails then.
        let flags = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap();
        let read = || {
            let mut options = std::fs::OpenOptions::new();
            std::os::unix::fs::OpenOptionsExt::custom_flags(options.write(true), flags).open(fifo).is_ok()
        };
        let gone = async {
            while read() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), gone).await.unwrap();
    }

    #[tokio::test]
    async fn a_cancelled_program_ends_with_all_that_it_started() {
        let folder = tempfile::tempdir().unwrap();
        let fifo = folder.path().join("fifo");
        let cancelled = CancellationToken::new();
        let running = tokio::spawn({
            let (work, command) = (work(Queue::Public, cancelled.clone()), reading(&fifo));
            async move { run(command, None, &work).await }
        });
        exists(&fifo).await;
        cancelled.cancel();
        assert!(matches!(running.await.unwrap(), Err(Failure::Abandoned)));
        unread(&fifo).await;
    }

    #[tokio::test]
    async fn a_program_has_its_time() {
        let folder = tempfile::tempdir().unwrap();
        let fifo = folder.path().join("fifo");
        let work = work(Queue::Public, CancellationToken::new());
        let finished = run(reading(&fifo), Some(Duration::from_millis(50)), &work).await.unwrap();
        assert_eq!(finished.ended, Ended::OutOfTime);
        if fifo.exists() {
            unread(&fifo).await;
        }
    }

    #[tokio::test]
    async fn the_end_of_what_a_program_says_is_kept() {
        let work = work(Queue::Public, CancellationToken::new());
        let script = "echo out; echo err >&2; printf 'no newline'; kill -9 $$";
        let Finished { ended, output } = run(program(["sh", "-c", script]), None, &work).await.unwrap();
        assert_eq!(ended.to_string(), "signal 9");
        let text = output.last_lines().text;
        assert!(text.contains("out\n") && text.contains("err\n") && text.contains("no newline"), "{text}");
    }

    #[tokio::test]
    async fn what_a_program_leaves_running_keeps_nobody_waiting_and_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let fifo = folder.path().join("fifo");
        let work = work(Queue::Public, CancellationToken::new());
        let script =
            format!("mkfifo {0}; (read x < {0}; echo more; touch {0}.done) & exit 3", fifo.display());
        let Finished { ended, .. } = run(program(["sh", "-c", &script]), None, &work).await.unwrap();
        assert_eq!(ended.to_string(), "exit code 3");
        tokio::fs::write(&fifo, "go\n").await.unwrap();
        let done = fifo.with_extension("done");
        tokio::time::timeout(Duration::from_secs(10), exists(&done)).await.unwrap();
    }

    #[tokio::test]
    async fn a_program_that_is_not_there_may_be_there_elsewhere() {
        let work = work(Queue::Public, CancellationToken::new());
        for words in [&["/nonexistent/program"][..], &[]] {
            let failure = run(program(words), None, &work).await.unwrap_err();
            assert!(matches!(failure, Failure::Retry(_)), "{failure:?}");
        }
    }
}
