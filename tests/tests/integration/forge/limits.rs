//! A forge's limits, ours, and who goes first.

use std::time::{Duration, Instant};

use anyhow::Result;
use common::forge::{Forge, ForgeError, ForgeMetrics, Limits, StatusState};
use futures_util::future::{join_all, try_join_all};
use prometheus_client::registry::Registry;
use tests::forge::Fault;

use super::{World, sha, status};

/// How long an error says to wait, in seconds.
fn wait_of(error: &ForgeError) -> Option<u64> {
    match error {
        ForgeError::RateLimited { retry_after, .. } => retry_after.map(|it| it.as_secs()),
        _ => None,
    }
}

#[tokio::test]
async fn nobody_asks_while_a_forge_wants_to_be_left_alone() -> Result<()> {
    let world = World::new().await?;
    world.forge.fault_next(1, &Fault::too_many(Duration::from_secs(1)));
    let started = Instant::now();
    world.client.repo(&world.repo).await?;
    assert!(started.elapsed() >= Duration::from_secs(1));
    assert_eq!(world.asked().len(), 2);

    // The others see what the first was told, and none of them sends anything.
    for (fault, wait) in [(Fault::too_many(Duration::from_mins(2)), 119..=120), (Fault::secondary(), 59..=60)]
    {
        let client = Forge::with_limits(world.settings()?, Limits::default())?;
        let before = world.asked().len();
        world.forge.fault_next(1, &fault);
        let first = client.repo(&world.repo).await.unwrap_err();
        assert!(wait_of(&first).is_some_and(|it| wait.contains(&it)), "{first}");
        let others = join_all((0..5).map(|_| client.repo(&world.repo))).await;
        for error in others.into_iter().map(Result::unwrap_err) {
            assert!(wait_of(&error).is_some_and(|it| wait.contains(&it)), "{error}");
        }
        let pending = status("unit", StatusState::Pending, "In progress");
        let error = client.post_status(&world.repo, &world.tip, &pending).await.unwrap_err();
        assert!(wait_of(&error).is_some_and(|it| wait.contains(&it)), "{error}");
        assert_eq!(world.asked().len(), before + 1);
    }
    world.forge.finish().await
}

#[tokio::test]
async fn the_last_request_of_an_hour_is_the_last() -> Result<()> {
    let world = World::new().await?;
    world.forge.set_rate_limit(60, 1, Duration::from_mins(10));
    world.client.repo(&world.repo).await?;
    let error = world.client.repo(&world.repo).await.unwrap_err();
    assert!(wait_of(&error).is_some_and(|it| (590..=600).contains(&it)), "{error}");
    assert_eq!(world.asked().len(), 1);
    world.forge.finish().await
}

#[tokio::test]
async fn a_new_hour_is_waited_for_where_that_is_soon() -> Result<()> {
    let world = World::new().await?;
    // Resets are at whole seconds: this one is one to two seconds away.
    world.forge.set_rate_limit(60, 0, Duration::from_secs(2));
    world.client.repo(&world.repo).await?;
    // One, where this machine slept over the reset.
    assert!(world.asked().len() <= 2, "{:?}", world.asked());
    assert_eq!(world.forge.cost(), 1);
    world.forge.finish().await
}

#[tokio::test]
async fn sweeps_leave_a_reserve_to_those_that_somebody_waits_for() -> Result<()> {
    let world = World::new().await?;
    world.forge.set_rate_limit(100, 10, Duration::from_mins(10));
    let sweep = world.client.background();
    // After this there are nine left.
    sweep.repo(&world.repo).await?;
    let others = async {
        world.client.tip(&world.repo, &world.main).await?;
        let pending = status("unit", StatusState::Pending, "In progress");
        sweep.post_status(&world.repo, &world.tip, &pending).await?;
        anyhow::Ok(())
    };
    tokio::select! {
        biased;
        pulls = sweep.open_pulls(&world.repo) => anyhow::bail!("the sweep did not wait: {pulls:?}"),
        done = others => done?,
    }
    assert_eq!(world.asked().len(), 3);
    world.forge.finish().await
}

