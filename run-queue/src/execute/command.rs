//! `{"command": …}`: a command on the worker itself.

use std::process::Stdio;
use std::time::Duration;

use common::task::Command;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::{Child, Command as Process};

use crate::handler::{Failure, Work};

/// How long a cancelled command has between SIGTERM and SIGKILL.
const GRACE: Duration = Duration::from_secs(2);

/// Runs it in the worker's folder and environment, its output beside the worker's own. A command that fails has been dealt with
/// all the same; what it ended with is in the worker's log.
pub(super) async fn perform(command: &Command, work: &Work) -> Result<(), Failure> {
    let mut child = process(command).spawn().map_err(Failure::retry)?;
    let status = tokio::select! {
        status = child.wait() => status.map_err(Failure::retry)?,
        () = work.cancelled.cancelled() => {
            end(&mut child).await;
            return Err(Failure::Abandoned);
        }
    };
    if status.success() {
        tracing::info!("the command succeeded");
    } else {
        tracing::error!(%status, "the command failed");
    }
    Ok(())
}

fn process(command: &Command) -> Process {
    let mut process = match command {
        Command::Shell(text) => {
            let mut shell = Process::new("sh");
            shell.arg("-c").arg(text);
            shell
        }
        Command::Words(words) => {
            let mut words = words.iter();
            let mut process = Process::new(words.next().map_or("", String::as_str));
            process.args(words);
            process
        }
    };
    process.stdin(Stdio::null()).process_group(0).kill_on_drop(true);
    process
}

/// Ends the whole group: what the shell started would outlive it.
async fn end(child: &mut Child) {
    let group = child.id().and_then(|it| i32::try_from(it).ok()).and_then(Pid::from_raw);
    for signal in [Signal::TERM, Signal::KILL] {
        if let Some(group) = group
            && let Err(error) = kill_process_group(group, signal)
        {
            tracing::debug!(%error, "the command's group");
        }
        let ended = tokio::time::timeout(GRACE, child.wait()).await;
        tracing::debug!(?signal, ended = ended.is_ok(), "a command is ended");
    }
}

#[cfg(test)]
mod tests {
    use common::broker::Headers;
    use common::queue::Queue;
    use tokio_util::sync::CancellationToken;

    use super::*;

    fn work(cancelled: CancellationToken) -> Work {
        Work { queue: Queue::Public, body: bytes::Bytes::new(), headers: Headers::fresh(), cancelled }
    }

    #[tokio::test]
    async fn commands_run_with_and_without_a_shell_and_may_fail() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a b").display().to_string();
        let work = work(CancellationToken::new());
        let words = vec!["touch".to_owned(), file.clone()];
        perform(&Command::Words(words), &work).await.unwrap();
        perform(&Command::Shell(format!("rm '{file}'; exit 3")), &work).await.unwrap();
        assert!(!std::path::Path::new(&file).exists());
    }

    #[tokio::test]
    async fn a_program_that_is_not_there_may_be_there_elsewhere() {
        let command = Command::Words(vec!["/nonexistent/program".to_owned()]);
        let failure = perform(&command, &work(CancellationToken::new())).await.unwrap_err();
        assert!(matches!(failure, Failure::Retry(_)), "{failure:?}");
    }

    #[tokio::test]
    async fn a_cancelled_command_ends_with_all_that_it_started() {
        let folder = tempfile::tempdir().unwrap();
        let fifo = folder.path().join("fifo");
        let cancelled = CancellationToken::new();
        let command = format!("mkfifo {0}; (read x < {0}) & wait", fifo.display());
        let running = tokio::spawn({
            let (work, command) = (work(cancelled.clone()), Command::Shell(command));
            async move { perform(&command, &work).await }
        });
        while !fifo.exists() {
            tokio::task::yield_now().await;
        }
        cancelled.cancel();
        assert!(matches!(running.await.unwrap(), Err(Failure::Abandoned)));
        // Opening a pipe for writing without waiting fails when nobody reads it any more.
        let flags = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap();
        let read = || {
            let mut options = std::fs::OpenOptions::new();
            std::os::unix::fs::OpenOptionsExt::custom_flags(options.write(true), flags).open(&fifo).is_ok()
        };
        let gone = async {
            while read() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), gone).await.unwrap();
    }
}
