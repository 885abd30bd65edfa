//! One pass over everything that is configured.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use common::Chain;
use common::broker::{BrokerError, Headers, Publisher, Session};
use common::forge::ForgeError;
use common::id::{Context, RepoName};
use common::queue::QueueNames;
use common::task::WorkKey;
use futures_util::stream::{self, StreamExt, TryStreamExt};

use super::Swept;
use super::heal::heal;
use super::metrics::{SweepMetrics, Why};
use super::waiting::Waiting;
use crate::scan::{Asked, Decision, Engine, Found, Posting, Subject};

/// How many commits are looked at side by side; how many requests that makes is up to the forge's client.
const AT_ONCE: usize = 64;

/// What a pass needs.
pub(super) struct Pass<'a> {
    /// With a forge that lets others go first.
    pub(super) engine: Engine,
    pub(super) session: &'a Session,
    pub(super) queues: &'a QueueNames,
    pub(super) publisher: Publisher,
    /// Between the two looks at what may be lost.
    pub(super) second_look: Duration,
    pub(super) metrics: &'a SweepMetrics,
}

/// A commit with contexts that may be lost.
#[derive(Clone, Debug)]
struct Doubtful {
    repo: RepoName,
    subject: Subject,
    decisions: Vec<(Context, Decision)>,
}

/// What came of a pass so far.
#[derive(Debug, Default)]
struct Tally {
    commits: AtomicU32,
    missed: AtomicU32,
    lost: AtomicU32,
    /// Something could not be looked at.
    trouble: AtomicBool,
}

