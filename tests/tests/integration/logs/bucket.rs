//! A log in a bucket, from its opening to its end.

use std::time::Duration;

use anyhow::Result;
use common::logs::{Own, Style};

use super::{FOLDER, Place, within};

#[tokio::test]
async fn a_log_can_be_followed_in_the_bucket_and_is_whole_at_the_end() -> Result<()> {
    let place = Place::new().await?;
    let mut log = place.open().await?;
    assert_eq!(place.names()?, ["log.chunks", "log.html"]);
    let mut printed = String::new();
    for text in ["one\n", "zwei ä€😀\n", "three\n", "vier\n", "five\n"] {
        log.write(text).await?;
        printed.push_str(text);
        within(Duration::from_secs(2), place.server.wait_until_visible(FOLDER, text)).await?;
        assert_eq!(place.server.visible(FOLDER).await?.unwrap(), printed.as_bytes());
    }
    log.write("the end, without a newline").await?;
    printed.push_str("the end, without a newline");
    log.finish().await?;
    assert_eq!(place.names()?, ["index.html", "log", "log.html"]);
    assert_eq!(place.whole().await?, printed);
    assert_eq!(place.server.visible(FOLDER).await?, None);
    Ok(())
}

#[tokio::test]
async fn people_find_the_page_where_the_log_says() -> Result<()> {
    let place = Place::new().await?;
    let log = place.destination.open(&"o/r/x@forge:y//ö +%?#\"'".parse()?).await?;
    let page = place.server.follow(&log.url()).await?.unwrap();
    assert_eq!((page.kind.as_str(), page.encoding), ("text/html", None));
    log.finish().await?;
    let keys = place.server.keys()?;
    assert!(keys.contains(&"o/r/x@forge-y--ö +%?#\"'/log".to_owned()), "{keys:?}");
    Ok(())
}

#[tokio::test]
async fn links_lead_to_a_proxy_where_there_is_one() -> Result<()> {
    let place = Place::with(|_, settings| {
        settings.links = Some("https://logs.example.com/pub/".parse()?);
        Ok(())
    })
    .await?;
    let log = place.open().await?;
    assert_eq!(log.url(), "https://logs.example.com/pub/o/r/c/log.html");
    log.finish().await?;
    assert_eq!(place.names()?, ["index.html", "log", "log.html"]);
    Ok(())
}

/// `https://HOST/BUCKET`, `https://HOST/BUCKET/PREFIX`, `https://BUCKET.HOST`, `https://BUCKET.HOST/PREFIX`.
#[tokio::test]
async fn a_bucket_is_found_by_its_path_and_by_its_host() -> Result<()> {
    for (is_host, prefix, style) in [
        (false, "", None),
        (false, "ci/a b/", None),
        (true, "", None),
        (true, "ci/a b/", Some(Style::VirtualHost)),
        (false, "ci/", Some(Style::Path)),
    ] {
        let place = Place::with(|server, settings| {
            let bucket = if is_host { server.virtual_host_url() } else { server.url() };
            settings.url = format!("{bucket}/{prefix}").parse()?;
            settings.style = style;
            Ok(())
        })
        .await?;
        // An attempt before, so that there is something to list and to delete.
        for attempt in 1..=2 {
            let mut log = place.open().await?;
            log.write(format!("attempt {attempt}")).await?;
            assert!(place.server.follow(&log.url()).await?.is_some(), "{is_host} {prefix} {style:?}");
            log.finish().await?;
        }
        let folder = format!("{prefix}{FOLDER}");
        assert_eq!(place.server.keys_below(&folder)?, ["index.html", "log", "log.html"]);
        assert_eq!(place.server.get(&format!("{folder}/log")).await?.unwrap().text()?, "attempt 2");
    }
    Ok(())
}

#[tokio::test]
async fn an_acl_is_sent_where_one_is_set() -> Result<()> {
    for acl in [None, Some("public-read")] {
        let place = Place::with(|_, settings| {
            settings.acl = acl.map(str::parse).transpose()?;
            settings.limits.multipart_from = 5;
            settings.limits.part = 5 * 1024 * 1024;
            Ok(())
        })
        .await?;
        let mut log = place.open().await?;
        log.write("more than five bytes").await?;
        log.finish().await?;
        for name in ["log.html", "log.chunks", "log", "index.html"] {
            let upload = place.server.upload(&format!("{FOLDER}/{name}")).unwrap();
            assert_eq!(upload.header("x-amz-acl"), acl, "{upload}");
            assert_eq!(upload.header("user-agent"), Some("flotilla-tests"));
        }
    }
    Ok(())
}

