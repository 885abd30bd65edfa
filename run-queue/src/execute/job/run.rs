//! A job's container, from its start to its removal.

use std::path::Path;
use std::time::Duration;

use anyhow::anyhow;
use common::Chain;
use common::broker::Headers;
use common::id::SecretName;
use common::logs::{Log, Masks};
use common::task::Minutes;
use secrecy::ExposeSecret;

use super::super::Executor;
use super::super::attachments;
use super::super::container::{Container, Found, Order, Owner};
use super::super::journal::{Begun, State};
use super::super::room;
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

/// What has become of a job.
pub(super) enum Fate {
    Ended(Box<Over>),
    /// Its container runs on without us.
    HandedOver,
}

/// How a run has ended.
pub(super) struct Over {
    pub(super) verdict: Verdict,
    /// What is left of it, to be removed: the engine takes a while for that, and somebody waits for the verdict.
    pub(super) container: Option<Container>,
}

impl From<Verdict> for Over {
    fn from(verdict: Verdict) -> Self {
        Self { verdict, container: None }
    }
}

impl From<Verdict> for Fate {
    fn from(verdict: Verdict) -> Self {
        Self::Ended(Box::new(verdict.into()))
    }
}

/// What has become of a container.
enum Attended {
    Ended(Verdict),
    /// It runs on without us.
    Left,
}

