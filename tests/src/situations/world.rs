//! The state of the forge at the beginning of a situation.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use common::http::{Timeouts, Trust};
use common::id::{BranchName, CommitSha, RepoName};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::forge::{FakeForge, Field, NewPull};
use crate::secrets;

/// The repositories of a forge.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct World(pub BTreeMap<String, Repository>);

/// A repository.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Repository {
    /// Branches and their tips; `main` is there in any case.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub branches: BTreeMap<String, String>,
    /// Numbered from 1, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pulls: Vec<Pull>,
    /// Numbered on from the pulls, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub issues: Vec<Issue>,
    /// What commits have been told, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub statuses: Vec<Status>,
}

/// A pull request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pull {
    /// Its title.
    pub title: String,
    /// Who opened it.
    pub author: String,
    /// Its commit.
    pub head: String,
    /// Where it is to be merged.
    pub base: String,
    /// Its labels.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
    /// Its text.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub body: String,
    /// Whether it is closed.
    #[serde(default, skip_serializing_if = "is_open")]
    pub closed: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_open(closed: &bool) -> bool {
    !closed
}

/// An issue.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Issue {
    /// Its title.
    pub title: String,
    /// Who opened it.
    pub author: String,
    /// Its text.
    pub body: String,
    /// Its labels.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
}

/// A status of a commit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Status {
    /// The commit.
    pub sha: String,
    /// What it is filed under.
    pub context: String,
    /// How it stands.
    pub state: String,
    /// In words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_url: Option<String>,
    /// So many of them, the contexts numbered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u32>,
}

/// The tip of `main` where nothing is said of it.
pub fn default_tip() -> String {
    "f".repeat(40)
}

impl World {
    /// Puts all of it into a forge that has nothing yet.
    pub async fn build(&self, forge: &FakeForge) -> Result<()> {
        for (name, repository) in &self.0 {
            let name = RepoName::new(name.as_str())?;
            repository.build(forge, &name).await.with_context(|| format!("building {name}"))?;
        }
        Ok(())
    }
}

impl Repository {
    async fn build(&self, forge: &FakeForge, name: &RepoName) -> Result<()> {
        forge.add_repo(name, &BranchName::new("main")?, &CommitSha::new(default_tip())?);
        for (branch, tip) in &self.branches {
            forge.push_branch(name, &BranchName::new(branch.as_str())?, &CommitSha::new(tip.as_str())?)?;
        }
        for pull in &self.pulls {
            pull.build(forge, name)?;
        }
        for issue in &self.issues {
            issue.build(forge, name)?;
        }
        for status in &self.statuses {
            forge.add_commit(name, &CommitSha::new(status.sha.as_str())?)?;
            status.build(forge, name).await?;
        }
        Ok(())
    }
}

impl Pull {
    fn build(&self, forge: &FakeForge, name: &RepoName) -> Result<()> {
        let Self { title, author, head, base, labels, body, closed } = self;
        let (head, base) = (CommitSha::new(head.as_str())?, BranchName::new(base.as_str())?);
        let new = NewPull { labels: labels.clone(), ..NewPull::new(title, author, head, base) };
        let (number, _) = forge.open_pull(name, new)?;
        if !body.is_empty() {
            forge.edit(name, number, Field::Body, body)?;
        }
        if *closed {
            forge.close(name, number)?;
        }
        Ok(())
    }
}

impl Issue {
    fn build(&self, forge: &FakeForge, name: &RepoName) -> Result<()> {
        let Self { title, author, body, labels } = self;
        let number = forge.next_number(name)?;
        forge.open_issue(name, title, body, author)?;
        for label in labels {
            forge.label_issue(name, number, label)?;
        }
        Ok(())
    }
}

impl Status {
    /// Over HTTP: what nobody of ours would post is posted by others.
    async fn build(&self, forge: &FakeForge, name: &RepoName) -> Result<()> {
        let client = common::http::client("another CI system", Trust::Nobody, Timeouts::default())?;
        let url = format!("{}/repos/{name}/statuses/{}", forge.url(), self.sha);
        for number in 0..self.times.unwrap_or(1) {
            let context =
                if self.times.is_some() { format!("{}{number}", self.context) } else { self.context.clone() };
            let status = json!({
                "context": context, "state": self.state, "description": self.description, "target_url": self.target_url,
            });
            let request =
                client.post(&url).header("authorization", format!("token {}", secrets::FORGE_TOKEN));
            let answer = request.json(&status).send().await?;
            ensure!(answer.status() == 201, "{status}: {}", answer.text().await?);
        }
        Ok(())
    }
}
