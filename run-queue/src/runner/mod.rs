//! `job-runner`: one job, run by hand with the worker's own code.

mod configuration;
mod job;
mod options;

use std::io::{IsTerminal, stdin, stdout};
use std::os::fd::AsFd;
use std::process::ExitCode;
use std::time::Duration;

use common::config::ConfigError;
use common::lifecycle::Lifecycle;
use common::logs::Echo;
use common::task::Job;

pub use self::options::JobRunner;
use crate::execute::{ByHand, Ended, Executor, Verdict};
use crate::handler::Failure;

/// For `--help`.
const EXIT_CODES: &str = "Exit codes: 0 the job is green; 1 it is red; 2 wrong usage or configuration, or the forge does not have what \
                          the job names; 3 the forge, the place for logs, the container engine or this machine is at fault; 130 \
                          cancelled (Ctrl-C or SIGTERM; a second one does not wait for anything).";

/// How the program ends.
#[derive(Debug)]
enum Exit {
    /// What was asked for beside a job is done.
    Done,
    /// The job has ended.
    Ended(Ended),
    /// It was stopped before the job began, or does not wait until it has ended.
    Cancelled,
}

/// Why there was no job.
#[derive(Debug, thiserror::Error)]
enum Refused {
    /// The configuration is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The command line is.
    #[error("{0}")]
    Usage(String),
    /// What the job names cannot be run, now or ever.
    #[error("{0}")]
    Impossible(String),
    /// It could be run at another time or place.
    #[error("{0}")]
    Trouble(String),
}

impl JobRunner {
    /// All of it.
    pub async fn run(self) -> ExitCode {
        self.install();
        match Box::pin(self.end()).await {
            Ok(Exit::Done) => ExitCode::SUCCESS,
            Ok(Exit::Cancelled) => {
                eprintln!("job-runner: cancelled");
                ExitCode::from(CANCELLED)
            }
            Ok(Exit::Ended(ended)) => tell(&ended),
            Err(refused) => {
                eprintln!("job-runner: {refused}");
                ExitCode::from(if matches!(refused, Refused::Trouble(_)) { TROUBLE } else { USAGE })
            }
        }
    }

    async fn end(self) -> Result<Exit, Refused> {
        let (executor, summary) = self.configure()?;
        if self.check_config {
            summary.print();
            return Ok(Exit::Done);
        }
        let job = self.job()?;
        if self.shell_on_failure && !(stdin().is_terminal() && stdout().is_terminal()) {
            let text = "--shell-on-failure needs a terminal: standard input and output must be one";
            return Err(Refused::Usage(text.to_owned()));
        }
        let lifecycle = Lifecycle::install()
            .map_err(|error| Refused::Trouble(format!("cannot listen to signals: {error}")))?;
        let leave = async {
            lifecycle.leaving().cancelled().await;
            tokio::time::sleep(LEAVING).await;
        };
        tokio::select! {
            exit = self.perform(&job, &executor, &lifecycle) => exit,
            () = leave => Ok(Exit::Cancelled),
        }
    }

    async fn perform(&self, job: &Job, executor: &Executor, lifecycle: &Lifecycle) -> Result<Exit, Refused> {
        let hand = ByHand {
            echo: if self.debug { on_stdout()? } else { Echo::none() },
            shell: self.shell_on_failure,
            cancelled: lifecycle.stopping().clone(),
            leaving: lifecycle.leaving().clone(),
        };
        match executor.by_hand(job, hand).await {
            Ok(ended) => Ok(Exit::Ended(ended)),
            Err(
                Failure::Abandoned
                | Failure::HandedOver
                | Failure::Elsewhere(_)
                | Failure::Left(_)
                | Failure::Spent,
            ) => Ok(Exit::Cancelled),
            Err(Failure::Fail(reason)) => Err(Refused::Impossible(reason)),
            Err(Failure::Retry(reason) | Failure::Later { reason, .. }) => Err(Refused::Trouble(reason)),
        }
    }
}

const RED: u8 = 1;
const USAGE: u8 = 2;
const TROUBLE: u8 = 3;
/// What shells say of a program that Ctrl-C has ended.
const CANCELLED: u8 = 130;
/// For what is put away after the second signal.
const LEAVING: Duration = Duration::from_secs(3);

/// The log itself, with nothing of ours around it.
fn on_stdout() -> Result<Echo, Refused> {
    let out = stdout().as_fd().try_clone_to_owned();
    let out =
        out.map_err(|error| Refused::Trouble(format!("cannot write to the standard output: {error}")))?;
    Ok(Echo::to(tokio::fs::File::from_std(out.into())))
}

/// One line for the person, and the exit code.
fn tell(ended: &Ended) -> ExitCode {
    let Ended { verdict, url, untold } = ended;
    let reason = if let Verdict::Internal(reason) = verdict { format!(": {reason}") } else { String::new() };
    eprintln!("job-runner: {}{reason}; log: {url}", verdict.description());
    if let Some(reason) = untold {
        eprintln!("job-runner: the forge does not know: {reason}");
    }
    ExitCode::from(match verdict {
        Verdict::Abandoned => CANCELLED,
        Verdict::Internal(_) => TROUBLE,
        _ if untold.is_some() => TROUBLE,
        Verdict::Success => 0,
        _ => RED,
    })
}
