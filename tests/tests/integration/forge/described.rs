//! Everything that the client can ask is in the published description of GitHub's API, and the stand-in answers as that says.

use anyhow::Result;
use common::forge::{Forge, NewStatus, StatusState};
use common::id::Context;
use jiff::Timestamp;
use serde_json::{Map, json};
use tests::forge::{Delivery, Hook};
use tests::openapi::Description;
use tests::situations::tap::Tap;

use super::{TOKEN, World, settings, sha};

/// The id of a webhook.
const HOOK: u64 = 7;

#[tokio::test]
async fn every_request_of_the_client_is_described() -> Result<()> {
    let world = World::new().await?;
    let World { forge, repo, main, tip, .. } = &world;
    let tap = Tap::start(forge.url(), &[]).await?;
    let client = Forge::new(settings(tap.url(), Some(TOKEN))?)?;
    let number = world.open_pull(&sha('b'))?;
    forge.label(repo, number, "bot")?;
    forge.add_hook(repo, HOOK, Hook::new("http://127.0.0.1:1/", "a secret")?);
    let event = Delivery::new("ping", "{}")?;
    forge.log_delivery(repo, HOOK, &event, Timestamp::UNIX_EPOCH, 502)?;

    let context: Context = "arch/x@bots#1".parse()?;
    let status =
        NewStatus::new(context, StatusState::Pending, "Not yet tested").with_target_url("https://x/1");
    client.post_status(repo, &sha('b'), &status).await?;
    let issue = json!({"title": "Tests failed", "body": "…", "labels": ["nightly"]});
    let issue: Map<_, _> = serde_json::from_value(issue)?;
    let opened = client.open_issue(repo, &issue).await?;
    assert!(opened.is_some());
    assert_eq!(client.open_pulls(repo).await?.len(), 1);
    client.pull(repo, number).await?;
    client.repo(repo).await?;
    assert_eq!(client.statuses(repo, &sha('b')).await?.len(), 1);
    assert_eq!(client.tip(repo, main).await?, *tip);
    assert_eq!(client.file(repo, ".cockpit-ci/container", tip).await?, None);
    client.item(repo, number).await?;
    assert_eq!(client.open_items(repo, "bot").await?.len(), 1);
    let failed = client.failed_deliveries(repo, HOOK, Timestamp::UNIX_EPOCH).await?;
    client.redeliver(repo, HOOK, failed[0].id).await?;

    let (described, exchanges) = (Description::load()?, tap.exchanges());
    let complaints: Vec<_> = exchanges.iter().flat_map(|it| described.complaints(it)).collect();
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
    // One for each of the client's ways to ask.
    assert_eq!(exchanges.len(), 12);
    drop(tap);
    let World { forge, .. } = world;
    forge.finish().await
}
