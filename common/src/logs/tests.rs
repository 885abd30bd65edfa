//! A log from its opening to its end, in a real folder.

mod memory;
mod resume;

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{self, AsyncRead, ReadBuf};

use super::*;
use crate::id::Slug;

/// A destination in a folder of its own, and one log of it, `o/r/c`.
struct Place {
    dir: TempDir,
    destination: Destination,
}

impl Place {
    fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let destination = Self::destination(&dir.path().join("logs"), &dir.path().join("spool"));
        Self { dir, destination }
    }

    fn destination(logs: &Path, spool: &Path) -> Destination {
        let link = "https://logs.example/ci/".parse().unwrap();
        Destination {
            store: Store::Local(LocalStore::new(logs, Some(link)).unwrap()),
            spool: spool.to_owned(),
            flush_after: DEFAULT_FLUSH_AFTER,
            attachments: AttachmentLimits::default(),
        }
    }

    async fn open(&self) -> Log {
        self.destination.open(&slug("o/r/c")).await.unwrap()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join("logs/o/r/c").join(name)
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_else(|it| panic!("{name}: {it}"))
    }

    /// What is in the log's folder, sorted.
    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(self.path(""))
            .unwrap()
            .map(|it| it.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    /// What a reader can see of a running log: the chunks of the list, put together.
    fn visible(&self) -> String {
        Self::visible_in(&self.path(""))
    }

    fn visible_in(dir: &Path) -> String {
        let list = fs::read_to_string(dir.join("log.chunks")).unwrap();
        let sizes: Vec<u64> = serde_json::from_str(&list).unwrap();
        // One that is gone meanwhile is in a newer list.
        let read = |name: String| fs::read_to_string(dir.join(name)).unwrap_or_default();
        let ends = sizes.iter().scan(0, |end, size| {
            *end += size;
            Some((*end - size, *end))
        });
        ends.map(|(start, end)| read(format!("log.{start}-{end}"))).collect()
    }
}

fn slug(text: &str) -> Slug {
    Slug::new(text).unwrap()
}

fn attachment(name: &str) -> AttachmentName {
    AttachmentName::new(name).unwrap()
}

/// More than it takes to send what is due; time is paused, and stands still while files are written.
async fn a_flush() {
    tokio::time::sleep(DEFAULT_FLUSH_AFTER * 2).await;
}

#[tokio::test]
async fn a_log_has_its_page_and_an_empty_list_from_the_first_moment_on() {
    let place = Place::new();
    let log = place.open().await;
    assert_eq!(place.names(), ["log.chunks", "log.html"]);
    assert_eq!(place.read("log.chunks"), "[]");
    assert_eq!(log.url(), "https://logs.example/ci/o/r/c/log.html");
}

#[tokio::test]
async fn who_watches_sees_what_the_log_has() {
    let place = Place::new();
    let (out, mut terminal) = io::duplex(16);
    let mut log = place.destination.open_with(&slug("o/r/c"), Echo::to(out)).await.unwrap();
    let watching = tokio::spawn(async move {
        let mut seen = Vec::new();
        io::AsyncReadExt::read_to_end(&mut terminal, &mut seen).await.unwrap();
        seen
    });
    // A character that is split between two pieces, and one that is none.
    for piece in [&b"h\xc3"[..], b"\xa4 \xff\x1b[1m", &b"x".repeat(100)] {
        log.write(piece).await.unwrap();
    }
    log.finish().await.unwrap();
    assert_eq!(watching.await.unwrap(), fs::read(place.path("log")).unwrap());
    assert!(place.read("log").starts_with("h\u{e4} \u{fffd}\u{1b}[1mxxx"));
}

#[tokio::test]
async fn who_stops_watching_is_not_missed() {
    let place = Place::new();
    let (out, terminal) = io::duplex(16);
    let mut log = place.destination.open_with(&slug("o/r/c"), Echo::to(out)).await.unwrap();
    drop(terminal);
    log.write("x".repeat(100)).await.unwrap();
    log.finish().await.unwrap();
    assert_eq!(place.read("log").len(), 100);
}

