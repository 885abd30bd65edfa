//! Events become tasks. The event says where to look, the forge says what is true.

use std::convert::Infallible;

use common::Clock;
use common::broker::{Headers, Outgoing};
use common::event::{Action, Envelope, Event, IssuesEvent, PullRequestEvent, StatusEvent};
use common::forge::{Forge, ForgeError, Item, Pull, PullState, Status};
use common::id::{RepoName, TaskId};
use futures_util::future::{join, try_join};

use super::issue::find;
use super::{Asked, Engine, Found, LiveScanSettings, Posting, Subject, merged};
use crate::handler::{Failure, Handler, Work};

/// Turns events into tasks.
#[derive(Clone, Debug)]
pub struct Scanner {
    /// What there is to test, and for whom.
    pub settings: LiveScanSettings,
    /// Where statuses are.
    pub forge: Forge,
    /// For the time in slugs.
    pub clock: Clock,
}

impl Handler for Scanner {
    /// An event that was being looked at is looked at again.
    type Left = Infallible;

    async fn handle(&self, work: Work) -> Result<Vec<Outgoing>, Failure> {
        let event = Envelope::decode(&work.body).and_then(|it| it.parse());
        // The outline leaves out what the payload says: it goes into the log.
        let event = event.map_err(|it| Failure::Fail(it.outline()))?;
        let found = self.found(&event, &work.headers).await.map_err(Failure::forge)?;
        Ok(found.iter().map(|it| it.caused_by(&work.headers)).collect())
    }

    async fn left(&self) -> Vec<Infallible> {
        Vec::new()
    }

    async fn resume(&self, _: Work, left: Infallible) -> Result<Vec<Outgoing>, Failure> {
        match left {}
    }

    async fn is_open(&self, left: &Infallible) -> bool {
        match *left {}
    }

    async fn give_up(&self, left: Infallible) {
        match left {}
    }

    async fn settled(&self, _: &TaskId) {}
}

impl Scanner {
    /// The engine of this moment.
    #[must_use]
    pub fn engine(&self) -> Engine {
        Engine { settings: self.settings.now(), forge: self.forge.clone(), clock: self.clock }
    }

    /// What comes of an event.
    async fn found(&self, event: &Event, headers: &Headers) -> Result<Vec<Found>, ForgeError> {
        // The time of the event: when it is looked at again, the same comes of it.
        let clock = headers.time().map_or(self.clock, Clock::fixed);
        let engine = Engine { clock, ..self.engine() };
        match event {
            Event::PullRequest(event) => match event.action {
                Action::Opened | Action::Synchronize | Action::Reopened => pull(&engine, event).await,
                Action::Closed if event.pull_request.merged => {
                    Ok(vec![merged::found(&engine.settings, event)])
                }
                Action::Labeled => pull_as_issue(&engine, event).await,
                Action::Edited if event.edits_body() => pull_as_issue(&engine, event).await,
                Action::Closed | Action::Edited | Action::Other => Ok(Vec::new()),
            },
            Event::Status(event) if event.is_direct_trigger() => status(&engine, event).await,
            Event::Issues(event) => match event.action {
                Action::Opened | Action::Labeled => issue(&engine, event).await,
                Action::Edited if event.edits_body() => issue(&engine, event).await,
                _ => Ok(Vec::new()),
            },
            Event::Status(_) | Event::Other => Ok(Vec::new()),
        }
    }
}

/// A pull was opened, pushed to or opened again. The pull is read again beside the statuses of the commit that the event tells
/// of: an event that comes late, twice or after a later one leads to where the last of them leads.
async fn pull(engine: &Engine, event: &PullRequestEvent) -> Result<Vec<Found>, ForgeError> {
    let (repo, told) = (event.repo(), &event.pull_request);
    if !engine.settings.test_map.knows(repo) {
        tracing::info!(repo.name = %repo, "the test map does not know this repository");
        return Ok(Vec::new());
    }
    let reads = join(engine.forge.pull(repo, told.number), engine.forge.statuses(repo, &told.head.sha));
    let (read, statuses) = reads.await;
    match Truth::of(told, read?) {
        Truth::Closed => {
            tracing::info!(repo.name = %repo, pull = %told.number, "closed meanwhile");
            Ok(Vec::new())
        }
        Truth::Moved(pull) => {
            tracing::info!(repo.name = %repo, pull = %told.number, from = %told.head.sha, to = %pull.head.sha, "pushed to meanwhile");
            let statuses = engine.forge.statuses(repo, &pull.head.sha).await?;
            scan(engine, repo, &Subject::from(&pull), &statuses, &Asked::Nothing).await
        }
        Truth::AsTold(pull) => scan(engine, repo, &Subject::from(&pull), &statuses?, &Asked::Nothing).await,
    }
}

