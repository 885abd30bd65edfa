//! Payloads and answers as GitHub writes them: its own examples (`tests/payloads`), with our facts put in.

mod issue;

pub(super) use self::issue::IssueChange;

use anyhow::{Context, Result};
use common::forge::{PullState, StatusState};
use common::id::{BranchName, CommitSha, PullNumber, RepoName};
use serde_json::{Value, json};

use super::dialect::Dialect;
use super::state::{PullRecord, Repository, StatusRecord};
use super::webhook::Delivery;

const OPENED: &str = include_str!("../../payloads/pull_request.opened.json");
const SYNCHRONIZE: &str = include_str!("../../payloads/pull_request.synchronize.json");
const CLOSED: &str = include_str!("../../payloads/pull_request.closed.json");
const REOPENED: &str = include_str!("../../payloads/pull_request.reopened.json");
const LABELED: &str = include_str!("../../payloads/pull_request.labeled.json");
const STATUS: &str = include_str!("../../payloads/status.json");
const PING: &str = include_str!("../../payloads/ping.json");
const PUSH: &str = include_str!("../../payloads/push.json");

/// Which payload a change of a pull gives.
#[derive(Clone, Debug)]
pub(super) enum PullChange {
    Opened,
    /// From this commit.
    Synchronize(CommitSha),
    Closed,
    Reopened,
    /// With this label.
    Labeled(String),
    /// What was changed, and what it was.
    Edited(Field, String),
}

/// What of a pull or an issue can be edited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// Its title.
    Title,
    /// Its text.
    Body,
}

impl Field {
    const fn name(self) -> &'static str {
        match self {
            Self::Title => "title",
            Self::Body => "body",
        }
    }
}

/// Where the objects of a payload live.
#[derive(Clone, Copy, Debug)]
pub(super) struct Site<'a> {
    /// The forge's API, without a slash at the end.
    pub(super) api: &'a str,
    pub(super) dialect: Dialect,
    pub(super) name: &'a RepoName,
    pub(super) repo: &'a Repository,
}

