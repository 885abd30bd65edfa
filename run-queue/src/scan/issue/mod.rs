//! Items of check lists become jobs (wire facts, section 3, "issue-scan"): [`decide`] is a pure function of the issue and the
//! configuration; [`find`] asks the forge for the commit.

mod checklist;
mod decide;
mod job;
mod settings;

use common::forge::{ForgeError, Item};
use common::id::RepoName;

pub use checklist::first_unchecked;
pub use decide::{Skipped, Wanted, decide};
pub use settings::{IssueItem, IssueItems, RepoPattern};

use self::job::At;
use super::{Engine, Found, Project};

/// The label of what is looked at.
pub const LABEL: &str = "bot";

/// What the first unchecked item of an issue or a pull asks for.
pub async fn find(engine: &Engine, repo: &RepoName, item: &Item) -> Result<Option<Found>, ForgeError> {
    let wanted = match decide(&engine.settings, repo, item) {
        Ok(wanted) => wanted,
        Err(reason) => {
            tracing::info!(repo.name = %repo, issue = %item.number, ?reason, "nothing comes of it");
            return Ok(None);
        }
    };
    let at = at(engine, repo, item).await?;
    let made = job::found(engine, repo, item.number, &wanted, &at);
    Ok(made.inspect_err(|error| tracing::warn!(repo.name = %repo, issue = %item.number, %error, "no job can be made of it")).ok())
}

/// The head of a pull, or the tip of the default branch: the test map's word for it, else the forge's.
async fn at(engine: &Engine, repo: &RepoName, item: &Item) -> Result<At, ForgeError> {
    let forge = &engine.forge;
    if item.is_pull() {
        let sha = match item.head() {
            Some(sha) => sha.clone(),
            None => forge.pull(repo, item.number).await?.head.sha,
        };
        return Ok(At { sha, reference: format!("pull/{}/head", item.number), pull: Some(item.number) });
    }
    let map = &engine.settings.test_map;
    let listed = map.knows(repo).then(|| map.default_branch(&Project::from(repo.clone()))).flatten();
    let branch = match listed {
        Some(branch) => branch,
        None => forge.repo(repo).await?.default_branch,
    };
    Ok(At { sha: forge.tip(repo, &branch).await?, reference: branch.to_string(), pull: None })
}
