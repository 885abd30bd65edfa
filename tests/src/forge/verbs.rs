//! What people do on a forge. Each verb changes the state and gives the event that GitHub would send.

use anyhow::{Context, Result};
use common::forge::{NewStatus, PullState};
use common::id::{BranchName, CommitSha, PullNumber, RepoName};

use super::fake::FakeForge;
use super::payload::{Field, IssueChange, PullChange, Site};
use super::state::{IssueRecord, NewPull, PullRecord, Repository, StatusRecord};
use super::webhook::Delivery;

impl FakeForge {
    /// Makes a repository with one branch.
    pub fn add_repo(&self, name: &RepoName, default_branch: &BranchName, tip: &CommitSha) {
        let repo = Repository::new(default_branch.clone(), tip.clone());
        self.shared.change(|state| state.repos.insert(name.clone(), repo));
    }

    /// Makes a commit known that is on no branch.
    pub fn add_commit(&self, name: &RepoName, sha: &CommitSha) -> Result<()> {
        self.shared.change(|state| state.repo_mut(name).map(|it| it.commits.insert(sha.clone())))?;
        Ok(())
    }

    /// Moves or makes a branch: a `push` event.
    pub fn push_branch(&self, name: &RepoName, branch: &BranchName, tip: &CommitSha) -> Result<Delivery> {
        let before = self.change(name, |repo| {
            repo.commits.insert(tip.clone());
            Ok(repo.branches.insert(branch.clone(), tip.clone()))
        })?;
        let before = before.map_or_else(|| CommitSha::new("0".repeat(40)), Ok)?;
        self.tell(name, |site| site.push_event(branch, &before, tip))
    }

    /// The number that the next pull or issue of a repository gets.
    pub fn next_number(&self, name: &RepoName) -> Result<PullNumber> {
        self.shared.state().repo(name)?.next_number()
    }

    /// Opens a pull request: `pull_request`, `opened`.
    pub fn open_pull(&self, name: &RepoName, pull: NewPull) -> Result<(PullNumber, Delivery)> {
        let number = self.change(name, |repo| {
            let NewPull { title, author, head, base, labels } = pull;
            let number = repo.next_number()?;
            repo.commits.insert(head.clone());
            let state = PullState::Open;
            let body = String::new();
            let record = PullRecord { number, title, body, author, labels, head, base, state, merged: false };
            repo.pulls.insert(number, record);
            Ok(number)
        })?;
        Ok((number, self.tell_pull(name, number, &PullChange::Opened)?))
    }

    /// Pushes to a pull request: `pull_request`, `synchronize`.
    pub fn push(&self, name: &RepoName, number: PullNumber, head: &CommitSha) -> Result<Delivery> {
        let before = self.change(name, |repo| {
            repo.commits.insert(head.clone());
            Ok(std::mem::replace(&mut repo.pull_mut(number)?.head, head.clone()))
        })?;
        self.tell_pull(name, number, &PullChange::Synchronize(before))
    }

    /// Gives a pull request up: `pull_request`, `closed`.
    pub fn close(&self, name: &RepoName, number: PullNumber) -> Result<Delivery> {
        self.change(name, |repo| {
            repo.pull_mut(number)?.state = PullState::Closed;
            Ok(())
        })?;
        self.tell_pull(name, number, &PullChange::Closed)
    }

    /// Merges a pull request (its head becomes the tip of its base): `pull_request`, `closed` and merged.
    pub fn merge(&self, name: &RepoName, number: PullNumber) -> Result<Delivery> {
        self.change(name, |repo| {
            let pull = repo.pull_mut(number)?;
            (pull.state, pull.merged) = (PullState::Closed, true);
            let (base, head) = (pull.base.clone(), pull.head.clone());
            repo.branches.insert(base, head);
            Ok(())
        })?;
        self.tell_pull(name, number, &PullChange::Closed)
    }

    /// Opens a pull request again: `pull_request`, `reopened`.
    pub fn reopen(&self, name: &RepoName, number: PullNumber) -> Result<Delivery> {
        self.change(name, |repo| {
            repo.pull_mut(number)?.state = PullState::Open;
            Ok(())
        })?;
        self.tell_pull(name, number, &PullChange::Reopened)
    }

    /// Puts a label on a pull request: `pull_request`, `labeled`.
    pub fn label(&self, name: &RepoName, number: PullNumber, label: &str) -> Result<Delivery> {
        self.change(name, |repo| {
            repo.pull_mut(number)?.labels.push(label.to_owned());
            Ok(())
        })?;
        self.tell_pull(name, number, &PullChange::Labeled(label.to_owned()))
    }

    /// Writes a pull request's title or text anew: `pull_request`, `edited`, with `changes`.
    pub fn edit(&self, name: &RepoName, number: PullNumber, field: Field, text: &str) -> Result<Delivery> {
        let before = self.change(name, |repo| {
            let pull = repo.pull_mut(number)?;
            let place = match field {
                Field::Title => &mut pull.title,
                Field::Body => &mut pull.body,
            };
            Ok(std::mem::replace(place, text.to_owned()))
        })?;
        self.tell_pull(name, number, &PullChange::Edited(field, before))
    }

