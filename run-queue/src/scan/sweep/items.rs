//! Check lists that ask for something nobody has begun.

use common::forge::{ForgeError, StatusState};
use common::id::RepoName;
use common::task::WorkKey;
use futures_util::stream::{self, StreamExt};

use super::pass::{AT_ONCE, Tally};
use crate::scan::issue::{LABEL, find};
use crate::scan::{Engine, Found};

/// What the open check lists of all configured repositories ask for, as far as no status says that it was begun. A job of a check
/// list has no status before it runs, so all of it may be in a queue.
pub(super) async fn unbegun(engine: &Engine, tally: &Tally) -> Vec<Found> {
    let repos = engine.settings.test_map.repos();
    let repos = repos.into_iter().filter(|it| engine.settings.issue_items.any_in(it));
    let found = stream::iter(repos).map(async |repo| match in_repo(engine, &repo).await {
        Ok(found) => found,
        Err(error) => {
            tally.trouble(&repo, &error);
            Vec::new()
        }
    });
    found.buffer_unordered(AT_ONCE).flat_map(stream::iter).collect().await
}

async fn in_repo(engine: &Engine, repo: &RepoName) -> Result<Vec<Found>, ForgeError> {
    let mut unbegun = Vec::new();
    for item in engine.forge.open_items(repo, LABEL).await? {
        let Some(found) = find(engine, repo, &item).await? else { continue };
        // Without a key nobody could tell whether it waits already.
        let Some(key) = &found.key else { continue };
        if !is_begun(engine, repo, key).await? {
            unbegun.push(found);
        }
    }
    Ok(unbegun)
}

async fn is_begun(engine: &Engine, repo: &RepoName, key: &WorkKey) -> Result<bool, ForgeError> {
    let statuses = engine.forge.statuses(repo, key.sha()).await?;
    Ok(statuses.iter().any(|it| it.context == key.context().as_str() && it.state != StatusState::Error))
}
