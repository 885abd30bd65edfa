//! What the forge is told.

use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use common::forge::{ForgeError, NewStatus, StatusState};
use common::task::Issue;

use super::Verdict;
use super::plan::{Plan, forge_failure};
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
        self.post(StatusState::Pending, "In progress").await.map_err(forge_failure)
    }

    /// It has ended. Returns when the forge has it.
    pub(super) async fn end(&self, verdict: &Verdict) -> Result<(), Failure> {
        let description = verdict.description();
        self.post(verdict.state(), &description).await.map_err(forge_failure)?;
        tracing::info!(repo.name = %self.plan.job.repo, log = self.url, description, "the job has ended");
        match (&self.plan.job.report, verdict.state()) {
            (Some(issue), StatusState::Failure) => self.open_issue(issue).await.map_err(forge_failure),
            _ => Ok(()),
        }
    }

    /// A status is the same however often it is posted, so passing troubles of the forge are waited out.
    async fn post(&self, state: StatusState, text: &str) -> Result<(), ForgeError> {
        let Plan { job, forge, sha, .. } = self.plan;
        let Some(context) = &job.context else { return Ok(()) };
        let mut status = NewStatus::new(context.clone(), state, text).from_host(self.host);
        // Forges refuse other addresses, such as those of logs that no web server serves.
        if self.url.starts_with("http") {
            status = status.with_target_url(self.url.as_str());
        }
        let post = || forge.post_status(&job.repo, sha, &status);
        post.retry(pauses())
            .sleep(tokio::time::sleep)
            .when(ForgeError::is_transient)
            .notify(|error, pause| tracing::warn!(%error, retry_ms = pause.as_millis(), "a status is not posted yet"))
            .await
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

/// About two minutes in all.
fn pauses() -> ExponentialBuilder {
    ExponentialBuilder::new()
        .with_min_delay(Duration::from_millis(250))
        .with_max_delay(Duration::from_secs(30))
        .with_max_times(10)
        .with_jitter()
}