    /// Gives a commit a status, as somebody else would: `status`.
    pub fn set_status(&self, name: &RepoName, sha: &CommitSha, status: NewStatus) -> Result<Delivery> {
        let NewStatus { context, state, description, target_url } = status;
        let at = self.shared.clock.now();
        self.change(name, |repo| {
            let (id, context) = (repo.statuses.len() + 1, context.as_str().to_owned());
            let (sha, description) = (sha.clone(), Some(description));
            repo.statuses.push(StatusRecord { id, sha, context, state, description, target_url, at });
            Ok(())
        })?;
        self.status_event(name, sha, context.as_str())
    }

    /// The event of the newest status of a context: what GitHub sends after our own program posted one.
    pub fn status_event(&self, name: &RepoName, sha: &CommitSha, context: &str) -> Result<Delivery> {
        self.tell(name, |site| {
            let newest = site.repo.statuses.iter().rev().find(|it| it.sha == *sha && it.context == context);
            site.status_event(newest.with_context(|| format!("{sha} has no status `{context}`"))?)
        })
    }

    /// Opens an issue: `issues`, `opened`.
    pub fn open_issue(&self, name: &RepoName, title: &str, body: &str, author: &str) -> Result<Delivery> {
        let number = self.change(name, |repo| {
            let (number, labels) = (repo.next_number()?, Vec::new());
            let (title, body, author) = (title.to_owned(), body.to_owned(), author.to_owned());
            let state = PullState::Open;
            repo.issues.push(IssueRecord { number, title, body, labels, author, state });
            Ok(number)
        })?;
        self.tell_issue(name, number, &IssueChange::Opened)
    }

    /// Puts a label on an issue: `issues`, `labeled`.
    pub fn label_issue(&self, name: &RepoName, number: PullNumber, label: &str) -> Result<Delivery> {
        self.change(name, |repo| {
            repo.issue_mut(number)?.labels.push(label.to_owned());
            Ok(())
        })?;
        self.tell_issue(name, number, &IssueChange::Labeled(label.to_owned()))
    }

    /// Writes an issue's title or text anew: `issues`, `edited`, with `changes`.
    pub fn edit_issue(
        &self,
        name: &RepoName,
        number: PullNumber,
        field: Field,
        text: &str,
    ) -> Result<Delivery> {
        let before = self.change(name, |repo| {
            let issue = repo.issue_mut(number)?;
            let place = match field {
                Field::Title => &mut issue.title,
                Field::Body => &mut issue.body,
            };
            Ok(std::mem::replace(place, text.to_owned()))
        })?;
        self.tell_issue(name, number, &IssueChange::Edited(field, before))
    }

    /// Closes an issue: `issues`, `closed`.
    pub fn close_issue(&self, name: &RepoName, number: PullNumber) -> Result<Delivery> {
        self.change(name, |repo| {
            repo.issue_mut(number)?.state = PullState::Closed;
            Ok(())
        })?;
        self.tell_issue(name, number, &IssueChange::Closed)
    }

    /// The pulls of a repository, open or closed, oldest first.
    pub fn pulls(&self, name: &RepoName) -> Result<Vec<PullRecord>> {
        Ok(self.shared.state().repo(name)?.pulls.values().cloned().collect())
    }

    /// The issues of a repository, oldest first.
    pub fn issues(&self, name: &RepoName) -> Result<Vec<IssueRecord>> {
        self.shared.state().repo(name).map(|it| it.issues.clone())
    }

    /// A pull request as it is now.
    pub fn pull(&self, name: &RepoName, number: PullNumber) -> Result<PullRecord> {
        self.change(name, |repo| repo.pull_mut(number).cloned())
    }

    /// What is sent when a webhook is set up: `ping`.
    pub fn ping(&self, name: &RepoName) -> Result<Delivery> {
        self.tell(name, |site| site.ping())
    }

    fn change<T>(&self, name: &RepoName, change: impl FnOnce(&mut Repository) -> Result<T>) -> Result<T> {
        self.shared.change(|state| change(state.repo_mut(name)?))
    }

    fn tell(&self, name: &RepoName, event: impl FnOnce(Site<'_>) -> Result<Delivery>) -> Result<Delivery> {
        let state = self.shared.state();
        event(Site { api: &self.shared.url, dialect: self.shared.dialect, name, repo: state.repo(name)? })
    }

    fn tell_issue(&self, name: &RepoName, number: PullNumber, change: &IssueChange) -> Result<Delivery> {
        self.tell(name, |site| {
            let issue = site.repo.issues.iter().find(|it| it.number == number).context("an issue")?;
            site.issue_event(issue, change)
        })
    }

    fn tell_pull(&self, name: &RepoName, number: PullNumber, change: &PullChange) -> Result<Delivery> {
        self.tell(name, |site| {
            let pull = site.repo.pulls.get(&number).context("a pull request")?;
            site.pull_event(pull, change)
        })
    }
}
