//! What the forge is told.

use std::time::Duration;

use common::Chain;
use common::forge::{Forge, ForgeError, NewStatus, StatusState};
use common::id::{CommitSha, Context};
use common::pauses;
use common::task::Job;
use tokio_util::sync::CancellationToken;

use super::super::Executor;
use super::super::outbox::{Mark, MarkedIssue, Report};
use super::Verdict;
use super::plan::Plan;
use crate::handler::{Failure, Work};

/// Tells the forge how a job stands.
pub(super) struct Reporter<'a> {
    pub(super) plan: &'a Plan<'a>,
    /// Where the log is; empty where there is none.
    pub(super) url: String,
    pub(super) work: &'a Work,
    pub(super) cx: &'a Executor,
}

impl Reporter<'_> {
    /// It runs. The answer is what was said.
    pub(super) async fn begin(&self) -> Result<Option<NewStatus>, Failure> {
        let Plan { job, forge, sha, .. } = self.plan;
        let status = self.said();
        if let Some(status) = &status {
            forge.post_status(&job.repo, sha, status).await.map_err(Failure::forge)?;
        }
        tracing::info!(repo.name = %job.repo, log = self.url, "the job begins");
        Ok(status)
    }

    /// What is said when it begins.
    pub(super) fn said(&self) -> Option<NewStatus> {
        self.status(StatusState::Pending, "In progress")
    }

    /// It has ended. Returns when the forge knows, or when what it is to know is kept on the disk: a run must not be for nothing
    /// because the forge is away when it ends.
    pub(super) async fn end(&self, verdict: &Verdict, begun: Option<NewStatus>) -> Result<(), Failure> {
        let report = Report { begun, ..self.last(verdict) };
        deliver(report, self.plan.forge, self.work, self.cx).await?;
        // What is tried again is not done, though the forge knows how this attempt ended.
        if verdict.is_trouble() {
            self.cx.forget(&self.work.headers.id).await;
        } else {
            self.cx.told(&self.work.headers.id).await;
        }
        tracing::info!(repo.name = %self.plan.job.repo, log = self.url, state = ?verdict.state(), "the job has ended");
        Ok(())
    }

    /// The same for a person, who waits for it: nothing is kept. `patience` ends the wait.
    pub(super) async fn end_by_hand(
        &self,
        verdict: &Verdict,
        patience: &CancellationToken,
    ) -> Result<(), Failure> {
        let mut report = self.last(verdict);
        let told = patience.run_until_cancelled(patiently(&mut report, self.plan.forge)).await;
        told.map_or(Err(Failure::Abandoned), |it| it.map_err(Failure::fail))
    }

    fn last(&self, verdict: &Verdict) -> Report {
        Report {
            status: self.status(verdict.state(), &told(verdict, self.work)),
            issue: self.issue(verdict.state(), Mark::Task),
            ..self.nothing()
        }
    }

    /// Its verdict is known, but whoever said it may not have got as far as the issue.
    pub(super) async fn complete(&self) -> Result<(), Failure> {
        let report = Report { issue: self.issue(StatusState::Failure, Mark::Log), ..self.nothing() };
        deliver(report, self.plan.forge, self.work, self.cx).await
    }

    fn nothing(&self) -> Report {
        let Plan { job, forge, sha, .. } = self.plan;
        Report {
            forge: forge.name().clone(),
            repo: job.repo.clone(),
            sha: sha.clone(),
            task: self.work.headers.id.clone(),
            context: job.context.clone(),
            begun: None,
            status: None,
            issue: None,
        }
    }

    fn status(&self, state: StatusState, text: &str) -> Option<NewStatus> {
        Some(status(self.plan.job.context.clone()?, state, text, &self.cx.host, &self.url))
    }

    fn issue(&self, state: StatusState, by: Mark) -> Option<MarkedIssue> {
        let Plan { job, sha, .. } = self.plan;
        let mut issue = job.report.clone().filter(|_| state == StatusState::Failure)?;
        let context = job.context.as_ref().map_or("-", |it| it.as_str());
        // A field that is null is one that nobody has filled in.
        issue.retain(|_, value| !value.is_null());
        issue.entry("title").or_insert_with(|| format!("{context} failed").into());
        let body = format!("The job {context} failed on commit {sha}.\n\nLog: {}\n", self.url);
        issue.entry("body").or_insert_with(|| body.into());
        Some(MarkedIssue::new(issue, &self.work.headers.id, &self.url, by))
    }
}

