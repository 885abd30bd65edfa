//! The fields of payloads that decisions depend on, and no others.

use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::forge::{Item, Pull, StatusState};
use crate::id::{CommitSha, Context, EventName, RepoName};

/// What scanners act on.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// Something happened to a pull request.
    PullRequest(Box<PullRequestEvent>),
    /// A commit got a status.
    Status(StatusEvent),
    /// Something happened to an issue.
    Issues(Box<IssuesEvent>),
    /// Anything else: nothing comes of it.
    Other,
}

impl Event {
    pub(super) fn parse(
        event: &EventName,
        payload: &str,
    ) -> Result<Self, serde_path_to_error::Error<serde_json::Error>> {
        let mut json = serde_json::Deserializer::from_str(payload);
        Ok(match event.as_str() {
            "pull_request" => Self::PullRequest(Box::new(serde_path_to_error::deserialize(&mut json)?)),
            "status" => Self::Status(serde_path_to_error::deserialize(&mut json)?),
            "issues" => Self::Issues(Box::new(serde_path_to_error::deserialize(&mut json)?)),
            _ => Self::Other,
        })
    }
}

/// A `pull_request` event.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct PullRequestEvent {
    /// What happened.
    pub action: Action,
    /// The pull as it was then.
    pub pull_request: Pull,
    /// Where.
    pub repository: Repository,
    /// What an edit changed.
    #[serde(default)]
    changes: Option<Changes>,
}

/// An `issues` event.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct IssuesEvent {
    /// What happened.
    pub action: Action,
    /// The issue as it was then.
    pub issue: Item,
    /// Where.
    pub repository: Repository,
    /// What an edit changed.
    #[serde(default)]
    changes: Option<Changes>,
}

/// What an edit changed: each has what it was before.
#[derive(Clone, Debug, PartialEq, Deserialize)]
struct Changes {
    body: Option<IgnoredAny>,
}

/// What happened to a pull request or an issue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// It is new.
    Opened,
    /// It was pushed to.
    Synchronize,
    /// It is open again.
    Reopened,
    /// It was merged or given up, or is done.
    Closed,
    /// Its title, text or base was changed.
    Edited,
    /// It got a label.
    Labeled,
    /// Anything else, such as `assigned`.
    #[serde(other)]
    Other,
}

/// A `status` event.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct StatusEvent {
    /// The commit.
    pub sha: CommitSha,
    /// What the status is filed under.
    pub context: Context,
    /// How it stands.
    pub state: StatusState,
    /// In words.
    pub description: Option<String>,
    /// Where.
    pub repository: Repository,
}

/// The `repository` of every payload.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Repository {
    /// `owner/name`.
    pub full_name: RepoName,
}

impl PullRequestEvent {
    /// Where it happened.
    #[must_use]
    pub fn repo(&self) -> &RepoName {
        &self.repository.full_name
    }

    /// Whether its text was changed.
    #[must_use]
    pub fn edits_body(&self) -> bool {
        self.action == Action::Edited && changes_body(self.changes.as_ref())
    }
}

impl IssuesEvent {
    /// Where it happened.
    #[must_use]
    pub fn repo(&self) -> &RepoName {
        &self.repository.full_name
    }

    /// Whether its text was changed.
    #[must_use]
    pub fn edits_body(&self) -> bool {
        self.action == Action::Edited && changes_body(self.changes.as_ref())
    }
}

fn changes_body(changes: Option<&Changes>) -> bool {
    changes.is_some_and(|it| it.body.is_some())
}

impl StatusEvent {
    /// Where it happened.
    #[must_use]
    pub fn repo(&self) -> &RepoName {
        &self.repository.full_name
    }

    /// The status that asks for a run: pending, and its description ends in `(direct trigger)`.
    #[must_use]
    pub fn is_direct_trigger(&self) -> bool {
        is_direct_trigger(self.state, self.description.as_deref())
    }
}

/// The one place that knows how a status asks for a run (wire facts, section 3, "webhook").
#[must_use]
pub fn is_direct_trigger(state: StatusState, description: Option<&str>) -> bool {
    state == StatusState::Pending && description.is_some_and(|it| it.trim_end().ends_with("(direct trigger)"))
}
