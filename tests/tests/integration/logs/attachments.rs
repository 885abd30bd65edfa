//! What jobs leave, in a bucket.

use anyhow::{Result, bail};
use common::logs::AttachmentName;
use tests::s3::{Fault, Recorded};

use super::{FOLDER, Place, attachment};

/// Files on the worker's disk, as they come out of a container.
fn files(count: usize) -> Result<(tempfile::TempDir, Vec<(AttachmentName, std::path::PathBuf)>)> {
    let folder = tempfile::tempdir()?;
    let file = |n: usize| {
        let path = folder.path().join(n.to_string());
        std::fs::write(&path, format!("content of {n}"))?;
        Ok((attachment(&format!("{n:03}.txt"))?, path))
    };
    let files = (0..count).map(file).collect::<Result<_>>()?;
    Ok((folder, files))
}

/// The first of them never gets an answer.
#[tokio::test]
async fn many_files_do_not_wait_for_each_other() -> Result<()> {
    let place = Place::new().await?;
    let mut log = place.open().await?;
    let (_folder, files) = files(40)?;
    place.server.fail_those(1, Fault::Hang, |it| it.key.ends_with("000.txt"));
    let of_others = |it: &&Recorded| it.key.contains(".txt") && it.status == Some(200);
    tokio::select! {
        attached = log.attach_files(files) => bail!("without an answer: {attached:?}"),
        stored = place.server.wait_for("the others", |it| it.iter().filter(of_others).count() == 39) => stored?,
    }
    log.finish().await?;
    Ok(())
}

/// Whichever came first.
#[tokio::test]
async fn the_index_is_in_order() -> Result<()> {
    let place = Place::new().await?;
    let mut log = place.open().await?;
    let (_folder, files) = files(20)?;
    place.server.fail_those(1, Fault::BUSY, |it| it.key.ends_with("000.txt"));
    log.attach_files(files).await?;
    log.finish().await?;
    let index = place.server.get(&format!("{FOLDER}/index.html")).await?.unwrap();
    let index = index.text()?;
    let listed: Vec<usize> = (0..20).filter_map(|n| index.find(&format!("./{n:03}.txt"))).collect();
    assert!(listed.len() == 20 && listed.is_sorted(), "{index}");
    Ok(())
}

#[tokio::test]
async fn of_files_the_first_that_fails_ends_it() -> Result<()> {
    let place = Place::new().await?;
    let mut log = place.open().await?;
    let (_folder, mut files) = files(3)?;
    files.push((attachment("gone")?, "/nonexistent/file".into()));
    let error = log.attach_files(files).await.unwrap_err();
    assert!(error.to_string().starts_with("cannot read /nonexistent/file"), "{error}");
    log.finish().await?;
    assert!(!place.names()?.contains(&"gone".to_owned()));

    let place = Place::new().await?;
    let mut log = place.open().await?;
    let (_folder, files) = self::files(3)?;
    place.server.fail_those(1, Fault::FORBIDDEN, |it| it.key.ends_with("001.txt"));
    assert!(log.attach_files(files).await.is_err());
    log.finish().await?;
    assert!(!place.names()?.contains(&"001.txt".to_owned()));
    Ok(())
}

#[tokio::test]
async fn attachments_have_types_and_keep_their_folders() -> Result<()> {
    let place = Place::new().await?;
    let mut log = place.open().await?;
    for (name, kind, encoding) in [
        ("a.png", "image/png", None),
        ("sub/deep/b.log", "text/plain; charset=utf-8", None),
        ("x.log.gz", "text/plain; charset=utf-8", Some("gzip")),
        ("x.tar.xz", "application/x-tar", Some("xz")),
        ("report/index.html", "text/html", None),
        ("empty", "text/plain; charset=utf-8", None),
    ] {
        let content = if name == "empty" { String::new() } else { format!("content of {name}") };
        let bytes = log.attach(&attachment(name)?, content.as_bytes()).await?;
        assert_eq!(bytes, content.len() as u64);
        let object = place.server.get(&format!("{FOLDER}/{name}")).await?.unwrap();
        assert_eq!((object.kind.as_str(), object.encoding.as_deref()), (kind, encoding), "{name}");
        assert_eq!(object.bytes, content.as_bytes());
    }
    log.finish().await?;
    let index = place.server.get(&format!("{FOLDER}/index.html")).await?.unwrap();
    assert!(index.text()?.contains("./sub/deep/b.log"));
    Ok(())
}

#[tokio::test]
async fn odd_names_are_kept_to_the_letter() -> Result<()> {
    let place = Place::new().await?;
    let mut log = place.open().await?;
    let names = [
        "with space",
        "a+b",
        "100%",
        "%41",
        "ü/ö ä.png",
        "\"quotes\" and 'more'",
        "<script>",
        "a?b=c&d",
        "a#b",
        "~tilde!*()",
        "back\\slash",
        "semi;colon:colon",
        "[x]{y}|^`",
        "日本語/テスト",
        "...",
        "a=b@c$d,e",
    ];
    for name in names {
        log.attach(&attachment(name)?, name.as_bytes()).await?;
    }
    log.finish().await?;
    let found = place.names()?;
    for name in names {
        assert!(found.iter().any(|it| it == name), "{name} in {found:?}");
        let object = place.server.get(&format!("{FOLDER}/{name}")).await?.unwrap();
        assert_eq!(object.text()?, name);
    }
    // And they are found again when the next attempt clears them away.
    let _log = place.open().await?;
    assert_eq!(place.names()?, ["log.chunks", "log.html"]);
    Ok(())
}

/// More than what is kept in memory: it goes through a file.
#[tokio::test]
async fn a_stream_of_any_length_arrives() -> Result<()> {
    let place = Place::new().await?;
    let mut log = place.open().await?;
    for bytes in [65_535, 65_536, 65_537, 1_000_000] {
        let content: Vec<u8> = (0..bytes).map(|n: u32| u8::try_from(n % 253).unwrap()).collect();
        assert_eq!(log.attach(&attachment("big")?, content.as_slice()).await?, u64::from(bytes));
        assert_eq!(place.server.get(&format!("{FOLDER}/big")).await?.unwrap().bytes, content);
    }
    Ok(())
}
