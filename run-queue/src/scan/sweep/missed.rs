//! Events that the forge could not deliver: its delivery log is asked for them.

use std::collections::BTreeMap;
use std::time::Duration;

use common::Chain;
use common::id::RepoName;

use crate::scan::Engine;

/// GitHub keeps its delivery log for three days.
const KEPT: Duration = Duration::from_hours(72);

/// Something could not be asked for; the log says what.
pub(super) struct NotAsked;

/// Asks the hooks of these repositories for failed deliveries again. They come through the receiver as they would have.
pub(super) async fn ask_again(engine: &Engine, hooks: &BTreeMap<RepoName, u64>) -> Result<(), NotAsked> {
    let mut asked = Ok(());
    for (repo, hook) in hooks {
        if let Err(error) = ask(engine, repo, *hook).await {
            tracing::warn!(repo.name = %repo, hook, error = %Chain(&error), "failed deliveries cannot be asked for again");
            asked = Err(NotAsked);
        }
    }
    asked
}

async fn ask(engine: &Engine, repo: &RepoName, hook: u64) -> Result<(), common::forge::ForgeError> {
    let since = engine.clock.now() - jiff::SignedDuration::from_secs(KEPT.as_secs().cast_signed());
    for delivery in engine.forge.failed_deliveries(repo, hook, since).await? {
        engine.forge.redeliver(repo, hook, delivery.id).await?;
        tracing::info!(repo.name = %repo, delivery.id = %delivery.guid, event = %delivery.event, "a failed delivery is asked for again");
    }
    Ok(())
}
