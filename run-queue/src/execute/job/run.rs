//! A job's container, from its start to its removal.

use std::time::Duration;

use anyhow::Context as _;
use common::logs::Log;

use super::super::Executor;
use super::super::attachments;
use super::super::container::Container;
use super::super::secrets;
use super::arguments::Arguments;
use super::plan::{Content, Plan};
use super::{Verdict, chain};
use crate::handler::Work;

/// What a run needs.
pub(super) struct Run<'a> {
    pub(super) plan: &'a Plan<'a>,
    pub(super) work: &'a Work,
    pub(super) cx: &'a Executor,
    /// Where the log is.
    pub(super) url: &'a str,
}

impl Run<'_> {
    /// Runs the container unless the work is stale already. An error is never the user's.
    pub(super) async fn run(&self, log: &mut Log) -> anyhow::Result<Verdict> {
        log.write(format!("{}\n\nRunning on: {}\n", self.plan.title, self.cx.host)).await?;
        if let Some(stale) = self.plan.staleness().await.map_err(|it| chain(&it))? {
            return Ok(stale);
        }
        let content = match self.plan.content(self.cx).await? {
            Ok(content) => content,
            Err(refused) => return Ok(refused),
        };
        let Content { checkout, image } = &content;
        log.write(format!("Image: {image}\nCommit: {} {}\n\n", checkout.repo, checkout.sha)).await?;
        let secrets = secrets::give(&self.plan.job.secrets, &self.cx.container, &self.cx.secrets)?;
        let container = &self.cx.container;
        let words = Arguments {
            job: self.plan.job,
            content: &content,
            headers: &self.work.headers,
            run_args: &container.run_args,
            secrets: &secrets.words,
            url: self.url,
            host: &self.cx.host,
        };
        let mut container = container.engine.start(&words.words())?;
        // The time runs while the image is pulled, too.
        let ended = tokio::select! {
            ended = follow(&mut container, log) => ended,
            () = tokio::time::sleep(self.limit()) => Ok(Verdict::TimedOut(self.plan.job.timeout)),
            stale = self.watch() => Ok(stale),
            () = self.work.cancelled.cancelled() => Ok(Verdict::Abandoned),
        };
        let collected = collect(&mut container, &ended, log).await;
        container.remove().await.context("remove the container")?;
        collected?;
        ended
    }

    fn limit(&self) -> Duration {
        // A year is as good as none.
        self.plan.job.timeout.limit().unwrap_or(Duration::from_hours(365 * 24))
    }

    /// Returns when the work has become stale. Troubles of the forge are none of the job's.
    async fn watch(&self) -> Verdict {
        loop {
            tokio::time::sleep(self.cx.poll).await;
            match self.plan.staleness().await {
                Ok(None) => {}
                Ok(Some(stale)) => return stale,
                Err(error) => tracing::warn!(%error, "the job's pull could not be looked at"),
            }
        }
    }
}

/// Copies the container's output to the log until it has ended.
async fn follow(container: &mut Container, log: &mut Log) -> anyhow::Result<Verdict> {
    if let Some(output) = container.output() {
        log.copy_from(output).await?;
    }
    let code = container.ended().await?;
    Ok(if code == 0 { Verdict::Success } else { Verdict::Exited(code) })
}

/// What the container left, unless nobody will see it.
async fn collect(
    container: &mut Container,
    ended: &anyhow::Result<Verdict>,
    log: &mut Log,
) -> anyhow::Result<()> {
    let exists = match ended {
        Ok(Verdict::Abandoned) | Err(_) => false,
        Ok(Verdict::Success | Verdict::Exited(_)) => true,
        Ok(_) => container.kill().await.unwrap_or_else(|error| {
            tracing::debug!(%error, "the container ended by itself meanwhile");
            true
        }),
    };
    if exists {
        attachments::collect(container, log).await.context("collect the attachments")?;
    }
    Ok(())
}