impl Site<'_> {
    /// A `pull_request` event.
    pub(super) fn pull_event(&self, pull: &PullRecord, change: &PullChange) -> Result<Delivery> {
        let template = match change {
            // An edited title or text is not among GitHub's examples: one that was opened has the same pull.
            PullChange::Opened | PullChange::Edited(..) => OPENED,
            PullChange::Synchronize(_) => SYNCHRONIZE,
            PullChange::Closed => CLOSED,
            PullChange::Reopened => REOPENED,
            PullChange::Labeled(_) => LABELED,
        };
        let mut payload = self.template(template, Some(pull.number))?;
        set(&mut payload, "/number", json!(pull.number))?;
        self.fill_pull(&mut payload, "/pull_request", pull)?;
        match change {
            PullChange::Synchronize(before) => {
                set(&mut payload, "/before", json!(before))?;
                set(&mut payload, "/after", json!(pull.head))?;
            }
            PullChange::Labeled(label) => set(&mut payload, "/label", self.label(label))?,
            PullChange::Edited(field, before) => edited(&mut payload, *field, before)?,
            PullChange::Opened | PullChange::Closed | PullChange::Reopened => {}
        }
        Delivery::new("pull_request", payload.to_string())
    }

    /// A pull as the API shows it.
    pub(super) fn pull(&self, pull: &PullRecord) -> Result<Value> {
        let mut payload = self.template(OPENED, Some(pull.number))?;
        self.fill_pull(&mut payload, "/pull_request", pull)?;
        let mut shown = payload["pull_request"].take();
        if self.dialect == Dialect::Forgejo {
            shown["head"]["repo"]["owner"] = shown["head"]["user"].take();
            without(&mut shown["head"], "user");
            without(&mut shown["base"], "user");
        }
        Ok(shown)
    }

    /// The repository as the API shows it.
    pub(super) fn repository(&self) -> Result<Value> {
        Ok(self.template(OPENED, None)?["repository"].take())
    }

    /// A `status` event.
    pub(super) fn status_event(&self, status: &StatusRecord) -> Result<Delivery> {
        let StatusRecord { id, sha, context, state, description, target_url, at } = status;
        let mut payload = self.template(STATUS, None)?;
        for (place, value) in [
            ("/id", json!(id)),
            ("/sha", json!(sha)),
            ("/commit/sha", json!(sha)),
            ("/context", json!(context)),
            ("/state", json!(state)),
            ("/description", json!(description)),
            ("/target_url", json!(target_url)),
            ("/branches", self.branches(sha)),
            ("/created_at", json!(at.to_string())),
            ("/updated_at", json!(at.to_string())),
        ] {
            set(&mut payload, place, value)?;
        }
        Delivery::new("status", payload.to_string())
    }

    /// A status as the API shows it.
    pub(super) fn status(&self, status: &StatusRecord) -> Value {
        let StatusRecord { id, sha, context, state, description, target_url, at } = status;
        let state_name = if self.dialect == Dialect::Forgejo { "status" } else { "state" };
        json!({
            "url": format!("{}/repos/{}/statuses/{sha}", self.api, self.name), "avatar_url": null, "id": id,
            "node_id": format!("SC_{id}"), state_name: state, "description": description, "target_url": target_url,
            "context": context, "created_at": at.to_string(), "updated_at": at.to_string(),
        })
    }

    /// A page of a commit's combined status.
    pub(super) fn combined(
        &self,
        sha: &CommitSha,
        all: &[&StatusRecord],
        page: &[&StatusRecord],
    ) -> Result<Value> {
        let (api, name) = (self.api, self.name);
        let page: Vec<_> = page.iter().map(|it| self.status(it)).collect();
        Ok(json!({
            "state": worst(all), "statuses": page, "sha": sha, "total_count": all.len(), "repository": self.repository()?,
            "commit_url": format!("{api}/repos/{name}/commits/{sha}"),
            "url": format!("{api}/repos/{name}/commits/{sha}/status"),
        }))
    }

    /// A `push` event of a branch.
    pub(super) fn push_event(
        &self,
        branch: &BranchName,
        before: &CommitSha,
        after: &CommitSha,
    ) -> Result<Delivery> {
        let mut payload = self.template(PUSH, None)?;
        for (place, value) in [
            ("/ref", json!(format!("refs/heads/{branch}"))),
            ("/before", json!(before)),
            ("/after", json!(after)),
            ("/created", json!(false)),
            ("/head_commit/id", json!(after)),
        ] {
            set(&mut payload, place, value)?;
        }
        Delivery::new("push", payload.to_string())
    }

    /// A `ping` event.
    pub(super) fn ping(&self) -> Result<Delivery> {
        let payload =
            self.template(&PING.replace("Octocoders/Hello-World", "Codertocat/Hello-World"), None)?;
        Delivery::new("ping", payload.to_string())
    }

    /// A branch as the API shows it.
    pub(super) fn branch(&self, name: &BranchName, tip: &CommitSha) -> Value {
        let url = format!("{}/repos/{}/commits/{tip}", self.api, self.name);
        let key = if self.dialect == Dialect::Forgejo { "id" } else { "sha" };
        json!({"name": name, "commit": {key: tip, "url": url}, "protected": false})
    }

    fn branches(&self, sha: &CommitSha) -> Value {
        let there = self.repo.branches.iter().filter(|(_, tip)| *tip == sha);
        there.map(|(name, tip)| self.branch(name, tip)).collect()
    }

    pub(super) fn label(&self, name: &str) -> Value {
        let url = format!("{}/repos/{}/labels/{name}", self.api, self.name);
        json!({"id": 1, "node_id": "LA_1", "url": url, "name": name, "color": "d73a4a", "default": false, "description": null})
    }

    /// An example with this repository in place of its own, and this number in the addresses of its pull.
    pub(super) fn template(&self, text: &str, number: Option<PullNumber>) -> Result<Value> {
        let number = number.map_or_else(|| "2".to_owned(), |it| it.to_string());
        let text = text
            .replace("/pulls/2", &format!("/pulls/{number}"))
            .replace("/issues/2", &format!("/issues/{number}"))
            .replace("/pull/2", &format!("/pull/{number}"))
            .replace("https://api.github.com", self.api)
            .replace("Codertocat/Hello-World", self.name.as_str());
        let mut payload = serde_json::from_str(&text).context("an example of a payload")?;
        for place in ["/repository", "/pull_request/head/repo", "/pull_request/base/repo"] {
            self.fill_repository(&mut payload, place)?;
        }
        Ok(payload)
    }

    fn fill_repository(&self, payload: &mut Value, place: &str) -> Result<()> {
        let Some(repository) = payload.pointer_mut(place).filter(|it| it.is_object()) else { return Ok(()) };
        set(repository, "/name", json!(self.name.name()))?;
        set(repository, "/owner/login", json!(self.name.owner()))?;
        set(repository, "/default_branch", json!(self.repo.default_branch))
    }

    fn fill_pull(&self, payload: &mut Value, place: &str, pull: &PullRecord) -> Result<()> {
        let PullRecord { number, title, body, author, labels, head, base, state, merged } = pull;
        let tip = self.repo.branches.get(base).unwrap_or(head);
        let statuses = format!("{}/repos/{}/statuses/{head}", self.api, self.name);
        let date = |given: bool| if given { json!("2019-05-15T15:20:34Z") } else { Value::Null };
        for (field, value) in [
            ("/number", json!(number)),
            ("/title", json!(title)),
            ("/body", json!(body)),
            ("/user/login", json!(author)),
            ("/labels", labels.iter().map(|it| self.label(it)).collect()),
            ("/head/sha", json!(head)),
            ("/head/user/login", json!(author)),
            ("/base/ref", json!(base)),
            ("/base/sha", json!(tip)),
            ("/state", json!(state)),
            ("/merged", json!(merged)),
            ("/merged_at", date(*merged)),
            ("/closed_at", date(*state == PullState::Closed)),
            ("/statuses_url", json!(statuses)),
            ("/_links/statuses/href", json!(statuses)),
        ] {
            set(payload, &format!("{place}{field}"), value)?;
        }
        Ok(())
    }
}

/// The state of all statuses together (GitHub, "Get the combined status for a specific reference").
fn worst(all: &[&StatusRecord]) -> &'static str {
    let any = |state| all.iter().any(|it| it.state == state);
    if any(StatusState::Failure) || any(StatusState::Error) {
        "failure"
    } else if all.is_empty() || any(StatusState::Pending) {
        "pending"
    } else {
        "success"
    }
}

/// Puts a value where the example has one: a field that is not there is a slip of ours.
pub(super) fn set(payload: &mut Value, place: &str, value: Value) -> Result<()> {
    *payload.pointer_mut(place).with_context(|| format!("the example has no {place}"))? = value;
    Ok(())
}

/// What an `edited` event adds to an `opened` one.
fn edited(payload: &mut Value, field: Field, before: &str) -> Result<()> {
    set(payload, "/action", json!("edited"))?;
    payload["changes"] = json!({field.name(): {"from": before}});
    Ok(())
}

fn without(object: &mut Value, key: &str) {
    if let Some(object) = object.as_object_mut() {
        object.remove(key);
    }
}
