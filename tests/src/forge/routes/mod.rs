//! The routes that are modelled: one list, and a file each for what has rules of its own.

mod contents;
mod issues;
mod statuses;

use anyhow::{Result, ensure};
use common::forge::PullState;
use common::id::{BranchName, PullNumber, RepoName};
use serde_json::{Value, json};

use super::fake::{Access, Shared};
use super::fault::Reply;
use super::payload::Site;
use super::server::Call;

/// The answer of a route; none if there is no such route here.
pub(super) async fn answer(shared: &Shared, call: &Call) -> Option<Reply> {
    if call.header("user-agent").is_none() {
        return Some(Reply::problem(403, "Request forbidden by administrative rules (no user agent)"));
    }
    if let Some(refusal) = authority(shared, call) {
        return Some(refusal);
    }
    let parts: Vec<_> = call.parts.iter().map(String::as_str).collect();
    let ["repos", owner, name, rest @ ..] = parts.as_slice() else { return None };
    let repo = RepoName::new(format!("{owner}/{name}")).ok();
    let within = |answer: &dyn Fn(Site<'_>) -> Result<Reply>| with_repo(shared, repo.as_ref(), answer);
    Some(match (call.method.as_str(), rest) {
        ("GET", []) => within(&|site| Ok(Reply::json(200, &site.repository()?))),
        ("GET", ["pulls"]) if call.parameter("state") == Some("open") => within(&open_pulls),
        ("GET", ["pulls", number]) => within(&|site| pull(site, number)),
        ("GET", ["branches", branch @ ..]) => within(&|site| Ok(tip(site, branch, Shape::Branch))),
        ("GET", ["git", "ref" | "refs", "heads", branch @ ..]) => {
            within(&|site| Ok(tip(site, branch, Shape::Reference)))
        }
        ("GET", ["commits", reference, "status"]) => {
            within(&|site| statuses::combined(site, reference, call))
        }
        ("POST", ["statuses", sha]) => statuses::post(shared, repo.as_ref(), sha, call),
        ("GET", ["contents", path @ ..]) => contents::get(shared, repo.as_ref(), &path.join("/"), call).await,
        ("POST", ["issues"]) => issues::post(shared, repo.as_ref(), call),
        _ => return None,
    })
}

/// 401 as GitHub says it: for any wrong token, and for a write without one.
fn authority(shared: &Shared, call: &Call) -> Option<Reply> {
    let Access::Token(expected) = &shared.access else { return None };
    match call.header("authorization") {
        None if call.method == "GET" => None,
        None => Some(Reply::problem(401, "Requires authentication")),
        Some(text) => {
            let token = text.strip_prefix("token ").or_else(|| text.strip_prefix("Bearer "));
            (token != Some(expected)).then(|| Reply::problem(401, "Bad credentials"))
        }
    }
}

fn not_found() -> Reply {
    Reply::problem(404, "Not Found")
}

fn broken(error: &anyhow::Error) -> Reply {
    Reply::problem(500, &format!("a slip of the stand-in: {error:#}"))
}

fn with_repo(
    shared: &Shared,
    name: Option<&RepoName>,
    answer: impl FnOnce(Site<'_>) -> Result<Reply>,
) -> Reply {
    let state = shared.state();
    let Some((name, repo)) = name.and_then(|it| state.repos.get_key_value(it)) else { return not_found() };
    answer(Site { api: &shared.url, name, repo }).unwrap_or_else(|error| broken(&error))
}

fn pull(site: Site<'_>, number: &str) -> Result<Reply> {
    let number = number.parse().ok().and_then(PullNumber::new);
    let pull = number.and_then(|it| site.repo.pulls.get(&it));
    pull.map_or_else(|| Ok(not_found()), |it| Ok(Reply::json(200, &site.pull(it)?)))
}

/// All on one page; more than a page of them is a slip of the test.
fn open_pulls(site: Site<'_>) -> Result<Reply> {
    let open = site.repo.pulls.values().rev().filter(|it| it.state == PullState::Open);
    let open: Vec<_> = open.map(|it| site.pull(it)).collect::<Result<_>>()?;
    ensure!(open.len() <= 100, "the stand-in lists no more than 100 pulls");
    Ok(Reply::json(200, &Value::from(open)))
}

/// What a branch look-up answers.
#[derive(Clone, Copy)]
enum Shape {
    Branch,
    Reference,
}

fn tip(site: Site<'_>, branch: &[&str], shape: Shape) -> Reply {
    let branch = BranchName::new(branch.join("/")).ok();
    let Some((name, tip)) = branch.and_then(|it| site.repo.branches.get_key_value(&it)) else {
        return not_found();
    };
    let answer: Value = match shape {
        Shape::Branch => site.branch(name, tip),
        Shape::Reference => {
            json!({"ref": format!("refs/heads/{name}"), "object": {"type": "commit", "sha": tip}})
        }
    };
    Reply::json(200, &answer)
}
