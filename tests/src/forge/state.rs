//! What the forge knows.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use anyhow::{Context as _, Result};
use common::forge::{PullState, StatusState};
use common::id::{BranchName, CommitSha, PullNumber, RepoName};
use jiff::Timestamp;

use super::fault::{Fault, Ordered};
use super::hooks::HookLog;
use super::journal::Recorded;
use super::rate::Budget;
use super::validate::Versions;
use crate::steps::Steps;

/// Everything that changes.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) repos: BTreeMap<RepoName, Repository>,
    pub(super) requests: Vec<Recorded>,
    pub(super) faults: Vec<Ordered>,
    /// What happens to such requests until it is over.
    pub(super) outage: Option<Ordered>,
    pub(super) delay: Duration,
    /// Who is told of each request.
    pub(super) steps: Steps,
    pub(super) budget: Budget,
    pub(super) versions: Versions,
    pub(super) hooks: BTreeMap<(RepoName, u64), HookLog>,
    /// Requests that are not answered yet: now, and at most so far.
    pub(super) waiting: usize,
    pub(super) most_waiting: usize,
}

impl State {
    /// The first fault that is for such a request, else what an outage does to it.
    pub(super) fn take_fault(&mut self, request: &str) -> Option<Fault> {
        match self.faults.iter().position(|it| it.fits(request)) {
            Some(first) => Some(self.faults.remove(first).fault),
            None => self.outage.as_ref().filter(|it| it.fits(request)).map(|it| it.fault.clone()),
        }
    }

    pub(super) fn repo(&self, name: &RepoName) -> Result<&Repository> {
        self.repos.get(name).with_context(|| format!("the forge has no repository {name}"))
    }

    pub(super) fn repo_mut(&mut self, name: &RepoName) -> Result<&mut Repository> {
        self.repos.get_mut(name).with_context(|| format!("the forge has no repository {name}"))
    }
}

/// A repository.
#[derive(Debug)]
pub(super) struct Repository {
    pub(super) default_branch: BranchName,
    pub(super) branches: BTreeMap<BranchName, CommitSha>,
    /// Every commit that was ever the tip of a branch or the head of a pull, and those that were added.
    pub(super) commits: BTreeSet<CommitSha>,
    pub(super) pulls: BTreeMap<PullNumber, PullRecord>,
    pub(super) issues: Vec<IssueRecord>,
    /// Oldest first.
    pub(super) statuses: Vec<StatusRecord>,
}

impl Repository {
    pub(super) fn new(default_branch: BranchName, tip: CommitSha) -> Self {
        Self {
            branches: BTreeMap::from([(default_branch.clone(), tip.clone())]),
            default_branch,
            commits: BTreeSet::from([tip]),
            pulls: BTreeMap::new(),
            issues: Vec::new(),
            statuses: Vec::new(),
        }
    }

    pub(super) fn pull_mut(&mut self, number: PullNumber) -> Result<&mut PullRecord> {
        self.pulls.get_mut(&number).with_context(|| format!("the forge has no pull request {number}"))
    }

    /// Pulls and issues share their numbers.
    pub(super) fn next_number(&self) -> Result<PullNumber> {
        let next = self.pulls.len() + self.issues.len() + 1;
        u64::try_from(next).ok().and_then(PullNumber::new).context("too many pulls")
    }

    pub(super) fn issue_mut(&mut self, number: PullNumber) -> Result<&mut IssueRecord> {
        let issue = self.issues.iter_mut().find(|it| it.number == number);
        issue.with_context(|| format!("the forge has no issue {number}"))
    }

    /// What a commit, a branch or nothing (the default branch) means.
    pub(super) fn resolve(&self, reference: Option<&str>) -> Option<&CommitSha> {
        let reference = reference.unwrap_or(self.default_branch.as_str());
        let branch = self.branches.iter().find(|(name, _)| name.as_str() == reference);
        branch.map(|(_, tip)| tip).or_else(|| self.commits.iter().find(|it| it.as_str() == reference))
    }

    /// The newest status of each context of a commit, in the order in which they were posted.
    pub(super) fn combined(&self, sha: &CommitSha) -> Vec<&StatusRecord> {
        let mut seen = BTreeSet::new();
        let newest_first = self.statuses.iter().rev().filter(|it| it.sha == *sha);
        let mut newest: Vec<_> = newest_first.filter(|it| seen.insert(&it.context)).collect();
        newest.reverse();
        newest
    }
}

/// A pull request to open.
#[derive(Clone, Debug)]
pub struct NewPull {
    /// Its title.
    pub title: String,
    /// Who opens it.
    pub author: String,
    /// Its commit.
    pub head: CommitSha,
    /// Where it is to be merged.
    pub base: BranchName,
    /// Its labels.
    pub labels: Vec<String>,
}

impl NewPull {
    /// Without labels.
    pub fn new(title: &str, author: &str, head: CommitSha, base: BranchName) -> Self {
        Self { title: title.to_owned(), author: author.to_owned(), head, base, labels: Vec::new() }
    }
}

/// A pull request.
#[derive(Clone, Debug)]
pub struct PullRecord {
    /// Its number.
    pub number: PullNumber,
    /// Its title.
    pub title: String,
    /// Its text.
    pub body: String,
    /// Who opened it.
    pub author: String,
    /// Its labels.
    pub labels: Vec<String>,
    /// Its commit.
    pub head: CommitSha,
    /// Where it is to be merged.
    pub base: BranchName,
    /// Open or closed.
    pub state: PullState,
    /// Closed, and merged.
    pub merged: bool,
}

/// A status that was posted.
#[derive(Clone, Debug)]
pub struct StatusRecord {
    /// From 1, in the order of posting.
    pub id: usize,
    /// The commit.
    pub sha: CommitSha,
    /// What it is filed under.
    pub context: String,
    /// How it stands.
    pub state: StatusState,
    /// In words.
    pub description: Option<String>,
    /// The log.
    pub target_url: Option<String>,
    /// When it was posted.
    pub at: Timestamp,
}

impl StatusRecord {
    /// Whether this is how a run ended.
    pub fn is_final(&self) -> bool {
        self.state != StatusState::Pending
    }
}

impl fmt::Display for StatusRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id: _, sha, context, state, description, target_url, at } = self;
        let (description, url) =
            (description.as_deref().unwrap_or("-"), target_url.as_deref().unwrap_or("-"));
        write!(f, "{at:.3} {} {context}: {state:?} {description:?} {url}", sha.short(7))
    }
}

/// An issue.
#[derive(Clone, Debug)]
pub struct IssueRecord {
    /// Its number.
    pub number: PullNumber,
    /// Its title.
    pub title: String,
    /// Its text.
    pub body: String,
    /// Its labels.
    pub labels: Vec<String>,
    /// Who opened it.
    pub author: String,
    /// Open or closed.
    pub state: PullState,
}