#[tokio::test]
async fn so_many_at_a_time_and_sweeps_last() -> Result<()> {
    let world = World::new().await?;
    world.forge.delay(Duration::from_millis(20));
    let few = Forge::with_limits(world.settings()?, Limits { requests: 3, ..Limits::default() })?;
    try_join_all((0..12).map(|_| few.repo(&world.repo))).await?;
    assert_eq!(world.forge.most_at_once(), 3);

    let one = Forge::with_limits(world.settings()?, Limits { requests: 1, ..Limits::default() })?;
    let sweep = one.background();
    let before = world.asked().len();
    let pending = status("unit", StatusState::Pending, "In progress");
    let reads = async { anyhow::Ok(try_join_all((0..4).map(|_| sweep.repo(&world.repo))).await?) };
    let write = async { anyhow::Ok(one.post_status(&world.repo, &world.tip, &pending).await?) };
    let (reads, write) = tokio::join!(reads, write);
    reads?;
    write?;
    let order: Vec<_> = world.asked().split_off(before);
    let written = order.iter().position(|it| it.starts_with("POST"));
    assert_eq!(written, Some(1), "the first read was on its way: {order:?}");
    world.forge.finish().await
}

#[tokio::test]
async fn silence_is_asked_again() -> Result<()> {
    let world = World::new().await?;
    let timeouts = common::http::Timeouts { request: Duration::from_millis(200), ..Default::default() };
    let client = Forge::with_limits(world.settings()?, Limits { timeouts, ..Limits::default() })?;
    for fault in [Fault::Hang, Fault::Reset, Fault::status(503)] {
        world.forge.fault_next(1, &fault);
        client.repo(&world.repo).await?;
    }
    // More, where this machine was slow.
    assert!(world.asked().len() >= 6, "{:?}", world.asked());
    world.forge.finish().await
}

#[tokio::test]
async fn every_request_is_counted() -> Result<()> {
    let world = World::new().await?;
    let metrics = ForgeMetrics::default();
    let client = Forge::with_metrics(world.settings()?, Limits::default(), &metrics)?;
    world.forge.set_rate_limit(5000, 4000, Duration::from_mins(10));
    client.repo(&world.repo).await?;
    client.repo(&world.repo).await?;
    client.tip(&world.repo, &world.main).await?;
    let success = status("unit", StatusState::Success, "Success");
    client.post_status(&world.repo, &sha('f'), &success).await.unwrap_err();
    let mut registry = Registry::default();
    metrics.register(&mut registry);
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry)?;
    for line in [
        "flotilla_forge_requests_total{forge=\"fake\",method=\"GET\",route=\"repos/O/R\",status=\"200\"} 1",
        "flotilla_forge_requests_total{forge=\"fake\",method=\"GET\",route=\"repos/O/R\",status=\"304\"} 1",
        "flotilla_forge_requests_total{forge=\"fake\",method=\"GET\",route=\"repos/O/R/branches/B\",status=\"200\"} 1",
        "flotilla_forge_requests_total{forge=\"fake\",method=\"POST\",route=\"repos/O/R/statuses/SHA\",status=\"422\"} 1",
        "flotilla_forge_request_seconds_count{forge=\"fake\",method=\"GET\",route=\"repos/O/R\"} 2",
        "flotilla_forge_cache_total{forge=\"fake\",result=\"Hit\"} 1",
        "flotilla_forge_cache_total{forge=\"fake\",result=\"Miss\"} 2",
        "flotilla_forge_rate_remaining{forge=\"fake\"} 3997",
    ] {
        assert!(text.lines().any(|it| it == line), "{line} is not in\n{text}");
    }
    assert!(!text.contains("octo"), "{text}");
    world.forge.finish().await
}
