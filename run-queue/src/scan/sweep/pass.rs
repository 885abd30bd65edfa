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
use super::heal::{Healing, heal};
use super::items::unbegun;
use super::metrics::{SweepMetrics, Why};
use super::waiting::Waiting;
use crate::scan::{Asked, Decision, Engine, Found, Posting, Subject};

/// How many commits are looked at side by side; how many requests that makes is up to the forge's client.
pub(super) const AT_ONCE: usize = 64;

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

/// What may be lost.
#[derive(Clone, Debug, Default)]
struct Suspects {
    commits: Vec<Doubtful>,
    /// What check lists ask for.
    items: Vec<Found>,
}

impl Suspects {
    fn is_empty(&self) -> bool {
        self.items.is_empty() && self.commits.iter().all(|it| it.decisions.is_empty())
    }
}

/// What came of a pass so far.
#[derive(Debug, Default)]
pub(super) struct Tally {
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
        let commits =
            looked.buffer_unordered(AT_ONCE).try_filter_map(async |it| Ok(it)).try_collect().await?;
        let items = unbegun(&self.engine, &tally).await;
        self.look_again(Suspects { commits, items }, &tally).await?;
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
    async fn look_again(&self, suspects: Suspects, tally: &Tally) -> Result<(), BrokerError> {
        let suspects = self.without_waiting(suspects).await?;
        if suspects.is_empty() {
            return Ok(());
        }
        let (commits, items) = (suspects.commits.len(), suspects.items.len());
        tracing::info!(commits, items, "work is in no queue; it is looked at again");
        tokio::time::sleep(self.second_look).await;
        let looked = stream::iter(suspects.commits).map(|it| self.still_doubtful(it, tally));
        let commits = looked.buffer_unordered(AT_ONCE).collect().await;
        let now = unbegun(&self.engine, tally).await;
        let items = suspects.items.into_iter().filter(|it| now.iter().any(|now| now.key == it.key));
        let lost = self.without_waiting(Suspects { commits, items: items.collect() }).await?;
        self.publish(&lost.items, Why::Missed, tally).await?;
        let queued = stream::iter(lost.commits)
            .map(async |it| self.carry_out(&it.repo, &it.subject, &it.decisions, Why::Lost, tally).await);
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

    async fn look(&self, repo: &RepoName, subject: &Subject) -> Result<Healing, ForgeError> {
        let statuses = self.engine.forge.statuses(repo, &subject.sha).await?;
        let decisions = self.engine.decide(repo, subject, &statuses, &Asked::Nothing);
        Ok(heal(decisions, &statuses, self.engine.clock.now()))
    }

    /// Those that no queue holds.
    async fn without_waiting(&self, suspects: Suspects) -> Result<Suspects, BrokerError> {
        if suspects.is_empty() {
            return Ok(Suspects::default());
        }
        let Suspects { mut commits, mut items } = suspects;
        let forge = self.engine.forge.name();
        let waiting = Waiting::read(self.session, self.queues, forge).await?;
        for Doubtful { repo, subject, decisions } in &mut commits {
            let key =
                |context: &Context| WorkKey::new(forge.clone(), repo, subject.sha.clone(), context.clone());
            decisions.retain(|(context, _)| !waiting.holds(&key(context)));
        }
        commits.retain(|it| !it.decisions.is_empty());
        items.retain(|it| !it.key.as_ref().is_some_and(|key| waiting.holds(key)));
        Ok(Suspects { commits, items })
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
    pub(super) fn trouble(&self, repo: &RepoName, error: &ForgeError) {
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
