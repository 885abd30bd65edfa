//! A job's container, from its start to its removal.

use std::time::Duration;

use common::Chain;
use common::logs::{Log, Masks};
use common::task::Minutes;
use secrecy::ExposeSecret;
use tokio_util::io::InspectReader;

use super::super::Executor;
use super::super::attachments;
use super::super::container::{Container, Ended};
use super::super::secrets::{self, Decision, GivenSecrets, Rules};
use super::arguments::Arguments;
use super::origin::origins;
use super::plan::{Content, Plan};
use super::shell::Shell;
use super::{Verdict, chain};
use crate::handler::Work;

/// What a run needs.
pub(super) struct Run<'a> {
    pub(super) plan: &'a Plan<'a>,
    pub(super) work: &'a Work,
    pub(super) cx: &'a Executor,
    /// Where the log is.
    pub(super) url: &'a str,
    /// Whose container it is, as its label says. A worker looks after those that have its host's name.
    pub(super) worker: &'a str,
    /// What keeps the container of a red job, where somebody wants to look into it.
    pub(super) shell: Option<&'a Shell>,
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
        let secrets = self.secrets(&content, log).await?;
        log.mask(Masks::new(secrets.values().iter().map(ExposeSecret::expose_secret))?).await?;
        let container = &self.cx.container;
        let words = Arguments {
            job: self.plan.job,
            content: &content,
            headers: &self.work.headers,
            run_args: &container.run_args,
            secrets: &secrets.words,
            url: self.url,
            host: self.worker,
            limit: self.limit(),
        };
        let mut container = container.engine.start(&words.words())?;
        let limit = self.limit();
        // The time runs while the image is pulled, too.
        let ended = tokio::select! {
            ended = follow(&mut container, log) => ended,
            () = tokio::time::sleep(limit.limit().unwrap_or(Duration::MAX)) => Ok(Verdict::TimedOut(limit)),
            stale = self.watch() => Ok(stale),
            () = self.work.cancelled.cancelled() => Ok(Verdict::Abandoned),
        };
        // What follows is housekeeping: its troubles do not change how the job ended.
        if let Err(error) = self.collect(&mut container, &ended, log).await {
            log.write(format!("Attachments could not be collected: {error:#}\n")).await?;
            tracing::warn!("attachments could not be collected: {error:#}");
        }
        if let (Some(shell), Ok(Verdict::Exited(_) | Verdict::TimedOut(_))) = (self.shell, &ended) {
            let options = Arguments { limit: Minutes(0), ..words }.options();
            shell.keep(&container, options, secrets).await;
        }
        if let Err(error) = container.remove().await {
            tracing::warn!(error = %Chain(&error), "a container could not be removed");
        }
        ended
    }

    /// What the rules give of the secrets that the job names; its log says what they don't.
    async fn secrets(&self, content: &Content, log: &mut Log) -> anyhow::Result<GivenSecrets> {
        let (cx, named) = (self.cx, &self.plan.job.secrets);
        let default_forge = cx.forges.default_forge().name();
        let rules = Rules { container: &cx.container, secrets: &cx.secrets, default_forge };
        let origins = origins(self.plan, content, &rules, cx).await.map_err(|it| chain(&it))?;
        let Decision { given, withheld } = rules.decide(named, &origins);
        for line in withheld {
            tracing::info!("{line}");
            log.write(format!("Not given: {line}\n")).await?;
        }
        Ok(secrets::give(&self.work.headers.id, &given, &cx.container, &cx.secrets)?)
    }

    /// What the job asks for, or what the configuration allows at most; 0 is no limit, in either.
    fn limit(&self) -> Minutes {
        let (asked, longest) = (self.plan.job.timeout, self.cx.longest);
        if longest.0 > 0 && (asked.0 == 0 || asked.0 > longest.0) { longest } else { asked }
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

    /// What the container left, unless nobody will see it.
    async fn collect(
        &self,
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
            attachments::collect(container, &self.cx.logs, log).await?;
        }
        Ok(())
    }
}

/// The code that our script ends with when it is not the tested code's fault.
const TROUBLE: i32 = 121;

/// Copies the container's output to the log until it has ended.
async fn follow(container: &mut Container, log: &mut Log) -> anyhow::Result<Verdict> {
    let mut copied = 0;
    if let Some(output) = container.output() {
        log.copy_from(InspectReader::new(output, |bytes| copied += bytes.len() as u64)).await?;
    }
    let code = match container.ended().await? {
        Ended::Exited(code) => code,
        Ended::Detached => {
            let code = container.wait().await?;
            log.copy_from(container.output_after(copied).await?).await?;
            code
        }
    };
    match code {
        0 => Ok(Verdict::Success),
        TROUBLE => anyhow::bail!("the repository could not be cloned or fetched"),
        code => Ok(Verdict::Exited(code)),
    }
}