impl Run<'_> {
    /// Runs the container unless the work is stale already. An error is never the user's.
    pub(super) async fn run(&self, log: &mut Log) -> anyhow::Result<Fate> {
        let mut header = format!("{}\n\nRunning on: {}\n", self.plan.title, self.cx.host);
        log.write(&header).await?;
        if let Some(stale) = self.plan.staleness().await.map_err(|it| chain(&it))? {
            return Ok(stale.into());
        }
        let content = match self.plan.content(self.cx).await? {
            Ok(content) => content,
            Err(refused) => return Ok(refused.into()),
        };
        let Content { checkout, image } = &content;
        let (given, withheld) = self.decide(&content).await?;
        for line in &withheld {
            tracing::info!("{line}");
        }
        let not_given: String = withheld.iter().flat_map(|it| ["Not given: ", it, "\n"]).collect();
        let more = format!("Image: {image}\nCommit: {} {}\n\n{not_given}", checkout.repo, checkout.sha);
        log.write(&more).await?;
        header += &more;
        let secrets = self.give(&given, log).await?;
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
        self.remember(header, given).await?;
        let mut container = Container::start(&self.cx.container.engine, order).await?;
        let limit = self.limit();
        let attended = self.attend(&mut container, log, limit.limit().unwrap_or(Duration::MAX)).await;
        match (&attended, self.shell) {
            (Ok(Attended::Left), _) => secrets.leave(),
            (Ok(Attended::Ended(Verdict::Exited(_) | Verdict::TimedOut(_))), Some(shell)) => {
                let options = Arguments { limit: Minutes(0), ..arguments }.options();
                shell.keep(&mut container, options, secrets).await;
            }
            _ => {}
        }
        over(container, attended).await
    }

    /// Goes on with a container that another process has started, as if it had been ours. The log is that from its first byte.
    pub(super) async fn resume(&self, begun: &Begun, found: Found, log: &mut Log) -> anyhow::Result<Fate> {
        log.write(&begun.header).await?;
        let _secrets = self.give(&begun.given, log).await?;
        let mut container = Container::take_over(&self.cx.container.engine, found).await?;
        let seconds = self.cx.clock.now().as_second().saturating_sub(begun.since);
        let since = Duration::from_secs(seconds.try_into().unwrap_or_default());
        let limit = self.limit().limit().map_or(Duration::MAX, |it| it.saturating_sub(since));
        let attended = self.attend(&mut container, log, limit).await;
        over(container, attended).await
    }

    /// To its end, with all that it leaves in the log and beside it, or until it is handed over.
    async fn attend(
        &self,
        container: &mut Container,
        log: &mut Log,
        limit: Duration,
    ) -> anyhow::Result<Attended> {
        let ended = match self.end_of(container, log, limit).await {
            Ok(Attended::Left) => return Ok(Attended::Left),
            Ok(Attended::Ended(verdict)) => Ok(verdict),
            Err(error) => Err(error),
        };
        // What follows is housekeeping: its troubles do not change how the job ended.
        if let Err(error) = self.collect(container, &ended, log).await {
            log.write(format!("Attachments could not be collected: {error:#}\n")).await?;
            tracing::warn!("attachments could not be collected: {error:#}");
        }
        if let Ok(Verdict::Exited(KILLED)) = ended
            && is_removed(container).await?
        {
            anyhow::bail!("somebody has removed the container");
        }
        ended.map(Attended::Ended)
    }

    /// Writes down what is about to run, for the case that this process does not live to see its end.
    async fn remember(&self, header: String, given: Vec<SecretName>) -> anyhow::Result<()> {
        let Some(journal) = self.cx.journal() else { return Ok(()) };
        let Work { queue, body, headers, .. } = self.work;
        let begun = Begun {
            task: headers.id.clone(),
            worker: self.worker.to_owned(),
            attempt: headers.attempt.number(),
            queue: queue.name().to_owned(),
            delivery: headers.delivery.clone(),
            trace: headers.trace.to_string(),
            body: String::from_utf8_lossy(body).into_owned(),
            claim: self.plan.claim(&headers.id),
            sha: self.plan.sha.clone(),
            header,
            given,
            since: self.cx.clock.now().as_second(),
            deaths: 0,
            state: State::Runs,
        };
        Ok(journal.put(begun).await?)
    }

    /// What the rules give of the secrets that the job names, and what they don't.
    async fn decide(&self, content: &Content) -> anyhow::Result<(Vec<SecretName>, Vec<String>)> {
        let (cx, named) = (self.cx, &self.plan.job.secrets);
        let default_forge = cx.forges.default_forge().name();
        let rules = Rules { container: &cx.container, secrets: &cx.secrets, default_forge };
        let origins = origins(self.plan, content, &rules, cx).await.map_err(|it| chain(&it))?;
        let Decision { given, withheld } = rules.decide(named, &origins);
        let withheld = withheld.iter().map(ToString::to_string).collect();
        Ok((given.into_iter().cloned().collect(), withheld))
    }

    /// Prepares these, and keeps them out of the log from here on.
    async fn give(&self, given: &[SecretName], log: &mut Log) -> anyhow::Result<GivenSecrets> {
        let given: Vec<_> = given.iter().collect();
        let secrets = secrets::give(&self.work.headers.id, &given, &self.cx.container, &self.cx.secrets)?;
        log.mask(Masks::new(secrets.values().iter().map(ExposeSecret::expose_secret))?).await?;
        Ok(secrets)
    }

    fn owner(&self) -> Owner {
        let Headers { id, attempt, .. } = &self.work.headers;
        Owner { task: id.clone(), attempt: *attempt, worker: self.worker.to_owned() }
    }

    /// Waits for the end, or for a reason to make one. The time runs while the image is fetched, too.
    async fn end_of(
        &self,
        container: &mut Container,
        log: &mut Log,
        limit: Duration,
    ) -> anyhow::Result<Attended> {
        let early = tokio::select! {
            ended = follow(container, &self.cx.logs.spool, log) => return ended.map(Attended::Ended),
            () = tokio::time::sleep(limit) => Verdict::TimedOut(self.limit()),
            stale = self.watch() => stale,
            () = self.work.cancelled.cancelled() => Verdict::Abandoned,
            () = self.work.handover.cancelled() => {
                match self.work.cancelled.run_until_cancelled(container.begun()).await {
                    Some(begun) => return Ok(begun.map(|()| Attended::Left)?),
                    None => Verdict::Abandoned,
                }
            }
        };
        if let Err(error) = stop(container, log).await {
            tracing::warn!("a container that is to end: {error:#}");
        }
        Ok(Attended::Ended(early))
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

/// The exit code of a process that was killed.
const KILLED: i32 = 137;

/// Who removes a container by force kills it first, and needs a moment for the rest.
async fn is_removed(container: &mut Container) -> anyhow::Result<bool> {
    for _ in 0..20 {
        if !container.is_there().await? {
            return Ok(true);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(false)
}

async fn over(container: Container, attended: anyhow::Result<Attended>) -> anyhow::Result<Fate> {
    let verdict = match attended {
        Ok(Attended::Left) => {
            container.leave();
            return Ok(Fate::HandedOver);
        }
        Ok(Attended::Ended(verdict)) if verdict != Verdict::Abandoned => {
            return Ok(Fate::Ended(Box::new(Over { verdict, container: Some(container) })));
        }
        // Nobody waits for that, and the process may have no time for more.
        Ok(Attended::Ended(abandoned)) => Ok(abandoned),
        Err(error) => Err(error),
    };
    remove(container).await;
    verdict.map(Fate::from)
}

/// Puts a container away that has ended, or is to end.
pub(super) async fn remove(container: Container) {
    if let Err(error) = container.remove().await {
        tracing::warn!(error = %Chain(&error), "a container could not be removed");
    }
}

/// The code that our script ends with when it is not the tested code's fault.
const TROUBLE: i32 = 121;

/// Copies the container's output to the log until it has ended.
async fn follow(container: &mut Container, spool: &Path, log: &mut Log) -> anyhow::Result<Verdict> {
    container.started().await?;
    if let Some(output) = container.output() {
        log.copy_from(output).await?;
        // Its monitor says nothing of what it finds no room for.
        room::is_in([spool]).await.map_err(|it| anyhow!("what the job printed last may be lost: {it}"))?;
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
