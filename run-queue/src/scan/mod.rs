//! Scanning: events become tasks. [`decide`] is a pure function of what the event says, what the forge says now, and the
//! configuration; [`Scanner`] is the thin shell around it.

mod allow_list;
mod context;
mod decide;
mod job;
mod settings;
mod test_map;

use bytes::Bytes;
use common::Clock;
use common::broker::{Headers, Outgoing};
use common::event::{Action, Envelope, Event, PullRequestEvent, StatusEvent};
use common::forge::{Forge, ForgeError, NewStatus, Pull, StatusState};
use common::id::{CommitSha, Context, PullNumber, RepoName};

pub use allow_list::AllowList;
pub use context::{Project, TestContext};
pub use decide::{Decision, Skipped, Subject, decide};
pub use job::{BotsPull, JobContext, job_task};
pub use settings::{ScanArgs, ScanSettings};
pub use test_map::TestMap;

use crate::handler::{Failure, Handler, Work};

/// Turns events into tasks.
#[derive(Debug)]
pub struct Scanner {
    /// What there is to test, and for whom.
    pub settings: ScanSettings,
    /// Where statuses are.
    pub forge: Forge,
    /// For the time in slugs.
    pub clock: Clock,
}

impl Handler for Scanner {
    async fn handle(&self, work: Work) -> Result<Vec<Outgoing>, Failure> {
        let event = Envelope::decode(&work.body).and_then(|it| it.parse());
        // The outline leaves out what the payload says: it goes into the log.
        let event = event.map_err(|it| Failure::Fail(it.outline()))?;
        match event {
            Event::PullRequest(event) => self.pull_request(&event, &work.headers).await,
            Event::Status(event) => self.status(&event, &work.headers).await,
            Event::Other => Ok(Vec::new()),
        }
    }
}

impl Scanner {
    async fn pull_request(
        &self,
        event: &PullRequestEvent,
        cause: &Headers,
    ) -> Result<Vec<Outgoing>, Failure> {
        match event.action {
            Action::Opened | Action::Synchronize | Action::Reopened => {}
            Action::Other => return Ok(Vec::new()),
        }
        self.scan(event.repo(), &Subject::from(&event.pull_request), &[], cause).await
    }

    async fn status(&self, event: &StatusEvent, cause: &Headers) -> Result<Vec<Outgoing>, Failure> {
        if !event.is_direct_trigger() {
            return Ok(Vec::new());
        }
        let pulls = self.forge.open_pulls(event.repo()).await.map_err(Failure::forge)?;
        let pull = pulls.iter().find(|it| it.head.sha == event.sha);
        let subject = pull.map_or_else(|| Subject::bare(&event.sha), Subject::from);
        self.scan(event.repo(), &subject, std::slice::from_ref(&event.context), cause).await
    }

    /// Reads what is true now, decides, says so on the forge, and gives the tasks.
    async fn scan(
        &self,
        repo: &RepoName,
        subject: &Subject,
        asked: &[Context],
        cause: &Headers,
    ) -> Result<Vec<Outgoing>, Failure> {
        // What is asked for by name is run everywhere.
        if asked.is_empty() && !self.settings.test_map.knows(repo) {
            tracing::info!(repo.name = %repo, "the test map does not know this repository");
            return Ok(Vec::new());
        }
        let statuses = self.forge.statuses(repo, &subject.sha).await.map_err(Failure::forge)?;
        let mut tasks = Vec::new();
        for (context, decision) in decide(&self.settings, repo, subject, &statuses, asked) {
            tracing::info!(repo.name = %repo, %context, sha = %subject.sha, ?decision, "scanned");
            if self.post(repo, &subject.sha, &context, decision).await? == Posted::AndRun {
                tasks.push(self.task(repo, subject, &context, cause).await?);
            }
        }
        Ok(tasks)
    }

    /// Says on the forge what was decided. A forge that refuses with 422 has too many statuses for the commit: no run.
    async fn post(
        &self,
        repo: &RepoName,
        sha: &CommitSha,
        context: &Context,
        decision: Decision,
    ) -> Result<Posted, Failure> {
        let (description, then) = match decision {
            Decision::Skip(_) => return Ok(Posted::Only),
            Decision::Run => return Ok(Posted::AndRun),
            Decision::PostAndRun => ("Not yet tested", Posted::AndRun),
            Decision::AskFirst => ("Manual testing required", Posted::Only),
        };
        let status = NewStatus::new(context.clone(), StatusState::Pending, description);
        match self.forge.post_status(repo, sha, &status).await {
            Ok(()) => Ok(then),
            Err(ForgeError::Unprocessable { .. }) => {
                tracing::warn!(repo.name = %repo, %context, %sha, "the forge takes no more statuses for this commit");
                Ok(Posted::Only)
            }
            Err(error) => Err(Failure::forge(error)),
        }
    }

    async fn task(
        &self,
        repo: &RepoName,
        subject: &Subject,
        context: &Context,
        cause: &Headers,
    ) -> Result<Outgoing, Failure> {
        let parsed: TestContext = context.as_str().parse().map_err(Failure::fail)?;
        let (task, queue, priority) = job_task(&JobContext {
            settings: &self.settings,
            repo,
            subject,
            context,
            parsed: &parsed,
            bots: self.bots(parsed.bots).await?,
            now: self.clock.now(),
        })
        .map_err(Failure::fail)?;
        let body = Bytes::from(task.to_json());
        Ok(Outgoing { queue, body, priority: Some(priority), headers: cause.caused() })
    }

    async fn bots(&self, named: Option<PullNumber>) -> Result<BotsPull, Failure> {
        let Some(number) = named else { return Ok(BotsPull::NotNamed) };
        match self.forge.pull(&self.settings.bots_repo, number).await {
            Ok(pull) => Ok(BotsPull::Head(pull.head.sha)),
            Err(ForgeError::NotFound { .. }) => Ok(BotsPull::Missing),
            Err(error) => Err(Failure::forge(error)),
        }
    }
}

/// What posting a decision led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Posted {
    Only,
    AndRun,
}

impl From<&Pull> for Subject {
    fn from(pull: &Pull) -> Self {
        Self {
            number: Some(pull.number),
            author: pull.author().to_owned(),
            title: pull.title.clone(),
            no_test: pull.has_label("no-test"),
            sha: pull.head.sha.clone(),
            base: Some(pull.base.branch.clone()),
        }
    }
}
