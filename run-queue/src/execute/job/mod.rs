//! `{"job": …}`: a repository's tests in a container, from the first status to the last (wire facts, "Running a job").

mod arguments;
mod plan;
mod report;
mod run;
mod verdict;

use common::Chain;
use common::logs::{Log, LogError};
use common::task::Job;

pub use verdict::Verdict;

use self::report::Reporter;
use self::run::Run;
use super::Executor;
use crate::handler::{Failure, Work};

/// Runs the job and tells how it ended. What is ours or the infrastructure's is reported as an error and tried again.
pub(super) async fn perform(job: &Job, work: &Work, cx: &Executor) -> Result<(), Failure> {
    let plan = plan::plan(job, cx).await?;
    if plan.is_judged().await? {
        tracing::info!(repo.name = %job.repo, "the commit has a verdict for this context; nothing is run");
        return Ok(());
    }
    let mut log = cx.logs.open(&plan.slug).await.map_err(Failure::retry)?;
    let reporter = Reporter { plan: &plan, url: log.url(), host: &cx.host };
    reporter.begin().await?;
    let ended = Run { plan: &plan, work, cx, url: &reporter.url }.run(&mut log).await;
    let verdict = ended.unwrap_or_else(|error| Verdict::Internal(format!("{error:#}")));
    // A log that can't be stored is the infrastructure's trouble, and must not keep anybody from being told.
    let verdict = match end(log, &verdict).await {
        Err(error) if verdict != Verdict::Abandoned => Verdict::Internal(Chain(&error).to_string()),
        _ => verdict,
    };
    if verdict == Verdict::Abandoned {
        return Err(Failure::Abandoned);
    }
    reporter.end(&verdict).await?;
    match verdict {
        Verdict::Internal(reason) => Err(Failure::Retry(reason)),
        _ => Ok(()),
    }
}

async fn end(mut log: Log, verdict: &Verdict) -> Result<(), LogError> {
    log.write(format!("\n{}\n", verdict.trailer())).await?;
    log.finish().await
}

/// An error with its causes, for a log that ends with it.
fn chain(error: &dyn std::error::Error) -> anyhow::Error {
    anyhow::anyhow!("{}", Chain(error))
}