#[tokio::test(start_paused = true)]
async fn chunks_are_there_while_it_runs_and_the_log_when_it_has_ended() {
    let place = Place::new();
    let mut log = place.open().await;
    for text in ["one\n", "two\n", "three\n"] {
        log.write(text).await.unwrap();
        a_flush().await;
    }
    assert_eq!(place.visible(), "one\ntwo\nthree\n");
    assert_eq!(place.names(), ["log.0-8", "log.8-14", "log.chunks", "log.html"]);

    log.write("the end").await.unwrap();
    log.finish().await.unwrap();
    assert_eq!(place.names(), ["index.html", "log", "log.html"]);
    assert_eq!(place.read("log"), "one\ntwo\nthree\nthe end");
}

#[tokio::test(start_paused = true)]
async fn a_block_is_sent_in_time_whatever_the_caller_does() {
    let place = Place::new();
    let mut log = place.open().await;
    log.write("a").await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(place.visible(), "a", "the first byte, within a second");
    log.write("b").await.unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    log.write("c").await.unwrap();
    assert_eq!(place.visible(), "a", "they wait for others");
    tokio::time::sleep(Duration::from_millis(700)).await;
    assert_eq!(place.visible(), "abc", "the rest, counted from the last block");
    a_flush().await;
    assert_eq!(place.read("log.chunks"), "[3]", "nothing is sent while nothing waits");
}

#[tokio::test(start_paused = true)]
async fn a_full_block_is_sent_early() {
    let place = Place::new();
    let mut log = place.open().await;
    let started = tokio::time::Instant::now();
    log.write("x".repeat(1_000_000)).await.unwrap();
    // A rendezvous: the queue to the writer is shorter than this.
    log.write("y".repeat(64 * 1024 * 17)).await.unwrap();
    while place.visible().len() < 1_000_000 {
        tokio::task::yield_now().await;
    }
    assert!(started.elapsed() < Duration::from_millis(10), "{:?}", started.elapsed());
    a_flush().await;
    assert_eq!(place.visible().len(), 1_000_000 + 64 * 1024 * 17);
}

#[tokio::test(start_paused = true)]
async fn characters_survive_any_cut_between_reads() {
    let place = Place::new();
    let mut log = place.open().await;
    let text = "a😀é".as_bytes();
    log.copy_from(&text[..3]).await.unwrap();
    a_flush().await;
    assert_eq!(place.visible(), "a");
    log.copy_from(&text[3..]).await.unwrap();
    log.write(b"\xff \xe2\x82").await.unwrap();
    log.finish().await.unwrap();
    assert_eq!(place.read("log"), "a😀é\u{FFFD} \u{FFFD}");
}

#[tokio::test(start_paused = true)]
async fn secrets_are_masked_whatever_the_cut() {
    let place = Place::new();
    let mut log = place.open().await;
    log.write("hunter2-hunter2 is no secret yet\nhunter2").await.unwrap();
    log.mask(Masks::new(["hunter2-hunter2\n"]).unwrap()).await.unwrap();
    log.write("-hunter2\nhun").await.unwrap();
    log.copy_from(&b"ter2-hun"[..]).await.unwrap();
    a_flush().await;
    assert_eq!(
        place.visible(),
        "hunter2-hunter2 is no secret yet\nhunter2-hunter2\n",
        "what is undecided waits"
    );
    log.copy_from(&b"ter2, aHVudGVyMi1odW50ZXIy\nh"[..]).await.unwrap();
    a_flush().await;
    let masked = "hunter2-hunter2 is no secret yet\nhunter2-hunter2\n***, ***\n";
    assert_eq!(place.visible(), masked);
    log.finish().await.unwrap();
    assert_eq!(place.read("log"), format!("{masked}h"));
}

/// What a caller does that stops reading at a time-out.
#[tokio::test(start_paused = true)]
async fn a_dropped_copy_loses_nothing() {
    let place = Place::new();
    let mut log = place.open().await;
    let (mut job, output) = io::duplex(1024);
    io::AsyncWriteExt::write_all(&mut job, b"before\n").await.unwrap();
    let copied = tokio::time::timeout(Duration::from_mins(1), log.copy_from(output)).await;
    assert!(copied.is_err(), "the job goes on printing");
    log.write("after\n").await.unwrap();
    log.finish().await.unwrap();
    assert_eq!(place.read("log"), "before\nafter\n");
}

#[tokio::test(start_paused = true)]
async fn a_log_that_is_dropped_stays_readable_and_open() {
    let place = Place::new();
    let mut log = place.open().await;
    log.write("so far").await.unwrap();
    drop(log);
    a_flush().await;
    assert_eq!(place.visible(), "so far");
    assert_eq!(place.names(), ["log.0-6", "log.chunks", "log.html"]);
}