impl Pass<'_> {
    /// Looks at everything, does what nobody has begun, and queues again what is lost.
    pub(super) async fn run(&self) -> Result<Swept, BrokerError> {
        let tally = Tally::default();
        let repos = self.engine.settings.test_map.repos();
        let pulls = stream::iter(repos).map(|it| self.pulls(it, &tally)).buffer_unordered(AT_ONCE);
        let pulls = pulls.flat_map(stream::iter);
        let looked = pulls.map(async |(repo, subject)| self.first_look(repo, subject, &tally).await);
        let doubtful: Vec<Doubtful> =
            looked.buffer_unordered(AT_ONCE).try_filter_map(async |it| Ok(it)).try_collect().await?;
        self.look_again(doubtful, &tally).await?;
        Ok(tally.told())
    }

    async fn pulls(&self, repo: RepoName, tally: &Tally) -> Vec<(RepoName, Subject)> {
        match self.engine.forge.open_pulls(&repo).await {
            Ok(pulls) => pulls.iter().map(|it| (repo.clone(), Subject::from(it))).collect(),
            Err(error) => {
                tally.trouble(&repo, &error);
                Vec::new()
            }
        }
    }

    /// Does at once what nobody has begun, and gives what may be lost.
    async fn first_look(
        &self,
        repo: RepoName,
        subject: Subject,
        tally: &Tally,
    ) -> Result<Option<Doubtful>, BrokerError> {
        tally.commits.fetch_add(1, Ordering::Relaxed);
        let healing = match self.look(&repo, &subject).await {
            Ok(healing) => healing,
            Err(error) => {
                tally.trouble(&repo, &error);
                return Ok(None);
            }
        };
        self.carry_out(&repo, &subject, &healing.at_once, Why::Missed, tally).await?;
        let decisions = healing.doubtful;
        Ok((!decisions.is_empty()).then_some(Doubtful { repo, subject, decisions }))
    }

    /// A worker that has just taken a message says so in the status before the second look, and so does a scanner that has just
    /// posted a status put its message where the second look sees it.
    async fn look_again(&self, doubtful: Vec<Doubtful>, tally: &Tally) -> Result<(), BrokerError> {
        let doubtful = self.without_waiting(doubtful).await?;
        if doubtful.is_empty() {
            return Ok(());
        }
        tracing::info!(commits = doubtful.len(), "work is in no queue; it is looked at again");
        tokio::time::sleep(self.second_look).await;
        let looked = stream::iter(doubtful).map(|it| self.still_doubtful(it, tally));
        let doubtful = looked.buffer_unordered(AT_ONCE).collect().await;
        let lost = stream::iter(self.without_waiting(doubtful).await?);
        let queued =
            lost.map(async |it| self.carry_out(&it.repo, &it.subject, &it.decisions, Why::Lost, tally).await);
        queued.buffer_unordered(AT_ONCE).try_collect().await
    }

    async fn still_doubtful(&self, before: Doubtful, tally: &Tally) -> Doubtful {
        let Doubtful { repo, subject, decisions } = before;
        let now = match self.look(&repo, &subject).await {
            Ok(healing) => healing.doubtful,
            Err(error) => {
                tally.trouble(&repo, &error);
                Vec::new()
            }
        };
        let both = now.into_iter().filter(|(now, _)| decisions.iter().any(|(before, _)| before == now));
        Doubtful { decisions: both.collect(), repo, subject }
    }

    async fn look(&self, repo: &RepoName, subject: &Subject) -> Result<super::heal::Healing, ForgeError> {
        let statuses = self.engine.forge.statuses(repo, &subject.sha).await?;
        let decisions = self.engine.decide(repo, subject, &statuses, &Asked::Nothing);
        Ok(heal(decisions, &statuses, self.engine.clock.now()))
    }

    /// Those that no queue holds.
    async fn without_waiting(&self, doubtful: Vec<Doubtful>) -> Result<Vec<Doubtful>, BrokerError> {
        if doubtful.iter().all(|it| it.decisions.is_empty()) {
            return Ok(Vec::new());
        }
        let forge = self.engine.forge.name();
        let waiting = Waiting::read(self.session, self.queues, forge).await?;
        let is_held = |of: &Doubtful, context: &Context| {
            waiting.holds(&WorkKey::new(forge.clone(), &of.repo, of.subject.sha.clone(), context.clone()))
        };
        let without = doubtful.into_iter().map(|mut it| {
            let decisions = std::mem::take(&mut it.decisions);
            it.decisions = decisions.into_iter().filter(|(context, _)| !is_held(&it, context)).collect();
            it
        });
        Ok(without.filter(|it| !it.decisions.is_empty()).collect())
    }

    async fn carry_out(
        &self,
        repo: &RepoName,
        subject: &Subject,
        decisions: &[(Context, Decision)],
        why: Why,
        tally: &Tally,
    ) -> Result<(), BrokerError> {
        match self.engine.carry_out(repo, subject, decisions, Posting::Queued).await {
            Ok(found) => self.publish(&found, why, tally).await,
            Err(error) => {
                tally.trouble(repo, &error);
                Ok(())
            }
        }
    }

    async fn publish(&self, found: &[Found], why: Why, tally: &Tally) -> Result<(), BrokerError> {
        for found in found {
            self.publisher.publish(&found.outgoing(Headers::fresh())).await?;
            let key = found.key.as_ref().map(tracing::field::display);
            tracing::info!(work = key, ?why, queue = %found.queue, "queued by a sweep");
            self.metrics.queued(why);
            tally.of(why).fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }
}

impl Tally {
    const fn of(&self, why: Why) -> &AtomicU32 {
        match why {
            Why::Missed => &self.missed,
            Why::Lost => &self.lost,
        }
    }

    /// What could not be looked at is looked at by the next sweep.
    fn trouble(&self, repo: &RepoName, error: &ForgeError) {
        tracing::warn!(repo.name = %repo, error = %Chain(error), "could not be swept");
        self.trouble.store(true, Ordering::Relaxed);
    }

    fn told(&self) -> Swept {
        let read = |it: &AtomicU32| it.load(Ordering::Relaxed);
        let (commits, missed, lost) = (read(&self.commits), read(&self.missed), read(&self.lost));
        let swept = if self.trouble.load(Ordering::Relaxed) { Swept::Partly } else { Swept::Whole };
        tracing::info!(commits, missed, lost, ?swept, "swept");
        swept
    }
}
