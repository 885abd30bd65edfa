//! `{"job": …}`: a repository's tests in a container, from the first status to the last (wire facts, "Running a job").

mod arguments;
mod plan;
mod report;
mod run;
mod verdict;

use common::Chain;
use common::logs::Log;
use common::task::Job;

pub use verdict::Verdict;

use self::plan::Plan;
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
    header(&mut log, &plan, &cx.host).await.map_err(Failure::retry)?;
    let ended = Run { plan: &plan, work, cx, url: reporter.url.clone() }.run(&mut log).await;
    let verdict = match &ended {
        Ok(verdict) => verdict.clone(),
        Err(error) => Verdict::Internal(format!("{error:#}")),
    };
    log.write(format!("\n{}\n", verdict.trailer())).await.map_err(Failure::retry)?;
    log.finish().await.map_err(Failure::retry)?;
    match verdict {
        Verdict::Abandoned => Err(Failure::Abandoned),
        Verdict::Internal(reason) => {
            reporter.end(&Verdict::Internal(reason.clone())).await?;
            Err(Failure::Retry(reason))
        }
        verdict => reporter.end(&verdict).await,
    }
}

async fn header(log: &mut Log, plan: &Plan<'_>, host: &str) -> Result<(), common::logs::LogError> {
    log.write(format!("{}\n\nRunning on: {host}\n", plan.title)).await?;
    log.write(format!("Image: {}\nCommit: {} {}\n\n", plan.image, plan.checkout.repo, plan.checkout.sha))
        .await
}

/// An error with its causes, for a log that ends with it.
fn chain(error: &dyn std::error::Error) -> anyhow::Error {
    anyhow::anyhow!("{}", Chain(error))
}