#[tokio::test]
async fn attachments_keep_their_folders_and_are_listed() {
    let place = Place::new();
    let mut log = place.open().await;
    let big = vec![7_u8; 300_000];
    assert_eq!(log.attach(&attachment("shots/a b.png"), big.as_slice()).await.unwrap(), 300_000);
    log.attach(&attachment("x.log"), "first".as_bytes()).await.unwrap();
    log.attach(&attachment("x.log"), "second".as_bytes()).await.unwrap();
    log.finish().await.unwrap();

    assert_eq!(fs::read(place.path("shots/a b.png")).unwrap(), big);
    assert_eq!(place.read("x.log"), "second");
    let index = place.read("index.html");
    assert!(index.contains("href=\"./shots/a%20b.png\"") && index.contains("300.0 kB"));
    assert_eq!(index.matches("x.log").count(), 2, "one link and its text");
}

#[tokio::test]
async fn modes_are_those_of_files_to_be_served() {
    let place = Place::new();
    let mut log = place.open().await;
    log.attach(&attachment("d/f"), "x".as_bytes()).await.unwrap();
    let mode = |name| fs::metadata(place.path(name)).unwrap().permissions().mode() & 0o777;
    let (file, folder) = (0o644 & !umask(), 0o755 & !umask());
    assert_eq!((mode("log.html"), mode("d/f"), mode("d"), mode("")), (file, file, folder, folder));
}

/// Gives a little, then fails.
struct Broken(bool);

impl AsyncRead for Broken {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if std::mem::replace(&mut self.0, true) {
            return Poll::Ready(Err(io::Error::other("gone")));
        }
        buf.put_slice(b"part");
        Poll::Ready(Ok(()))
    }
}

#[tokio::test]
async fn an_attachment_that_fails_midway_is_not_there() {
    let place = Place::new();
    let mut log = place.open().await;
    let error = log.attach(&attachment("d/f"), Broken(false)).await.unwrap_err();
    assert_eq!(error.to_string(), "cannot read o/r/c/d/f");
    assert_eq!(fs::read_dir(place.path("d")).unwrap().count(), 0);
    log.finish().await.unwrap();
    assert!(!place.read("index.html").contains("d/f"));
}

#[tokio::test]
async fn a_next_attempt_begins_with_a_clean_folder() {
    let place = Place::new();
    let mut first = place.open().await;
    first.write("old").await.unwrap();
    first.attach(&attachment("d/e/f"), "x".as_bytes()).await.unwrap();
    first.finish().await.unwrap();
    fs::write(place.path("log.0-3"), "a chunk of one that died").unwrap();
    fs::write(place.path(".flotilla-abc"), "and half a file").unwrap();

    let mut second = place.open().await;
    assert_eq!(place.names(), ["log.chunks", "log.html"]);
    assert_eq!(place.read("log.chunks"), "[]");
    second.write("new").await.unwrap();
    second.finish().await.unwrap();
    assert_eq!(place.read("log"), "new");
    assert!(!place.read("index.html").contains("d/e/f"));
}

#[tokio::test]
async fn logs_in_folders_below_are_left_alone() {
    let place = Place::new();
    place.open().await.finish().await.unwrap();
    place.destination.open(&slug("o/r/c/below/it")).await.unwrap().finish().await.unwrap();
    let _log = place.open().await;
    assert!(place.path("below/it/log").exists());
}

#[tokio::test]
async fn a_folder_that_holds_no_log_keeps_its_files() {
    let place = Place::new();
    fs::create_dir_all(place.path("images")).unwrap();
    fs::write(place.path("images/precious"), "x").unwrap();
    let _log = place.open().await;
    assert_eq!(place.read("images/precious"), "x");
}

#[tokio::test]
async fn links_below_the_destination_are_not_followed() {
    let place = Place::new();
    let outside = TempDir::new().unwrap();
    fs::write(outside.path().join("victim"), "intact").unwrap();
    let mut log = place.open().await;
    symlink(outside.path(), place.path("d")).unwrap();
    symlink(outside.path().join("victim"), place.path("f")).unwrap();

    let error = log.attach(&attachment("d/x"), "x".as_bytes()).await.unwrap_err();
    assert!(matches!(error, LogError::NotAFolder { .. }), "{error}");
    log.attach(&attachment("f"), "new".as_bytes()).await.unwrap();
    assert!(fs::symlink_metadata(place.path("f")).unwrap().is_file(), "the link was replaced");

    drop(place.open().await);
    assert_eq!(place.names(), ["log.chunks", "log.html"], "links are removed");
    assert_eq!(fs::read_to_string(outside.path().join("victim")).unwrap(), "intact");
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 1);
}