#[tokio::test]
async fn requests_have_a_length_and_come_in_order() -> Result<()> {
    let place = Place::new().await?;
    let mut log = place.open().await?;
    log.write("text\n").await?;
    place.server.wait_until_visible(FOLDER, "text").await?;
    log.finish().await?;
    let list = format!("GET ?delimiter=%2F&encoding-type=url&list-type=2&prefix={}", "o%2Fr%2Fc%2F");
    let expected = [
        "PUT o/r/c/log.chunks 200",
        &format!("{list} 200"),
        "PUT o/r/c/log.html 200",
        "PUT o/r/c/log.0-5 200",
        "PUT o/r/c/log.chunks 200",
        "PUT o/r/c/log 200",
        "PUT o/r/c/index.html 200",
        "DELETE o/r/c/log.0-5 204",
        "DELETE o/r/c/log.chunks 204",
    ];
    assert_eq!(place.server.story(), expected);
    for put in place.server.requests().iter().filter(|it| it.method == "PUT") {
        assert!(put.header("content-length").is_some(), "{put}");
        assert_eq!(put.header("transfer-encoding"), None, "{put}");
    }
    Ok(())
}

#[tokio::test]
async fn a_next_attempt_begins_with_a_clean_folder() -> Result<()> {
    let place = Place::new().await?;
    for name in [
        "log.html",
        "index.html",
        "log",
        "log.0-3",
        "a.png",
        "d/e/f",
        "d/e f+%/g",
        "below/it/log.html",
        "below/it/log",
    ] {
        place.server.write(&format!("{FOLDER}/{name}"), "old")?;
    }
    place.server.write("o/r/c2/log", "another")?;
    place.server.write("o/r/cx", "another")?;
    let log = place.open().await?;
    assert_eq!(place.names()?, ["below/it/log", "below/it/log.html", "log.chunks", "log.html"]);
    assert_eq!(place.server.visible(FOLDER).await?.unwrap(), b"");
    log.finish().await?;
    assert_eq!(
        place
            .server
            .keys_below("o/r")?
            .iter()
            .filter(|it| it.starts_with("cx") || it.starts_with("c2"))
            .count(),
        2
    );
    Ok(())
}

#[tokio::test]
async fn a_folder_that_holds_no_log_keeps_its_objects() -> Result<()> {
    let place = Place::new().await?;
    for name in ["precious", "images/too", "log.0-3"] {
        place.server.write(&format!("{FOLDER}/{name}"), "old")?;
    }
    let _log = place.open().await?;
    assert_eq!(place.names()?, ["images/too", "log.chunks", "log.html", "precious"]);
    Ok(())
}

/// More than a page of a list.
#[tokio::test]
async fn a_former_attempt_may_have_left_a_lot() -> Result<()> {
    let place = Place::new().await?;
    place.server.write(&format!("{FOLDER}/log.html"), "old")?;
    for n in 0..1100 {
        place.server.write(&format!("{FOLDER}/file {n}"), "old")?;
    }
    let _log = place.open().await?;
    assert_eq!(place.names()?, ["log.chunks", "log.html"]);
    let lists = place.server.story().iter().filter(|it| it.starts_with("GET")).count();
    assert_eq!(lists, 2, "1000 names a page");
    Ok(())
}

/// The keys of existing deployments may write and delete.
#[tokio::test]
async fn a_key_that_may_not_list_does_for_a_log() -> Result<()> {
    let place = Place::new().await?;
    place.server.write(&format!("{FOLDER}/log"), "old")?;
    place.server.fail_those(usize::MAX, tests::s3::Fault::FORBIDDEN, |it| it.method == "GET");
    let log = place.open().await?;
    assert_eq!(place.names()?, ["log.chunks", "log.html"]);
    log.finish().await.map_err(Into::into)
}

#[tokio::test]
async fn a_log_that_is_dropped_stays_readable_and_open() -> Result<()> {
    let place = Place::new().await?;
    let mut log = place.open().await?;
    log.write("so far").await?;
    drop(log);
    place.server.wait_until_visible(FOLDER, "so far").await?;
    let chunk = Own::parse("log.0-6").unwrap();
    assert_eq!(place.names()?, [chunk.to_string().as_str(), "log.chunks", "log.html"]);
    Ok(())
}

#[tokio::test]
async fn what_is_wrong_with_the_settings_is_said_at_once() -> Result<()> {
    type Change = fn(&tests::s3::S3Server, &mut common::logs::S3Settings);
    let cases: [(&str, Change, &str); 4] = [
        ("secret", |_, it| it.key = "flotilla-test wrong".parse().unwrap(), "403 SignatureDoesNotMatch"),
        ("key", |_, it| it.key = "nobody wrong".parse().unwrap(), "cannot put https://localhost"),
        (
            "ca",
            |_, it| it.ca = None,
            "its certificate is not accepted; an authority of your own goes into logs.s3.ca",
        ),
        (
            "name",
            |it, settings| settings.url = it.url().replace("//", "//other.").parse().unwrap(),
            "certificate not valid for name",
        ),
    ];
    for (name, change, expected) in cases {
        let place = Place::with(|server, settings| {
            change(server, settings);
            settings.limits.retry_for = Duration::from_secs(1);
            Ok(())
        })
        .await?;
        let error = within(Duration::from_secs(20), place.open()).await.unwrap_err();
        let error = common::Chain(error.as_ref()).to_string();
        assert!(error.contains(expected), "{name}: {error}");
        assert!(!error.contains("wrong") && !error.contains("X-Amz"), "{name}: {error}");
    }
    Ok(())
}
