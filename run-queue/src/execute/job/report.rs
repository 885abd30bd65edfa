//! What the forge is told.

use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use common::Chain;
use common::forge::{Forge, ForgeError, NewStatus, StatusState};
use common::task::{Issue, Job};
use tokio_util::sync::CancellationToken;

use super::Verdict;
use super::plan::Plan;
use crate::handler::Failure;

/// Tells the forge how a job stands.
pub(super) struct Reporter<'a> {
    pub(super) plan: &'a Plan<'a>,
    /// Where the log is.
    pub(super) url: String,
    pub(super) host: &'a str,
}

impl Reporter<'_> {
    /// It runs.
    pub(super) async fn begin(&self) -> Result<(), Failure> {
        self.post(StatusState::Pending, "In progress").await.map_err(Failure::forge)
    }

    /// It has ended. Returns when the forge knows, however long that takes: a run must not be for nothing because the forge is
    /// away when it ends. Only a cancellation ends the wait.
    pub(super) async fn end(&self, verdict: &Verdict, cancelled: &CancellationToken) -> Result<(), Failure> {
        let told = cancelled.run_until_cancelled(self.tell(verdict)).await;
        told.unwrap_or(Err(Failure::Abandoned))
    }

    async fn tell(&self, verdict: &Verdict) -> Result<(), Failure> {
        let description = verdict.description();
        let post = || self.post(verdict.state(), &description);
        patiently(post).await.map_err(Failure::fail)?;
        tracing::info!(repo.name = %self.plan.job.repo, log = self.url, state = ?verdict.state(), "the job has ended");
        if let (Some(issue), StatusState::Failure) = (&self.plan.job.report, verdict.state()) {
            patiently(|| self.open_issue(issue)).await.map_err(Failure::fail)?;
        }
        Ok(())
    }

    async fn post(&self, state: StatusState, text: &str) -> Result<(), ForgeError> {
        let Plan { job, forge, sha, .. } = self.plan;
        let Some(context) = &job.context else { return Ok(()) };
        let mut status = NewStatus::new(context.clone(), state, text).from_host(self.host);
        // Forges refuse other addresses, such as those of logs that no web server serves.
        if self.url.starts_with("http") {
            status = status.with_target_url(self.url.as_str());
        }
        forge.post_status(&job.repo, sha, &status).await
    }

    async fn open_issue(&self, fields: &Issue) -> Result<(), ForgeError> {
        let Plan { job, forge, sha, .. } = self.plan;
        let context = job.context.as_ref().map_or("-", |it| it.as_str());
        let mut issue = fields.clone();
        issue.entry("title").or_insert_with(|| format!("{context} failed").into());
        let body = format!("The job {context} failed on commit {sha}.\n\nLog: {}\n", self.url);
        issue.entry("body").or_insert_with(|| body.into());
        let number = forge.open_issue(&job.repo, &issue).await?;
        tracing::info!(repo.name = %job.repo, issue = number, "opened an issue");
        Ok(())
    }
}

/// Asks until the forge answers for good; a token that is refused is the operator's to mend meanwhile.
async fn patiently<F: Future<Output = Result<(), ForgeError>>>(
    ask: impl FnMut() -> F,
) -> Result<(), ForgeError> {
    let pauses = ExponentialBuilder::new()
        .with_min_delay(Duration::from_millis(250))
        .with_max_delay(Duration::from_mins(1))
        .without_max_times()
        .with_jitter();
    ask.retry(pauses)
        .sleep(tokio::time::sleep)
        .when(|error| error.is_transient() || matches!(error, ForgeError::Unauthorized { .. }))
        .notify(|error, pause| {
            tracing::warn!(error = %Chain(error), retry_s = pause.as_secs_f64(), "the forge does not know yet how a job ended");
        })
        .await
}

/// Tells the forge, if it can be told, about a job that went wrong before anything of it began.
pub(super) async fn trouble(job: &Job, forge: Option<&Forge>, host: &str) {
    let (Some(forge), Some(context), Some(sha)) = (forge, &job.context, &job.sha) else { return };
    let description = Verdict::Internal(String::new()).description();
    let status = NewStatus::new(context.clone(), StatusState::Error, &description).from_host(host);
    if let Err(error) = forge.post_status(&job.repo, sha, &status).await {
        tracing::warn!(error = %Chain(&error), "the forge could not be told of a job's trouble");
    }
}
