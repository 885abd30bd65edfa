//! The routes that are modelled: one list, and a file each for what has rules of its own.

mod contents;
mod hooks;
mod issues;
mod pages;
mod pulls;
mod statuses;

use std::sync::Arc;

use anyhow::Result;
use common::id::{BranchName, RepoName};
use serde_json::{Value, json};

use super::fake::{Access, Shared};
use super::fault::Reply;
use super::payload::Site;
use super::server::Call;

/// The answer of a route; none if there is no such route here.
pub(super) async fn answer(shared: &Arc<Shared>, call: &Call) -> Option<Reply> {
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
        ("GET", ["pulls"]) => within(&|site| pulls::list(site, call)),
        ("GET", ["pulls", number]) => within(&|site| pulls::one(site, number)),
        ("GET", ["branches", branch @ ..]) => within(&|site| Ok(tip(site, branch, Shape::Branch))),
        ("GET", ["git", "ref" | "refs", "heads", branch @ ..]) => {
            within(&|site| Ok(tip(site, branch, Shape::Reference)))
        }
        ("GET", ["git", "ref", "pull", number, "head"]) => within(&|site| Ok(pulls::head(site, number))),
        ("GET", ["commits", reference, "status"]) => {
            within(&|site| statuses::combined(site, reference, call))
        }
        ("GET", ["commits", reference, "statuses"]) => within(&|site| statuses::all(site, reference, call)),
        ("POST", ["statuses", sha]) => statuses::post(shared, repo.as_ref(), sha, call),
        ("GET", ["contents", path @ ..]) => contents::get(shared, repo.as_ref(), &path.join("/"), call).await,
        ("GET", ["issues"]) => within(&|site| issues::list(site, call)),
        ("GET", ["issues", number]) => within(&|site| issues::one(site, number)),
        ("GET", ["hooks", hook, "deliveries"]) => hooks::deliveries(shared, repo.as_ref(), hook, call),
        ("POST", ["hooks", hook, "deliveries", delivery, "attempts"]) => {
            hooks::redeliver(shared, repo.as_ref(), hook, delivery)
        }
        ("POST", ["issues"]) => issues::post(shared, repo.as_ref(), call),
        _ => return None,
    })
}

/// 401 as GitHub says it: for any wrong token, and for a write without one.
fn authority(shared: &Shared, call: &Call) -> Option<Reply> {
    let Access::Token(expected) = shared.access() else { return None };
    match call.header("authorization") {
        None if call.method == "GET" && !call.parts.iter().any(|it| it == "deliveries") => None,
        None => Some(Reply::problem(401, "Requires authentication")),
        Some(text) => {
            let token = text.strip_prefix("token ").or_else(|| text.strip_prefix("Bearer "));
            (token != Some(expected.as_str())).then(|| Reply::problem(401, "Bad credentials"))
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
    answer(Site { api: &shared.url, dialect: shared.dialect, name, repo })
        .unwrap_or_else(|error| broken(&error))
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
