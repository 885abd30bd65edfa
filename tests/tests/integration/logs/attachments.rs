//! What jobs leave, in a bucket.

use anyhow::Result;

use super::{FOLDER, Place, attachment};

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
