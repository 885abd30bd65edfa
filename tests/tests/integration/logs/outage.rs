//! A bucket with bad moments.

use std::time::Duration;

use anyhow::Result;
use tests::s3::Fault;
use tokio::time::{Instant, sleep};

use super::{FOLDER, Place, attachment, within};

/// Long enough for what is tried again a few times.
const SOON: Duration = Duration::from_secs(40);

#[tokio::test]
async fn what_is_answered_with_trouble_is_tried_again() -> Result<()> {
    for fault in [
        Fault::BUSY,
        Fault::Status(500, "InternalError"),
        Fault::Status(429, ""),
        Fault::Reset,
        Fault::Hang,
        Fault::LoseAnswer,
    ] {
        let place = Place::new().await?;
        place.server.fail_next(2, fault);
        let mut log = within(SOON, place.open()).await?;
        log.write("text").await?;
        place.server.fail_next(1, fault);
        place.server.wait_until_visible(FOLDER, "text").await?;
        place.server.fail_next(1, fault);
        log.attach(&attachment("a")?, "attached".as_bytes()).await?;
        place.server.fail_next(2, fault);
        within(SOON, log.finish()).await?;
        assert_eq!(place.whole().await?, "text", "{fault:?}");
        assert_eq!(place.names()?, ["a", "index.html", "log", "log.html"], "{fault:?}");
    }
    Ok(())
}

/// 4xx is final.
#[tokio::test]
async fn what_is_refused_is_an_error_at_once() -> Result<()> {
    let place = Place::new().await?;
    let mut log = place.open().await?;
    log.write("text").await?;
    let before = place.server.story().len();
    place.server.fail_those(1, Fault::Status(400, "EntityTooLarge"), |it| it.key.ends_with("/a"));
    let error = log.attach(&attachment("a")?, "attached".as_bytes()).await.unwrap_err();
    assert!(error.to_string().ends_with("/o/r/c/a: 400 EntityTooLarge a fault of the test"), "{error}");
    let tries = place.server.requests()[before..].iter().filter(|it| it.key.ends_with("/a")).count();
    assert_eq!(tries, 1);
    place.server.fail_next(usize::MAX, Fault::FORBIDDEN);
    let error = within(Duration::from_secs(10), log.finish()).await.unwrap_err().to_string();
    assert!(error.contains("403 AccessDenied") && error.contains("logs.s3.key needs the right"), "{error}");
    Ok(())
}

/// Who prints does not wait, and who reads gets all of it in the end.
#[tokio::test]
async fn a_job_prints_on_while_the_bucket_is_away() -> Result<()> {
    let mut place = Place::new().await?;
    let mut log = place.open().await?;
    log.write("before\n").await?;
    place.server.wait_until_visible(FOLDER, "before").await?;
    place.server.go_away().await;
    let line = "x".repeat(999) + "\n";
    let started = Instant::now();
    for _ in 0..20_000 {
        log.write(&line).await?;
    }
    log.write("last\n").await?;
    assert!(started.elapsed() < Duration::from_secs(10), "20 MB took {:?}", started.elapsed());
    sleep(Duration::from_secs(3)).await;
    place.server.come_back().await?;
    place.server.wait_until_visible(FOLDER, "last\n").await?;
    let expected = format!("before\n{}last\n", line.repeat(20_000));
    assert!(place.server.visible(FOLDER).await?.unwrap() == expected.as_bytes(), "the same bytes");
    log.finish().await?;
    assert!(place.whole().await? == expected, "the same bytes");
    assert_eq!(place.names()?, ["index.html", "log", "log.html"]);
    Ok(())
}

/// What gathers meanwhile goes together: a slow bucket gets fewer and larger chunks.
#[tokio::test]
async fn a_slow_bucket_does_not_slow_the_job() -> Result<()> {
    let place = Place::new().await?;
    let mut log = place.open().await?;
    place.server.fail_next(usize::MAX, Fault::Slow(Duration::from_millis(700)));
    let started = Instant::now();
    for n in 0..40 {
        log.write(format!("{n}\n").repeat(50_000)).await?;
        sleep(Duration::from_millis(50)).await;
    }
    let printing = started.elapsed();
    assert!(printing < Duration::from_secs(10), "it took {printing:?}");
    let chunks = place.server.story().iter().filter(|it| it.contains("log.0-")).count();
    assert!(chunks <= 4, "{chunks} in {printing:?}");
    place.server.no_more_faults();
    log.finish().await?;
    let expected: String = (0..40).map(|n| format!("{n}\n").repeat(50_000)).collect();
    assert!(place.whole().await? == expected, "the same bytes");
    assert_eq!(place.names()?, ["index.html", "log", "log.html"]);
    Ok(())
}

#[tokio::test]
async fn a_bucket_that_is_away_at_the_end_has_the_log_later() -> Result<()> {
    let mut place = Place::new().await?;
    let mut log = place.open().await?;
    log.write("text\n").await?;
    place.server.go_away().await;
    log.write("more\n").await?;
    let ending = tokio::spawn(log.finish());
    sleep(Duration::from_secs(4)).await;
    assert!(!ending.is_finished());
    place.server.come_back().await?;
    within(SOON, ending).await??;
    assert_eq!(place.whole().await?, "text\nmore\n");
    assert_eq!(place.names()?, ["index.html", "log", "log.html"]);
    Ok(())
}

/// For how long, is a setting: a final status must not wait for ever.
#[tokio::test]
async fn a_bucket_that_stays_away_is_an_error_in_the_end() -> Result<()> {
    let mut place = Place::with(|_, settings| {
        settings.limits.retry_for = Duration::from_secs(3);
        Ok(())
    })
    .await?;
    let mut log = place.open().await?;
    log.write("text\n").await?;
    place.server.go_away().await;
    let error = within(Duration::from_secs(12), log.finish()).await.unwrap_err();
    let error = common::Chain(error.as_ref()).to_string();
    assert!(
        error.contains("cannot put https://localhost") && error.contains("the connection failed"),
        "{error}"
    );
    Ok(())
}

/// A chunk that hangs is given up at the end: the whole log is on its way.
#[tokio::test]
async fn a_chunk_that_hangs_does_not_hold_up_the_end() -> Result<()> {
    let place = Place::with(|_, settings| {
        settings.limits.exchange = Duration::from_mins(5);
        Ok(())
    })
    .await?;
    let mut log = place.open().await?;
    place.server.fail_those(1, Fault::Hang, |it| it.puts("o/r/c/log.0-5"));
    log.write("text\n").await?;
    place.server.wait_for("a chunk", |it| it.iter().any(|it| it.puts("o/r/c/log.0-5"))).await?;
    within(Duration::from_secs(10), log.finish()).await?;
    assert_eq!(place.whole().await?, "text\n");
    assert_eq!(place.names()?, ["index.html", "log", "log.html"]);
    Ok(())
}

/// What is left over is no reason to run a job again.
#[tokio::test]
async fn a_chunk_that_cannot_be_deleted_does_not_spoil_the_log() -> Result<()> {
    let place = Place::new().await?;
    let mut log = place.open().await?;
    log.write("text\n").await?;
    place.server.wait_until_visible(FOLDER, "text").await?;
    place.server.fail_those(usize::MAX, Fault::FORBIDDEN, |it| it.method == "DELETE");
    log.finish().await?;
    assert_eq!(place.whole().await?, "text\n");
    Ok(())
}
