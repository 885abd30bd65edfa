//! Writing: statuses and issues.

use std::time::Duration;

use anyhow::{Context, Result};
use common::forge::{Forge, ForgeError, StatusState, Writes};
use common::id::PullNumber;
use serde_json::json;
use tests::forge::{Fault, Reply};

use super::{DEADLINE, TOKEN, World, settings, sha, status, words};

#[tokio::test]
async fn a_status_is_posted() -> Result<()> {
    let world = World::new().await?;
    let long = status("unit", StatusState::Failure, &"wörd ".repeat(100)).with_target_url("https://logs/1");
    world
        .client
        .post_status(&world.repo, &world.tip, &status("unit", StatusState::Pending, "In progress"))
        .await?;
    world.client.post_status(&world.repo, &world.tip, &long).await?;

    let found =
        world.forge.wait_for_state(&world.repo, &world.tip, "unit", StatusState::Failure, DEADLINE).await?;
    assert_eq!(found.target_url.as_deref(), Some("https://logs/1"));
    assert!(found.description.is_some_and(|it| it.ends_with("wörd…")));
    let history = world.forge.statuses(&world.repo, &world.tip);
    let history: Vec<_> = history.iter().map(|it| it.state).collect();
    assert_eq!(history, [StatusState::Failure, StatusState::Pending]);
    assert_eq!(world.client.statuses(&world.repo, &world.tip).await?.len(), 1);
    world.forge.finish().await
}

#[tokio::test]
async fn what_the_forge_refuses_is_told() -> Result<()> {
    let world = World::new().await?;
    let pending = status("unit", StatusState::Pending, "In progress");
    let unknown = world.client.post_status(&world.repo, &sha('f'), &pending).await.unwrap_err();
    assert!(matches!(unknown, ForgeError::Unprocessable { .. }), "{unknown}");
    assert_eq!(words(&unknown), format!("refused: No commit found for SHA: {}", sha('f')));
    let ftp = pending.with_target_url("ftp://logs");
    let scheme = world.client.post_status(&world.repo, &world.tip, &ftp).await.unwrap_err();
    assert_eq!(words(&scheme), "refused: Validation Failed: target_url must use http(s) scheme");
    assert!(!scheme.is_transient());
    world.forge.finish().await
}

#[tokio::test]
async fn a_status_is_posted_until_it_is_there() -> Result<()> {
    let world = World::new().await?;
    let pending = status("unit", StatusState::Pending, "In progress");
    for fault in [Fault::status(502), Fault::Reset, Fault::Lost] {
        world.forge.fault_on("POST", 1, &fault);
        world.client.post_status(&world.repo, &world.tip, &pending).await?;
    }
    assert_eq!(world.asked().len(), 6);
    assert_eq!(world.forge.statuses(&world.repo, &world.tip).len(), 4, "the lost one was posted twice");
    world.forge.finish().await
}

#[tokio::test]
async fn an_issue_is_opened_once() -> Result<()> {
    let world = World::new().await?;
    let issue = json!({"title": "Tests failed"}).as_object().cloned().unwrap_or_default();
    for fault in [Fault::status(502), Fault::Reset, Fault::Lost] {
        world.forge.fault_on("POST", 1, &fault);
        let error = world.client.open_issue(&world.repo, &issue).await.unwrap_err();
        assert!(error.is_transient(), "{error}");
    }
    assert_eq!(world.forge.issues(&world.repo)?.len(), 1, "the lost one");
    // A limit is a refusal: nothing was opened.
    world.forge.fault_on("POST", 1, &Fault::too_many(Duration::from_secs(1)));
    assert_eq!(world.client.open_issue(&world.repo, &issue).await?, Some(2));
    world.forge.finish().await
}

#[tokio::test]
async fn a_write_does_not_follow() -> Result<()> {
    let world = World::new().await?;
    let pending = status("unit", StatusState::Pending, "In progress");
    let elsewhere = Reply::problem(307, "moved").with_header("location", "/repositories/1/statuses");
    world.forge.fault_next(1, &Fault::Answer(elsewhere));
    let error = world.client.post_status(&world.repo, &world.tip, &pending).await.unwrap_err();
    assert_eq!(words(&error), format!("307 Temporary Redirect: not followed to {}", world.forge.url()));
    assert_eq!(world.asked().len(), 1);
    world.forge.finish().await
}

#[tokio::test]
async fn an_issue_is_opened() -> Result<()> {
    let world = World::new().await?;
    world.open_pull(&sha('b'))?;
    let issue = json!({"title": "Tests failed on abc", "body": "See the log", "labels": ["nightly"]});
    let issue = issue.as_object().cloned().unwrap_or_default();
    assert_eq!(world.client.open_issue(&world.repo, &issue).await?, Some(2));
    let opened = world.forge.issues(&world.repo)?;
    assert_eq!(
        (opened[0].title.as_str(), opened[0].labels.as_slice()),
        ("Tests failed on abc", &["nightly".to_owned()][..])
    );
    let untitled = world.client.open_issue(&world.repo, &serde_json::Map::new()).await.unwrap_err();
    assert!(matches!(untitled, ForgeError::Unprocessable { .. }), "{untitled}");
    world.forge.finish().await
}

#[tokio::test]
async fn an_issue_is_found_by_its_text_open_or_closed() -> Result<()> {
    let world = World::new().await?;
    for number in 1..=150 {
        world.forge.open_issue(&world.repo, "An issue", &format!("text <{number}>"), "alice")?;
    }
    let first = PullNumber::new(1).context("a number")?;
    world.forge.close_issue(&world.repo, first)?;
    for (text, found) in [("<150>", Some(150)), ("<1>", Some(1)), ("<151>", None)] {
        let number = world.client.find_issue(&world.repo, text).await?;
        assert_eq!(number.map(PullNumber::get), found, "{text}");
    }
    world.forge.finish().await
}

#[tokio::test]
async fn saying_writes_nothing() -> Result<()> {
    let world = World::new().await?;
    let mut settings = settings(world.forge.url(), Some(TOKEN))?;
    settings.writes = Writes::Say;
    let client = Forge::new(settings)?;
    client.post_status(&world.repo, &world.tip, &status("unit", StatusState::Success, "Success")).await?;
    assert_eq!(client.open_issue(&world.repo, &serde_json::Map::new()).await?, None);
    assert_eq!(world.asked(), [""; 0]);
    assert_eq!(client.repo(&world.repo).await?.full_name, world.repo);
    world.forge.finish().await
}
