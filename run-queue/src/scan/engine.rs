//! The engine that events, programs and sweeps share: [`Engine::look`] reads and decides, [`Engine::carry_out`] does.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use common::Clock;
use common::forge::{Forge, ForgeError, NewStatus, Status, StatusState};
use common::id::{CommitSha, Context, PullNumber, RepoName};
use common::task::WorkKey;
use futures_util::future::try_join;
use futures_util::stream::{self, StreamExt, TryStreamExt};

use super::decide::MANUAL;
use super::{
    Asked, BotsPull, Decision, Found, JobContext, Posting, ScanSettings, Skipped, Subject, TestContext,
    decide, job_task,
};

/// How many statuses of one commit are posted at once. The forge's client has a limit of its own for all together; this one
/// is there so that one commit with hundreds of contexts does not take all of it.
const POSTS_AT_ONCE: usize = 32;

/// What a scan needs: the configuration of the moment, the forge, the time.
#[derive(Clone, Debug)]
pub struct Engine {
    /// What there is to test, and for whom; the same from the first look to the last task.
    pub settings: Arc<ScanSettings>,
    /// Where statuses are.
    pub forge: Forge,
    /// For the time in slugs.
    pub clock: Clock,
}

/// Contexts, and what is to be done about each, in order.
pub type Decisions = Vec<(Context, Decision)>;

/// What came of posting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    Run,
    Nothing,
}

impl Engine {
    /// Reads the statuses of a commit and decides. Changes nothing.
    pub async fn look(
        &self,
        repo: &RepoName,
        subject: &Subject,
        asked: &Asked,
    ) -> Result<Decisions, ForgeError> {
        let statuses = self.forge.statuses(repo, &subject.sha).await?;
        Ok(self.decide(repo, subject, &statuses, asked))
    }

    /// Decides about statuses that are read already.
    #[must_use]
    pub fn decide(
        &self,
        repo: &RepoName,
        subject: &Subject,
        statuses: &[Status],
        asked: &Asked,
    ) -> Decisions {
        decide(&self.settings, repo, subject, statuses, asked)
    }

    /// Says on the forge what was decided, and makes the tasks, in the order of the decisions.
    ///
    /// Statuses are posted and the heads of bots pulls are read side by side. It may be done again after an error: what was
    /// posted then says that the context is to be tested.
    pub async fn carry_out(
        &self,
        repo: &RepoName,
        subject: &Subject,
        decisions: &[(Context, Decision)],
        posting: Posting,
    ) -> Result<Vec<Found>, ForgeError> {
        for (context, decision) in decisions {
            log(repo, &subject.sha, context, *decision);
        }
        // A list, since the compiler cannot see through an iterator that borrows here.
        let mut posts = Vec::with_capacity(decisions.len());
        for (context, decision) in decisions {
            posts.push(self.post(repo, &subject.sha, context, *decision, posting));
        }
        let posts = stream::iter(posts).buffered(POSTS_AT_ONCE).try_collect::<Vec<_>>();
        let (posted, bots) = try_join(posts, self.bots_pulls(repo, decisions)).await?;
        let run = decisions.iter().zip(posted).filter(|(_, then)| *then == Then::Run);
        Ok(run.filter_map(|((context, _), _)| self.found(repo, subject, context, &bots)).collect())
    }

    /// A forge that refuses with 422 has too many statuses for the commit, or does not know it: no run.
    async fn post(
        &self,
        repo: &RepoName,
        sha: &CommitSha,
        context: &Context,
        decision: Decision,
        posting: Posting,
    ) -> Result<Then, ForgeError> {
        let (description, then) = match decision {
            Decision::Skip(_) => return Ok(Then::Nothing),
            Decision::Run => return Ok(Then::Run),
            Decision::PostAndRun => (posting.description(), Then::Run),
            Decision::AskFirst => (posting.description().map(|_| MANUAL), Then::Nothing),
        };
        let Some(description) = description else { return Ok(then) };
        let status = NewStatus::new(context.clone(), StatusState::Pending, description);
        match self.forge.post_status(repo, sha, &status).await {
            Ok(()) => Ok(then),
            Err(error @ ForgeError::Unprocessable { .. }) => {
                tracing::warn!(repo.name = %repo, %context, %sha, %error, "the forge takes no such status: not tested");
                Ok(Then::Nothing)
            }
            Err(error) => Err(error),
        }
    }

    /// The heads of the bots pulls that contexts to be tested name, each read once.
    async fn bots_pulls(
        &self,
        repo: &RepoName,
        decisions: &[(Context, Decision)],
    ) -> Result<BTreeMap<PullNumber, BotsPull>, ForgeError> {
        // There the commit itself is what brings the bots.
        if *repo == self.settings.bots_repo {
            return Ok(BTreeMap::new());
        }
        let wanted = decisions.iter().filter(|(_, it)| matches!(it, Decision::Run | Decision::PostAndRun));
        let named = wanted.filter_map(|(context, _)| context.as_str().parse::<TestContext>().ok()?.bots);
        let named: BTreeSet<PullNumber> = named.collect();
        let reads = named.into_iter().map(|it| self.bots_pull(it));
        stream::iter(reads).buffer_unordered(POSTS_AT_ONCE).try_collect().await
    }

    async fn bots_pull(&self, number: PullNumber) -> Result<(PullNumber, BotsPull), ForgeError> {
        match self.forge.pull(&self.settings.bots_repo, number).await {
            Ok(pull) => Ok((number, BotsPull::Head(pull.head.sha))),
            Err(ForgeError::NotFound { .. }) => Ok((number, BotsPull::Missing)),
            Err(error) => Err(error),
        }
    }

    fn found(
        &self,
        repo: &RepoName,
        subject: &Subject,
        context: &Context,
        bots: &BTreeMap<PullNumber, BotsPull>,
    ) -> Option<Found> {
        let parsed: TestContext = context.as_str().parse().ok()?;
        let named = parsed.bots.and_then(|it| bots.get(&it));
        let made = job_task(&JobContext {
            settings: &self.settings,
            repo,
            subject,
            context,
            parsed: &parsed,
            bots: named.cloned().unwrap_or(BotsPull::NotNamed),
            now: self.clock.now(),
        });
        let (task, queue, priority) =
            made.inspect_err(|error| tracing::error!(%context, %error, "no job can be made of this")).ok()?;
        let key = WorkKey::of_task(&task, self.forge.name());
        Some(Found { task, queue, priority, key })
    }
}

fn log(repo: &RepoName, sha: &CommitSha, context: &Context, decision: Decision) {
    if decision == Decision::Skip(Skipped::NoContext) {
        let expected = "IMAGE[/SCENARIO][@bots#PULL][@[FORGE:]OWNER/REPO[/BRANCH]]";
        tracing::warn!(repo.name = %repo, %context, %sha, expected, "is no context of tests");
    } else {
        tracing::info!(repo.name = %repo, %context, %sha, ?decision, "scanned");
    }
}
