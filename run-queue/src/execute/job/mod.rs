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

use self::plan::Plan;
use self::report::Reporter;
use self::run::Run;
use super::Executor;
use crate::handler::{Failure, Work};

/// Runs the job and tells how it ended. What is ours or the infrastructure's is reported as an error and tried again.
pub(super) async fn perform(job: &Job, work: &Work, cx: &Executor) -> Result<(), Failure> {
    let begun = begin(job, cx).await;
    if let Err(Failure::Retry(_) | Failure::Fail(_)) = &begun {
        report::trouble(job, cx.forges.get(job.forge.as_ref()), &cx.host).await;
    }
    let Some((plan, mut log)) = begun? else { return Ok(()) };
    let reporter = Reporter { plan: &plan, url: log.url(), host: &cx.host };
    if let Err(failure) = reporter.begin().await {
        end(log, &Verdict::Internal("the forge was not told that the job begins".to_owned())).await.ok();
        return Err(failure);
    }
    let ended = Run { plan: &plan, work, cx, url: &reporter.url }.run(&mut log).await;
    let mut verdict = ended.unwrap_or_else(|error| Verdict::Internal(format!("{error:#}")));
    // A log that can't be stored is the infrastructure's trouble, and must not keep anybody from being told.
    if let (Err(error), false) = (end(log, &verdict).await, verdict.is_trouble()) {
        verdict = Verdict::Internal(Chain(&error).to_string());
    }
    if verdict == Verdict::Abandoned {
        return Err(Failure::Abandoned);
    }
    reporter.end(&verdict, &work.cancelled).await?;
    match verdict {
        Verdict::Internal(reason) => Err(Failure::Retry(reason)),
        _ => Ok(()),
    }
}

/// Where the job reports, and its open log; none if there is nothing left to do.
async fn begin<'a>(job: &'a Job, cx: &'a Executor) -> Result<Option<(Plan<'a>, Log)>, Failure> {
    let plan = plan::plan(job, cx).await?;
    if plan.is_judged().await? {
        tracing::info!(repo.name = %job.repo, "the commit has a verdict for this context; nothing is run");
        return Ok(None);
    }
    let log = cx.logs.open(&plan.slug).await.map_err(Failure::retry)?;
    Ok(Some((plan, log)))
}

async fn end(mut log: Log, verdict: &Verdict) -> Result<(), LogError> {
    log.write(format!("\n{}\n", verdict.trailer())).await?;
    log.finish().await
}

/// An error with its causes, for a log that ends with it.
fn chain(error: &dyn std::error::Error) -> anyhow::Error {
    anyhow::anyhow!("{}", Chain(error))
}
