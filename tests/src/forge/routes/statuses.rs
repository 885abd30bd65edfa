//! Statuses, with GitHub's rules for posting one.

use anyhow::{Context, Result};
use common::forge::StatusState;
use common::id::{CommitSha, RepoName};
use serde_json::{Value, json};

use super::super::fake::Shared;
use super::super::fault::Reply;
use super::super::payload::Site;
use super::super::server::Call;
use super::super::state::StatusRecord;
use super::pages::{self, Page};
use super::{broken, not_found, with_repo};

/// In characters.
const MAX_DESCRIPTION: usize = 140;
const MAX_CONTEXT: usize = 255;

/// `GET repos/O/R/commits/REF/status`: the newest of each context, in pages.
pub(super) fn combined(site: Site<'_>, reference: &str, call: &Call) -> Result<Reply> {
    let Some(sha) = site.repo.resolve(Some(reference)) else { return Ok(not_found()) };
    let all = site.repo.combined(sha);
    let page = Page::asked(site, call);
    let reply = Reply::json(200, &site.combined(sha, &all, &page.of(&all))?);
    Ok(page.link(site, call, all.len(), reply))
}

/// `GET repos/O/R/commits/REF/statuses`: all that were ever posted, newest first, in pages.
pub(super) fn all(site: Site<'_>, reference: &str, call: &Call) -> Result<Reply> {
    let Some(sha) = site.repo.resolve(Some(reference)) else { return Ok(not_found()) };
    let all: Vec<_> = site.repo.statuses.iter().rev().filter(|it| it.sha == *sha).collect();
    pages::list(site, call, &all, |it| Ok(site.status(it)))
}

/// `POST repos/O/R/statuses/SHA`
pub(super) fn post(shared: &Shared, repo: Option<&RepoName>, sha: &str, call: &Call) -> Reply {
    let Some(repo) = repo.filter(|it| shared.state().repos.contains_key(*it)) else { return not_found() };
    let Ok(status) = serde_json::from_slice::<Value>(&call.body) else {
        return Reply::problem(400, "Problems parsing JSON");
    };
    match check(&status) {
        Ok(checked) => store(shared, repo, sha, checked).unwrap_or_else(|error| broken(&error)),
        Err(problem) => invalid(&problem),
    }
}

/// A status that GitHub would take.
#[derive(Debug)]
struct Checked {
    context: String,
    state: StatusState,
    description: Option<String>,
    target_url: Option<String>,
}

fn check(status: &Value) -> Result<Checked, String> {
    // Words of other forges are read, not taken.
    let state = serde_json::from_value(status["state"].clone()).ok().filter(|it| *it != StatusState::Other);
    let text = |name: &str| status[name].as_str().map(str::to_owned);
    let checked = Checked {
        context: text("context").unwrap_or_else(|| "default".to_owned()),
        state: state.ok_or_else(|| "state is not included in the list".to_owned())?,
        description: text("description"),
        target_url: text("target_url"),
    };
    if checked.description.as_ref().is_some_and(|it| it.chars().count() > MAX_DESCRIPTION) {
        return Err(format!("description is too long (maximum is {MAX_DESCRIPTION} characters)"));
    }
    if checked.context.chars().count() > MAX_CONTEXT {
        return Err(format!("context is too long (maximum is {MAX_CONTEXT} characters)"));
    }
    let web = |it: &String| it.starts_with("https://") || it.starts_with("http://");
    if checked.target_url.as_ref().is_some_and(|it| !web(it)) {
        return Err("target_url must use http(s) scheme".to_owned());
    }
    Ok(checked)
}

fn invalid(problem: &str) -> Reply {
    let errors = json!([{"resource": "Status", "code": "custom", "message": problem}]);
    Reply::json(422, &json!({"message": "Validation Failed", "errors": errors}))
}

fn store(shared: &Shared, name: &RepoName, sha: &str, status: Checked) -> Result<Reply> {
    let known = CommitSha::new(sha)
        .ok()
        .filter(|it| shared.state().repos.get(name).is_some_and(|repo| repo.commits.contains(it)));
    let Some(sha) = known else { return Ok(Reply::problem(422, &format!("No commit found for SHA: {sha}"))) };
    let Checked { context, state, description, target_url } = status;
    let at = shared.clock.now();
    shared.change(|all| {
        let repo = all.repo_mut(name)?;
        let id = repo.statuses.len() + 1;
        repo.statuses.push(StatusRecord { id, sha, context, state, description, target_url, at });
        anyhow::Ok(())
    })?;
    Ok(with_repo(shared, Some(name), |site| {
        Ok(Reply::json(201, &site.status(site.repo.statuses.last().context("a status")?)))
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn posts_are_checked_as_github_does() {
        for (status, problem) in [
            (json!({}), "state is not"),
            (json!({"state": "green"}), "state is not"),
            (json!({"state": "error", "description": "é".repeat(141)}), "description is too long"),
            (json!({"state": "error", "context": "c".repeat(256)}), "context is too long"),
            (json!({"state": "error", "target_url": "ftp://x"}), "target_url must"),
        ] {
            let found = check(&status).unwrap_err();
            assert!(found.starts_with(problem), "{found}");
        }
        let status = json!({"state": "pending", "description": "é".repeat(140), "target_url": "http://x"});
        assert_eq!(check(&status).unwrap().context, "default");
    }
}
