//! A job's container, from its start to its removal.

use std::time::Duration;

use common::Chain;
use common::broker::Headers;
use common::logs::{Log, Masks};
use common::task::Minutes;
use secrecy::ExposeSecret;

use super::super::Executor;
use super::super::attachments;
use super::super::container::{Container, Order, Owner};
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
        let arguments = Arguments {
            job: self.plan.job,
            content: &content,
            container: &self.cx.container,
            secrets: &secrets.words,
            url: self.url,
            limit: self.limit(),
        };
        let order = Order {
            owner: self.owner(),
            options: &arguments.options(),
            command: &arguments.command(),
            spool: &self.cx.logs.spool,
        };
        let mut container = Container::start(&self.cx.container.engine, order).await?;
        let ended = self.end_of(&mut container, log).await;
        // What follows is housekeeping: its troubles do not change how the job ended.
        if let Err(error) = self.collect(&mut container, &ended, log).await {
            log.write(format!("Attachments could not be collected: {error:#}\n")).await?;
            tracing::warn!("attachments could not be collected: {error:#}");
        }
        if let (Some(shell), Ok(Verdict::Exited(_) | Verdict::TimedOut(_))) = (self.shell, &ended) {
            let options = Arguments { limit: Minutes(0), ..arguments }.options();
            shell.keep(&mut container, options, secrets).await;
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

    fn owner(&self) -> Owner {
        let Headers { id, attempt, .. } = &self.work.headers;
        Owner { task: id.clone(), attempt: *attempt, worker: self.worker.to_owned() }
    }

    /// Waits for the end, or for a reason to make one. The time runs while the image is fetched, too.
    async fn end_of(&self, container: &mut Container, log: &mut Log) -> anyhow::Result<Verdict> {
        let limit = self.limit();
        let early = tokio::select! {
            ended = follow(container, log) => return ended,
            () = tokio::time::sleep(limit.limit().unwrap_or(Duration::MAX)) => Verdict::TimedOut(limit),
            stale = self.watch() => stale,
            () = self.work.cancelled.cancelled() => Verdict::Abandoned,
        };
        if let Err(error) = stop(container, log).await {
            tracing::warn!("a container that is to end: {error:#}");
        }
        Ok(early)
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
        let seen = !matches!(ended, Ok(Verdict::Abandoned) | Err(_));
        if seen && container.output().is_some() {
            attachments::collect(container, &self.cx.logs, log).await?;
        }
        Ok(())
    }
}

/// The code that our script ends with when it is not the tested code's fault.
const TROUBLE: i32 = 121;

/// Copies the container's output to the log until it has ended.
async fn follow(container: &mut Container, log: &mut Log) -> anyhow::Result<Verdict> {
    container.started().await?;
    if let Some(output) = container.output() {
        log.copy_from(output).await?;
    }
    match container.ended().await? {
        0 => Ok(Verdict::Success),
        TROUBLE => anyhow::bail!("the repository could not be cloned or fetched"),
        code => Ok(Verdict::Exited(code)),
    }
}

/// How long the last of what a container has printed may take when it was killed: much is copied already.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// Kills it, and copies what it printed before that to the log.
async fn stop(container: &mut Container, log: &mut Log) -> anyhow::Result<()> {
    if !container.kill().await? {
        return Ok(());
    }
    let Some(output) = container.output() else { return Ok(()) };
    tokio::time::timeout(LAST_WORDS, log.copy_from(output)).await??;
    Ok(())
}
