//! `{"job": …}`: a repository's tests in a container, from the first status to the last (wire facts, "Running a job").

mod arguments;
mod by_hand;
mod plan;
mod report;
mod run;
mod shell;
mod turn;
mod verdict;

use std::time::Duration;

use common::Chain;
use common::logs::{Log, LogError};
use common::task::Job;

pub(super) use by_hand::perform as by_hand;
pub use by_hand::{ByHand, Ended};
pub use turn::Running;
pub use verdict::Verdict;

use self::plan::{Plan, Standing};
use self::report::Reporter;
use self::run::Run;
use self::turn::Turn;
use super::Executor;
use crate::handler::{Failure, Work};

/// Runs the job and tells how it ended. What is ours or the infrastructure's is reported as an error and tried again.
pub(super) async fn perform(job: &Job, work: &Work, cx: &Executor) -> Result<(), Failure> {
    let taken = take(job, work, cx).await;
    if let Err(Failure::Retry(_) | Failure::Fail(_)) = &taken {
        report::trouble(job, cx.forges.get(job.forge.as_ref()), &cx.host).await;
    }
    let Taken { plan, what, turn: _turn } = taken?;
    match what {
        Next::Nothing => Ok(()),
        Next::Tell(stale) => supersede(&plan, &stale, work, cx).await,
        Next::Run(log) => deliver(&plan, log, work, cx).await,
    }
}

/// What is to be done about a job, by the one who does it.
struct Taken<'a> {
    plan: Plan<'a>,
    what: Next,
    turn: Turn,
}

enum Next {
    /// Somebody has done it.
    Nothing,
    /// It is stale, and that has to be told.
    Tell(Verdict),
    /// To be run, with its open log.
    Run(Log),
}

async fn take<'a>(job: &'a Job, work: &Work, cx: &'a Executor) -> Result<Taken<'a>, Failure> {
    let plan = plan::plan(job, cx).await?;
    // The verdict is asked for in one's turn: who had it before has told theirs.
    let turn = cx.running.begin(plan.key(&work.headers.id)).ok_or_else(|| Failure::Later {
        reason: "the same work is being done here for another message".to_owned(),
        at_least: cx.poll,
    })?;
    let what = match plan.standing().await? {
        Standing::Judged => {
            tracing::info!(repo.name = %job.repo, "the commit has a verdict for this context; nothing is run");
            Next::Nothing
        }
        Standing::Stale(stale) => Next::Tell(stale),
        Standing::Due => Next::Run(patient(work, cx.logs.open(&plan.slug)).await?.map_err(Failure::retry)?),
    };
    Ok(Taken { plan, what, turn })
}

/// Tells that the job came too late: its pull is closed or has another head. Its log has that one line, for who follows the link.
async fn supersede(plan: &Plan<'_>, stale: &Verdict, work: &Work, cx: &Executor) -> Result<(), Failure> {
    tracing::info!(repo.name = %plan.job.repo, reason = stale.description(), "the job is stale; nothing is run");
    let noted = async {
        let mut log = cx.logs.open(&plan.slug).await?;
        let url = log.url();
        log.write(format!("{}\n\nNot run, on: {}\n", plan.title, cx.host)).await?;
        end(log, stale).await.map(|()| url)
    };
    // Who reports nothing has no reader. A log that can't be stored must not keep anybody from being told.
    let url = if plan.reports() { patient(work, noted).await? } else { Ok(String::new()) };
    let url = url.unwrap_or_else(|error| {
        tracing::warn!(error = %Chain(&error), "a stale job has no log");
        String::new()
    });
    Reporter { plan, url, host: &cx.host }.end(stale, &work.cancelled).await
}

/// Runs the job of a delivery and tells how it ended, unless it will be delivered again.
async fn deliver(plan: &Plan<'_>, log: Log, work: &Work, cx: &Executor) -> Result<(), Failure> {
    let reporter = Reporter { plan, url: log.url(), host: &cx.host };
    let run = Run { plan, work, cx, url: &reporter.url, worker: &cx.host, shell: None };
    let verdict = course(&reporter, &run, log).await?;
    if verdict == Verdict::Abandoned {
        return Err(Failure::Abandoned);
    }
    reporter.end(&verdict, &work.cancelled).await?;
    match verdict {
        Verdict::Internal(reason) => Err(Failure::Retry(reason)),
        _ => Ok(()),
    }
}

/// From the first status to the end of the log, for whoever wants the job run. Telling the verdict is theirs, as is what a
/// cancellation means. An error is that the forge was not told that the job begins.
async fn course(reporter: &Reporter<'_>, run: &Run<'_>, mut log: Log) -> Result<Verdict, Failure> {
    if let Err(failure) = reporter.begin().await {
        end(log, &Verdict::Internal("the forge was not told that the job begins".to_owned())).await.ok();
        return Err(failure);
    }
    let verdict = run.run(&mut log).await.unwrap_or_else(|error| Verdict::Internal(format!("{error:#}")));
    Ok(match patient(run.work, end(log, &verdict)).await {
        // A log that can't be stored is the infrastructure's trouble, and must not keep anybody from being told.
        Ok(Err(error)) if !verdict.is_trouble() => Verdict::Internal(Chain(&error).to_string()),
        Ok(_) => verdict,
        Err(_) => Verdict::Abandoned,
    })
}

/// A place for logs may be away for minutes. That must not keep a worker from leaving: what a log has stays as it is.
async fn patient<T>(work: &Work, doing: impl Future<Output = T>) -> Result<T, Failure> {
    let leave = async {
        work.cancelled.cancelled().await;
        tokio::time::sleep(LEAVING).await;
    };
    tokio::select! {
        done = doing => Ok(done),
        () = leave => Err(Failure::Abandoned),
    }
}

/// How long a log's end may take when the worker leaves.
const LEAVING: Duration = Duration::from_secs(5);

async fn end(mut log: Log, verdict: &Verdict) -> Result<(), LogError> {
    log.write(format!("\n{}\n", verdict.trailer())).await?;
    log.finish().await
}

/// An error with its causes, for a log that ends with it.
fn chain(error: &dyn std::error::Error) -> anyhow::Error {
    anyhow::anyhow!("{}", Chain(error))
}
