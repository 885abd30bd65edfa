//! Events that never got through are asked for again.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use anyhow::Result;
use axum::Router;
use axum::http::StatusCode;
use axum::routing::post;
use common::Clock;
use common::forge::{Forge, ForgeError, ForgeSettings, Limits, Writes};
use tests::forge::Hook;

use super::{DEADLINE, World};

const HOOK: u64 = 7;

/// A receiver that answers what it is told to.
async fn receiver(status: &Arc<AtomicU16>) -> Result<Hook> {
    let status = Arc::clone(status);
    let answer = async move || StatusCode::from_u16(status.load(Ordering::Relaxed)).unwrap_or_default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let hook = Hook::new(&format!("http://{}/", listener.local_addr()?), "secret")?;
    tokio::spawn(async move { axum::serve(listener, Router::new().route("/", post(answer))).await });
    Ok(hook)
}

#[tokio::test]
async fn failed_events_are_found_and_sent_again() -> Result<()> {
    let world = World::new().await?;
    let (forge, repo) = (&world.forge, &world.repo);
    let (started, status) = (Clock::system().now(), Arc::new(AtomicU16::new(503)));
    forge.add_hook(repo, HOOK, receiver(&status).await?);
    let old = forge.ping(repo)?;
    forge.log_delivery(repo, HOOK, &old, started - Duration::from_hours(1), 503)?;
    let lost = forge.ping(repo)?;
    assert_eq!(forge.send(repo, HOOK, &lost).await?, 503);
    for answer in [200, 501, 202] {
        status.store(answer, Ordering::Relaxed);
        forge.send(repo, HOOK, &forge.ping(repo)?).await?;
    }
    // More than a page.
    for _ in 0..120 {
        forge.log_delivery(repo, HOOK, &forge.ping(repo)?, Clock::system().now(), 200)?;
    }
    let failed = world.client.failed_deliveries(repo, HOOK, started).await?;
    let [only] = failed.as_slice() else { panic!("{failed:?}") };
    assert_eq!((only.guid.as_str(), only.status_code), (lost.id.as_str(), 503));
    assert_eq!((only.event.as_str(), only.redelivery), ("ping", false));
    let pages = world.asked();
    assert_eq!(pages.len(), 2, "{pages:?}");
    assert!(pages[1].contains("cursor=v1_"), "{pages:?}");

    status.store(200, Ordering::Relaxed);
    world.client.redeliver(repo, HOOK, only.id).await?;
    let again = forge.wait_for_delivery(repo, HOOK, DEADLINE, |it| it.redelivery).await?;
    assert_eq!((again.delivery.id, again.status), (lost.id, 200));
    assert_eq!(world.client.failed_deliveries(repo, HOOK, started).await?, []);
    world.forge.finish().await
}

#[tokio::test]
async fn a_log_that_cannot_be_seen_is_an_error() -> Result<()> {
    let world = World::new().await?;
    let nothing = world.client.failed_deliveries(&world.repo, HOOK, Clock::system().now()).await;
    assert!(matches!(nothing.unwrap_err(), ForgeError::NotFound { .. }));
    let gone = world.client.redeliver(&world.repo, HOOK, 1).await.unwrap_err();
    assert!(matches!(gone, ForgeError::NotFound { .. }), "{gone}");
    let silent: Forge =
        Forge::with_limits(ForgeSettings { writes: Writes::Say, ..world.settings()? }, Limits::default())?;
    silent.redeliver(&world.repo, HOOK, 1).await?;
    assert_eq!(world.asked().len(), 2);
    world.forge.finish().await
}