/// What is true of a pull that an event tells of.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Truth {
    /// Its head is the one that the event tells of.
    AsTold(Box<Pull>),
    /// It has another head now.
    Moved(Box<Pull>),
    /// There is nothing to test any more.
    Closed,
}

impl Truth {
    fn of(told: &Pull, read: Pull) -> Self {
        // Forges answer from copies that can be seconds behind their own events.
        let pull = if read.is_older_than(told) { told.clone() } else { read };
        match pull.state {
            PullState::Closed => Self::Closed,
            PullState::Open if pull.head.sha == told.head.sha => Self::AsTold(Box::new(pull)),
            PullState::Open => Self::Moved(Box::new(pull)),
        }
    }
}

/// The check list of a pull may ask for something.
async fn pull_as_issue(engine: &Engine, event: &PullRequestEvent) -> Result<Vec<Found>, ForgeError> {
    let (repo, told) = (event.repo(), &event.pull_request);
    if !engine.settings.issue_items.any_in(repo) {
        return Ok(Vec::new());
    }
    let read = engine.forge.pull(repo, told.number).await?;
    let pull = if read.is_older_than(told) { told } else { &read };
    item(engine, repo, &Item::from(pull)).await
}

/// The check list of an issue may ask for something.
async fn issue(engine: &Engine, event: &IssuesEvent) -> Result<Vec<Found>, ForgeError> {
    let (repo, told) = (event.repo(), &event.issue);
    if !engine.settings.issue_items.any_in(repo) {
        return Ok(Vec::new());
    }
    let read = engine.forge.item(repo, told.number).await?;
    item(engine, repo, if read.is_older_than(told) { told } else { &read }).await
}

async fn item(engine: &Engine, repo: &RepoName, item: &Item) -> Result<Vec<Found>, ForgeError> {
    if item.state == Some(PullState::Closed) {
        tracing::info!(repo.name = %repo, issue = %item.number, "closed meanwhile");
        return Ok(Vec::new());
    }
    Ok(find(engine, repo, item).await?.into_iter().collect())
}

/// Somebody asks for a run of one context, of an open pull's head or of any other commit.
async fn status(engine: &Engine, event: &StatusEvent) -> Result<Vec<Found>, ForgeError> {
    let repo = event.repo();
    let reads = try_join(engine.forge.open_pulls(repo), engine.forge.statuses(repo, &event.sha));
    let (pulls, statuses) = reads.await?;
    let pull = pulls.iter().find(|it| it.head.sha == event.sha);
    let subject = pull.map_or_else(|| Subject::bare(&event.sha), Subject::from);
    scan(engine, repo, &subject, &statuses, &Asked::ByStatus(event.context.clone())).await
}

async fn scan(
    engine: &Engine,
    repo: &RepoName,
    subject: &Subject,
    statuses: &[Status],
    asked: &Asked,
) -> Result<Vec<Found>, ForgeError> {
    let decisions = engine.decide(repo, subject, statuses, asked);
    engine.carry_out(repo, subject, &decisions, Posting::Queued).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pull(sha: &str, state: &str, updated: &str) -> Pull {
        serde_json::from_value(serde_json::json!({
            "number": 1, "title": "", "state": state, "user": {"login": "alice"}, "labels": [],
            "head": {"sha": sha}, "base": {"ref": "main"}, "updated_at": updated,
        }))
        .unwrap()
    }

    #[test]
    fn the_newer_of_the_event_and_the_forges_answer_is_true() {
        let (early, late) = ("2026-11-20T08:00:00Z", "2026-11-20T08:00:01Z");
        let told = pull("aaaaaa", "open", early);
        let truth = |read: Pull| match Truth::of(&told, read) {
            Truth::AsTold(pull) => format!("as told, {}", pull.head.sha),
            Truth::Moved(pull) => format!("moved to {}", pull.head.sha),
            Truth::Closed => "closed".to_owned(),
        };
        assert_eq!(truth(pull("aaaaaa", "open", early)), "as told, aaaaaa");
        assert_eq!(truth(pull("aaaaaa", "open", late)), "as told, aaaaaa");
        assert_eq!(truth(pull("bbbbbb", "open", late)), "moved to bbbbbb");
        assert_eq!(truth(pull("bbbbbb", "open", early)), "moved to bbbbbb");
        assert_eq!(truth(pull("aaaaaa", "closed", late)), "closed");
        let behind = "2026-11-20T07:59:59Z";
        assert_eq!(truth(pull("bbbbbb", "open", behind)), "as told, aaaaaa");
        assert_eq!(truth(pull("aaaaaa", "closed", behind)), "as told, aaaaaa");
        assert_eq!(truth(pull("bbbbbb", "open", "no time")), "moved to bbbbbb");
    }
}
