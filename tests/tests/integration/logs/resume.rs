//! A log that outlives the process that began it, in a bucket.

use std::time::Duration;

use anyhow::{Context, Result};
use common::logs::{Destination, Log};
use tests::s3::Fault;

use super::{FOLDER, Place};

/// What is left of a process that was killed when it had sent all of this, in these blocks.
async fn killed_after(place: &Place, blocks: &[&str]) -> Result<()> {
    let (destination, first) =
        (place.destination.clone(), blocks.first().copied().unwrap_or_default().to_owned());
    let (process, mut log) = tokio::task::spawn_blocking(move || begun(&destination, &first)).await??;
    for (n, text) in blocks.iter().enumerate() {
        if n > 0 {
            log.write(text).await?;
        }
        place.server.wait_until_visible(FOLDER, text).await?;
    }
    // What was listed is there; what a merge has made obsolete may be on its way.
    place.server.wait_for_silence(Duration::from_millis(200)).await;
    process.shutdown_background();
    drop(log);
    Ok(())
}

/// A log that is opened and written in a runtime of its own, as in a process.
fn begun(destination: &Destination, text: &str) -> Result<(tokio::runtime::Runtime, Log)> {
    let process = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let log = process.block_on(async {
        let mut log = destination.open(&FOLDER.parse()?).await?;
        log.write(text).await?;
        anyhow::Ok(log)
    })?;
    Ok((process, log))
}

async fn resumed(place: &Place) -> Result<Log> {
    Ok(place.destination.resume(&FOLDER.parse()?).await?)
}

/// What was asked of the bucket since.
fn since(place: &Place, before: usize) -> Vec<String> {
    place.server.story().split_off(before)
}

#[tokio::test]
async fn a_log_goes_on_where_a_killed_process_left_it() -> Result<()> {
    let place = Place::new().await?;
    let blocks = ["header\n", "two ä€😀\n", "three\n"];
    killed_after(&place, &blocks).await?;
    let sent = blocks.concat();
    let before = place.server.story().len();
    let mut log = resumed(&place).await?;
    assert_eq!(place.server.visible(FOLDER).await?.context("no list")?, sent.as_bytes());
    log.write(format!("{sent}four\n")).await?;
    place.server.wait_until_visible(FOLDER, "four\n").await?;
    let asked = since(&place, before);
    let first = blocks[..2].concat().len();
    let [one, two] = [0..first, first..sent.len()].map(|it| format!("o/r/c/log.{}-{}", it.start, it.end));
    assert!(!asked.iter().any(|it| it.starts_with(&format!("PUT {one}"))), "{one} is there: {asked:#?}");
    assert!(!asked.iter().any(|it| it.starts_with(&format!("PUT {two} "))), "{two} is there: {asked:#?}");
    assert_eq!(asked[2], format!("GET {two} 206"), "the end is looked at");
    log.finish().await?;
    assert_eq!(place.whole().await?, format!("{sent}four\n"));
    assert_eq!(place.names()?, ["index.html", "log", "log.html"]);
    Ok(())
}

#[tokio::test]
async fn another_text_is_sent_from_its_beginning() -> Result<()> {
    let place = Place::new().await?;
    killed_after(&place, &["<Error>is not the bucket's</Error>"]).await?;
    let mut log = resumed(&place).await?;
    log.write("something else that is longer than what was there").await?;
    place.server.wait_until_visible(FOLDER, "what was there").await?;
    assert!(place.server.visible(FOLDER).await?.context("no list")?.starts_with(b"something else"));
    log.finish().await?;
    assert_eq!(place.whole().await?, "something else that is longer than what was there");
    assert_eq!(place.names()?, ["index.html", "log", "log.html"]);
    Ok(())
}

#[tokio::test]
async fn where_nothing_can_be_continued_a_log_begins() -> Result<()> {
    let place = Place::new().await?;
    drop(resumed(&place).await?);
    assert_eq!(place.names()?, ["log.chunks", "log.html"], "there was nothing");

    let mut log = place.open().await?;
    log.write("the first time\n").await?;
    log.finish().await?;
    let mut log = resumed(&place).await?;
    assert_eq!(place.names()?, ["log.chunks", "log.html"], "it had ended");
    log.write("the second time\n").await?;
    log.finish().await?;
    assert_eq!(place.whole().await?, "the second time\n");
    Ok(())
}

/// The keys of existing deployments may write and delete.
#[tokio::test]
async fn a_key_that_may_not_list_or_read_does_for_a_log() -> Result<()> {
    for (what, is_continued) in [("list-type", true), ("", false)] {
        let place = Place::new().await?;
        killed_after(&place, &["header\n"]).await?;
        place
            .server
            .fail_those(99, Fault::FORBIDDEN, move |it| it.method == "GET" && it.query.contains(what));
        let mut log = resumed(&place).await?;
        let there = place.server.visible(FOLDER).await?.context("no list")?;
        assert_eq!(there == b"header\n", is_continued, "{what:?}");
        log.write("header\nmore\n").await?;
        log.finish().await?;
        assert_eq!(place.whole().await?, "header\nmore\n");
    }
    Ok(())
}

#[tokio::test]
async fn a_bucket_with_a_bad_moment_is_asked_again() -> Result<()> {
    for fault in [Fault::BUSY, Fault::Reset] {
        let place = Place::new().await?;
        killed_after(&place, &["header\n"]).await?;
        let before = place.server.story().len();
        place.server.fail_next(3, fault);
        let log = resumed(&place).await?;
        assert_eq!(place.server.visible(FOLDER).await?.context("no list")?, b"header\n", "{fault:?}");
        assert!(!since(&place, before).iter().any(|it| it.starts_with("DELETE")), "{fault:?}");
        drop(log);
    }
    Ok(())
}
