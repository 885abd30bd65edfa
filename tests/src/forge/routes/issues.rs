//! Issues, with GitHub's rules for opening one.

use anyhow::{Context, Result};
use common::id::RepoName;
use serde_json::Value;

use super::super::fake::Shared;
use super::super::fault::Reply;
use super::super::server::Call;
use super::super::state::IssueRecord;
use super::{broken, not_found, with_repo};

/// `POST repos/O/R/issues`
pub(super) fn post(shared: &Shared, repo: Option<&RepoName>, call: &Call) -> Reply {
    let Some(repo) = repo.filter(|it| shared.state().repos.contains_key(*it)) else { return not_found() };
    let Ok(issue) = serde_json::from_slice::<Value>(&call.body) else {
        return Reply::problem(400, "Problems parsing JSON");
    };
    let Some(title) = issue["title"].as_str().filter(|it| !it.trim().is_empty()) else {
        return Reply::problem(422, "Invalid request. \"title\" wasn't supplied.");
    };
    open(shared, repo, title, &issue).unwrap_or_else(|error| broken(&error))
}

fn open(shared: &Shared, name: &RepoName, title: &str, issue: &Value) -> Result<Reply> {
    let labels = issue["labels"].as_array().map(Vec::as_slice).unwrap_or_default();
    let labels = labels.iter().filter_map(|it| it.as_str().or_else(|| it["name"].as_str()));
    let (title, body) = (title.to_owned(), issue["body"].as_str().unwrap_or_default().to_owned());
    let (labels, author) = (labels.map(str::to_owned).collect(), "flotilla".to_owned());
    shared.change(|state| {
        let repo = state.repo_mut(name)?;
        let number = repo.next_number()?;
        repo.issues.push(IssueRecord { number, title, body, labels, author });
        anyhow::Ok(())
    })?;
    Ok(with_repo(shared, Some(name), |site| {
        Ok(Reply::json(201, &site.issue(site.repo.issues.last().context("an issue")?)?))
    }))
}
