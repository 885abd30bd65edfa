//! One job for a person, on the worker's own path. No delivery is behind it, so nothing is tried again and nothing is skipped: a
//! commit that has a verdict is tested once more. Who stops it has it reported as cancelled.

use bytes::Bytes;
use common::Chain;
use common::broker::Headers;
use common::logs::Echo;
use common::queue::Queue;
use common::task::Job;
use tokio_util::sync::CancellationToken;

use super::report::Reporter;
use super::run::{Over, Run};
use super::shell::Shell;
use super::{Course, Executor, Verdict, course, end, patient, plan, put_away};
use crate::handler::{Failure, Work};

/// What a person wants beside the job itself.
#[derive(Debug)]
pub struct ByHand {
    /// Where the log is shown while it grows.
    pub echo: Echo,
    /// Whether a shell is opened in the container when the job is red; that needs a terminal.
    pub shell: bool,
    /// Cancels the job.
    pub cancelled: CancellationToken,
    /// Ends the wait for a forge that is away, too.
    pub leaving: CancellationToken,
}

/// How a job ended that was run by hand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// How.
    pub verdict: Verdict,
    /// Where its log is.
    pub url: String,
    /// Why the forge does not know, where it should.
    pub untold: Option<String>,
}

/// Runs the job and tells how it ended. An error is that it was not begun.
pub(in super::super) async fn perform(job: &Job, hand: ByHand, cx: &Executor) -> Result<Ended, Failure> {
    let ByHand { echo, shell, cancelled, leaving } = hand;
    for secret in job.secrets.iter().filter(|it| !cx.container.secrets.contains_key(it)) {
        tracing::warn!(%secret, "container.secrets has no such name, so the job goes without");
    }
    let work = Work {
        queue: Queue::Public,
        body: Bytes::new(),
        headers: Headers::fresh(),
        stopping: cancelled.clone(),
        handover: CancellationToken::new(),
        cancelled,
        is_last: false,
        desk: None,
    };
    let planned = work.cancelled.run_until_cancelled(plan::plan(job, cx)).await;
    let plan = planned.unwrap_or(Err(Failure::Abandoned))?;
    let log = patient(&work, cx.logs.open_with(&plan.slug, echo)).await?.map_err(Failure::retry)?;
    let reporter = Reporter { plan: &plan, url: log.url(), work: &work, cx };
    // A slash is in no host's name: a worker on this machine leaves the container alone.
    let worker = format!("by-hand/{}", cx.host);
    let shell = shell.then(Shell::default);
    let run =
        Run { plan: &plan, work: &work, cx, url: &reporter.url, worker: &worker, shell: shell.as_ref() };
    let Course { begun: _, over: Over { verdict, container }, log } = course(&reporter, &run, log).await?;
    if let Some(log) = log
        && let Ok(Err(error)) = patient(&work, end(log, &verdict)).await
    {
        tracing::warn!(error = %Chain(&error), "the log of a job that was cancelled has no end");
    }
    // One that was cancelled is told all the same, if that can be waited for.
    let patience = if verdict == Verdict::Abandoned { &leaving } else { &work.cancelled };
    let told = reporter.end_by_hand(&verdict, patience).await;
    put_away(container).await;
    let url = reporter.url.clone();
    if let Some(shell) = shell {
        shell.open(&work.cancelled).await;
    }
    Ok(Ended { verdict, url, untold: told.err().map(untold) })
}

fn untold(failure: Failure) -> String {
    match failure {
        Failure::Retry(reason) | Failure::Fail(reason) | Failure::Later { reason, .. } => reason,
        Failure::Abandoned
        | Failure::HandedOver
        | Failure::Elsewhere(_)
        | Failure::Left(_)
        | Failure::Spent => "nobody waited until it was told".to_owned(),
    }
}