#[tokio::test]
async fn a_slug_that_is_a_link_is_refused() {
    let place = Place::new();
    let outside = TempDir::new().unwrap();
    fs::write(outside.path().join("log"), "intact").unwrap();
    fs::create_dir_all(place.path("").parent().unwrap()).unwrap();
    symlink(outside.path(), place.dir.path().join("logs/o/r/c")).unwrap();
    let error = place.destination.open(&slug("o/r/c")).await.unwrap_err();
    let path = place.dir.path().join("logs/o/r/c");
    assert_eq!(
        error.to_string(),
        format!("{} is not a folder: move it away, logs are to be kept there", path.display())
    );
    assert_eq!(fs::read_to_string(outside.path().join("log")).unwrap(), "intact");
}

#[tokio::test]
async fn odd_slugs_stay_in_the_folder_and_make_valid_urls() {
    let place = Place::new();
    for (text, url) in [
        ("-", "-"),
        ("o/r/a b?#%", "o/r/a%20b%3F%23%25"),
        ("o/r/x@forge:y/ö", "o/r/x%40forge-y/%C3%B6"),
        ("...", "..."),
        ("a\"><script>", "a%22%3E%3Cscript%3E"),
    ] {
        let log = place.destination.open(&slug(text)).await.unwrap();
        assert_eq!(log.url(), format!("https://logs.example/ci/{url}/log.html"));
        log.finish().await.unwrap();
    }
    assert_eq!(fs::read_dir(place.dir.path()).unwrap().count(), 2, "logs and spool");
}

#[tokio::test]
async fn without_a_link_the_url_is_that_of_the_file() {
    let place = Place::new();
    let store = Store::Local(LocalStore::new(Path::new("/srv/ci logs"), None).unwrap());
    assert_eq!(
        store.url(&Folder::from(&slug("a:b")).own(Own::Page)),
        "file:///srv/ci%20logs/a-b/log.html",
        "{:?}",
        place.dir
    );
}

#[tokio::test]
async fn a_folder_that_cannot_be_written_says_so() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    let cases = [
        (file.join("logs"), dir.path().join("spool"), "make the folder", file.join("logs")),
        (dir.path().join("logs"), file.join("spool"), "make the spool folder", file.join("spool")),
    ];
    for (logs, spool, doing, path) in cases {
        let error = Place::destination(&logs, &spool).open(&slug("s")).await.unwrap_err();
        let advice = "a part of this path is a file, where a folder is needed";
        assert_eq!(error.to_string(), format!("cannot {doing} {}: {advice}", path.display()));
        assert!(std::error::Error::source(&error).is_some());
    }
}

/// A store that is away is no trouble of who prints.
#[tokio::test(start_paused = true)]
async fn what_cannot_be_sent_is_sent_later() {
    let place = Place::new();
    let (logs, away) = (place.dir.path().join("logs"), place.dir.path().join("away"));
    let mut log = place.open().await;
    fs::rename(&logs, &away).unwrap();
    fs::write(&logs, "in the way").unwrap();
    for text in ["one\n", "two\n", "three\n"] {
        log.write(text).await.unwrap();
        a_flush().await;
    }
    fs::remove_file(&logs).unwrap();
    fs::rename(&away, &logs).unwrap();
    tokio::time::sleep(Duration::from_mins(1)).await;
    assert_eq!(place.visible(), "one\ntwo\nthree\n");
    log.finish().await.unwrap();
    assert_eq!(place.read("log"), "one\ntwo\nthree\n");
    assert_eq!(place.names(), ["index.html", "log", "log.html"]);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_away_at_the_end_is_an_error() {
    let place = Place::new();
    let mut log = place.open().await;
    fs::remove_dir_all(place.dir.path().join("logs")).unwrap();
    fs::write(place.dir.path().join("logs"), "in the way").unwrap();
    log.write("x").await.unwrap();
    a_flush().await;
    let why = log.finish().await.unwrap_err();
    assert!(matches!(why, LogError::File { .. }), "{why}");
}

fn umask() -> u32 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|it| it.strip_prefix("Umask:")).unwrap();
    u32::from_str_radix(line.trim(), 8).unwrap()
}
