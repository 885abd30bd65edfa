//! The fields of payloads that decisions depend on, and no others.

use serde::Deserialize;

use crate::forge::{Pull, StatusState};
use crate::id::{CommitSha, Context, EventName, RepoName};

/// What scanners act on.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// Something happened to a pull request.
    PullRequest(Box<PullRequestEvent>),
    /// A commit got a status.
    Status(StatusEvent),
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
}

/// What happened to a pull request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// It is new.
    Opened,
    /// It was pushed to.
    Synchronize,
    /// It is open again.
    Reopened,
    /// Anything else, such as `labeled`.
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