fn status(context: Context, state: StatusState, text: &str, host: &str, url: &str) -> NewStatus {
    let status = NewStatus::new(context, state, text).from_host(host);
    // Forges refuse other addresses, such as those of logs that no web server serves.
    if url.starts_with("http") { status.with_target_url(url) } else { status }
}

/// The description of a status. Trouble that nobody will try again says so: the log says what it was, and somebody has to look
/// into `dead`.
fn told(verdict: &Verdict, work: &Work) -> String {
    let description = verdict.description();
    if work.is_last && matches!(verdict, Verdict::Internal(_)) {
        format!("{description}, out of attempts")
    } else {
        description
    }
}

/// Tells the forge until it knows. What it does not take in time, or before the process ends, is kept, and sent by another part.
async fn deliver(mut report: Report, forge: &Forge, work: &Work, cx: &Executor) -> Result<(), Failure> {
    if report.is_empty() {
        return Ok(());
    }
    loop {
        tokio::select! {
            told = patiently(&mut report, forge) => return told.map_err(Failure::fail),
            () = tokio::time::sleep(cx.report_patience) => {}
            () = leave(work) => {}
        }
        let kept = cx.outbox.keep(report.clone()).await;
        let Err(error) = kept else {
            tracing::warn!(repo.name = %report.repo, "the forge does not take a report, which is kept and sent when it does");
            return Ok(());
        };
        tracing::error!(error = %Chain(&error), repo.name = %report.repo, "a report can neither be sent nor kept");
        if work.cancelled.is_cancelled() {
            return Err(Failure::Abandoned);
        }
    }
}

/// Returns when there is no time left to wait for a forge: at once where the work was cancelled, and soon where the process is
/// to end, since it ends when its work has ended.
async fn leave(work: &Work) {
    let stopping = async {
        work.stopping.cancelled().await;
        tokio::time::sleep(super::LEAVING).await;
    };
    tokio::select! {
        () = work.cancelled.cancelled() => {}
        () = stopping => {}
    }
}

/// Asks until the forge answers for good; a token that is refused is the operator's to mend meanwhile.
async fn patiently(report: &mut Report, forge: &Forge) -> Result<(), ForgeError> {
    let mut pauses = pauses::growing(FIRST_PAUSE, LAST_PAUSE);
    loop {
        let error = match report.tell(forge).await {
            Err(error) if !error.is_final() => error,
            told => return told,
        };
        let pause = pauses.next().unwrap_or(LAST_PAUSE);
        let pause = match &error {
            ForgeError::RateLimited { retry_after: Some(wait), .. } => pause.max(*wait),
            _ => pause,
        };
        tracing::warn!(error = %Chain(&error), retry_s = pause.as_secs_f64(), "the forge does not know yet how a job ended");
        tokio::time::sleep(pause).await;
    }
}

const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LAST_PAUSE: Duration = Duration::from_mins(1);

/// Who else may be at a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Beside {
    /// Its claim is ours: what it is said to be doing, somebody said who is gone.
    Nobody,
    Others,
}

/// Tells the forge, if it can be told, about a job that went wrong before anything of it began. `url` is that of a log which says
/// why. Where somebody else has judged the commit, or is at it, that counts and not this.
pub(super) async fn trouble(
    job: &Job,
    sha: &CommitSha,
    url: &str,
    beside: Beside,
    work: &Work,
    cx: &Executor,
) {
    let (Some(forge), Some(context)) = (cx.forges.get(job.forge.as_ref()), &job.context) else { return };
    let description = told(&Verdict::Internal(String::new()), work);
    let mut report = Report {
        forge: forge.name().clone(),
        repo: job.repo.clone(),
        sha: sha.clone(),
        task: work.headers.id.clone(),
        context: Some(context.clone()),
        begun: None,
        status: Some(status(context.clone(), StatusState::Error, &description, &cx.host, url)),
        issue: None,
    };
    let told = async {
        // What is done whenever it is asked for has had other verdicts.
        if job.command.is_some() || beside == Beside::Nobody {
            report.tell(forge).await
        } else {
            report.tell_late(forge).await.map(drop)
        }
    };
    match work.cancelled.run_until_cancelled(told).await {
        Some(Ok(())) => return,
        Some(Err(error)) => {
            tracing::warn!(error = %Chain(&error), "the forge could not be told of a job's trouble");
            if error.is_final() {
                return;
            }
        }
        None => {}
    }
    if let Err(error) = cx.outbox.keep(report).await {
        tracing::error!(error = %Chain(&error), repo.name = %job.repo, "a report can neither be sent nor kept");
    }
}
