//! Issues, with GitHub's rules for opening one. Pulls are issues too.

use anyhow::{Context, Result};
use common::forge::PullState;
use common::id::{PullNumber, RepoName};
use serde_json::Value;

use super::super::fake::Shared;
use super::super::fault::Reply;
use super::super::payload::Site;
use super::super::server::Call;
use super::super::state::{IssueRecord, PullRecord};
use super::{broken, not_found, pages, pulls, with_repo};

/// Either kind.
#[derive(Clone, Copy)]
enum Item<'a> {
    Issue(&'a IssueRecord),
    Pull(&'a PullRecord),
}

impl Item<'_> {
    const fn number(self) -> PullNumber {
        match self {
            Self::Issue(it) => it.number,
            Self::Pull(it) => it.number,
        }
    }

    fn fits(self, state: &str, labels: &[&str]) -> bool {
        let (found, has) = match self {
            Self::Issue(it) => (it.state, &it.labels),
            Self::Pull(it) => (it.state, &it.labels),
        };
        pulls::is(state, found) && labels.iter().all(|label| has.iter().any(|it| it == label))
    }

    fn show(self, site: Site<'_>) -> Result<Value> {
        match self {
            Self::Issue(it) => site.issue(it),
            Self::Pull(it) => site.pull_as_issue(it),
        }
    }
}

/// Newest first.
fn items(site: Site<'_>) -> Vec<Item<'_>> {
    let issues = site.repo.issues.iter().map(Item::Issue);
    let mut all: Vec<_> = issues.chain(site.repo.pulls.values().map(Item::Pull)).collect();
    all.sort_by_key(|it| std::cmp::Reverse(it.number()));
    all
}

/// `GET repos/O/R/issues`: open ones unless asked for others, with all of `labels`.
pub(super) fn list(site: Site<'_>, call: &Call) -> Result<Reply> {
    let state = call.parameter("state").unwrap_or("open");
    let labels = call.parameter("labels").unwrap_or_default().split(',');
    let labels: Vec<_> = labels.map(str::trim).filter(|it| !it.is_empty()).collect();
    let all: Vec<_> = items(site).into_iter().filter(|it| it.fits(state, &labels)).collect();
    pages::list(site, call, &all, |it| it.show(site))
}

/// `GET repos/O/R/issues/N`
pub(super) fn one(site: Site<'_>, number: &str) -> Result<Reply> {
    let found = items(site).into_iter().find(|it| it.number().to_string() == number);
    found.map_or_else(|| Ok(not_found()), |it| Ok(Reply::json(200, &it.show(site)?)))
}

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
        let state = PullState::Open;
        repo.issues.push(IssueRecord { number, title, body, labels, author, state });
        anyhow::Ok(())
    })?;
    Ok(with_repo(shared, Some(name), |site| {
        Ok(Reply::json(201, &site.issue(site.repo.issues.last().context("an issue")?)?))
    }))
}
