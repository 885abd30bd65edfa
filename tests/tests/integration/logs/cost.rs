//! What a log costs in requests.

use std::time::Duration;

use anyhow::Result;
use tokio::time::{Instant, sleep};

use super::{FOLDER, Place};

#[tokio::test]
async fn a_quiet_log_asks_for_nothing() -> Result<()> {
    let place = Place::new().await?;
    let mut log = place.open().await?;
    log.write("begin").await?;
    place.server.wait_until_visible(FOLDER, "begin").await?;
    let before = place.server.story().len();
    sleep(Duration::from_secs(3)).await;
    assert_eq!(place.server.story().len(), before);
    log.finish().await?;
    Ok(())
}

/// The first byte within a second and the rest within two, at no more than two writes a second.
#[tokio::test]
async fn a_chatty_log_is_seen_in_time_and_costs_little() -> Result<()> {
    let place = Place::new().await?;
    let mut log = place.open().await?;
    let started = Instant::now();
    let mut printed = 0;
    while started.elapsed() < Duration::from_secs(6) {
        let line = format!("line at {} ms\n", started.elapsed().as_millis());
        printed += line.len();
        log.write(line).await?;
        sleep(Duration::from_millis(50)).await;
        if started.elapsed() > Duration::from_secs(1) {
            let visible = place.server.visible(FOLDER).await?.unwrap();
            let last = String::from_utf8(visible)?
                .lines()
                .last()
                .unwrap()
                .replace(|c: char| !c.is_ascii_digit(), "");
            let behind = started.elapsed().as_millis() - last.parse::<u128>()?;
            assert!(behind < 2_000, "{behind} ms behind");
        }
    }
    let puts = place.server.story().iter().filter(|it| it.starts_with("PUT") && it.contains("/log.")).count();
    assert!(puts <= 12, "{puts} in 6 s, for {printed} bytes");
    log.finish().await?;
    Ok(())
}
