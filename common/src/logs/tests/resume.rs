//! A log that outlives the process that began it.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::time::Instant;

use super::*;

const SECRET: &str = "hunter2-hunter2";

/// What a worker writes, from the first byte.
async fn write(log: &mut Log, output: &str) {
    log.write("header\n").await.unwrap();
    log.mask(Masks::new([SECRET]).unwrap()).await.unwrap();
    log.copy_from(output.as_bytes()).await.unwrap();
}

/// What is left of a process that was killed when all of this could be read, after each of the texts in turn.
fn killed_after(place: &Place, texts: &[&str]) {
    let destination = Destination { flush_after: Duration::from_millis(300), ..place.destination.clone() };
    let dir = place.path("");
    let texts: Vec<String> = texts.iter().map(|&it| it.to_owned()).collect();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        let log = runtime.block_on(async {
            let mut log = destination.open(&slug("o/r/c")).await.unwrap();
            for (n, text) in texts.iter().enumerate() {
                match n {
                    0 => write(&mut log, text).await,
                    _ => log.write(text).await.unwrap(),
                }
                let written = Instant::now();
                while !Place::visible_in(&dir).ends_with(&text.replace(SECRET, "***")) {
                    assert!(written.elapsed() < Duration::from_secs(20), "{text:?} is not seen");
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            }
            log
        });
        // Nothing runs any more when the log is dropped, so nothing more is sent.
        runtime.shutdown_background();
        drop(log);
    })
    .join()
    .unwrap();
}

/// The files of the log's folder, and which they are: one that is written again is another.
fn files(place: &Place) -> BTreeMap<String, u64> {
    let number = |name: &String| fs::metadata(place.path(name)).unwrap().ino();
    place.names().into_iter().map(|it| (number(&it), it)).map(|(number, name)| (name, number)).collect()
}

async fn resumed(place: &Place) -> Log {
    place.destination.resume(&slug("o/r/c")).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_log_goes_on_where_a_killed_process_left_it() {
    let place = Place::new();
    killed_after(&place, &["one\n", "two hunter2-hunter2\n", "three\n"]);
    let before = files(&place);
    assert_eq!(place.read("log.chunks"), "[19, 6]");
    // Two that no list has: one was about to be in it, one was about to be deleted.
    fs::write(place.path("log.25-30"), "of a list that never came").unwrap();
    fs::write(place.path("log.0-11"), "header\none\n").unwrap();

    let mut log = resumed(&place).await;
    write(&mut log, "one\ntwo hunter2-hun").await;
    a_flush().await;
    assert_eq!(place.visible(), "header\none\ntwo ***\nthree\n", "nothing shrinks");
    log.copy_from(&b"ter2\nthree\n4"[..]).await.unwrap();
    a_flush().await;
    let now = files(&place);
    assert_eq!(place.visible(), "header\none\ntwo ***\nthree\n4");
    assert!(
        before.iter().filter(|(name, _)| name.starts_with("log.0-")).all(|it| now.get(it.0) == Some(it.1))
    );
    log.write("th\n").await.unwrap();
    log.finish().await.unwrap();
    assert_eq!(place.read("log"), "header\none\ntwo ***\nthree\n4th\n");
    assert_eq!(place.names(), ["index.html", "log", "log.html"]);
    assert_eq!(fs::read_dir(place.dir.path().join("spool")).unwrap().count(), 0, "a spool has no name");
}

#[tokio::test(start_paused = true)]
async fn a_log_may_end_before_it_comes_to_where_it_was() {
    let place = Place::new();
    killed_after(&place, &["one\n", "two\n"]);
    let mut log = resumed(&place).await;
    write(&mut log, "one\n").await;
    log.finish().await.unwrap();
    assert_eq!(place.read("log"), "header\none\n");
    assert_eq!(place.names(), ["index.html", "log", "log.html"]);
}

#[tokio::test(start_paused = true)]
async fn another_text_is_sent_from_its_beginning() {
    let place = Place::new();
    killed_after(&place, &["one\n", "two\n"]);
    let mut log = resumed(&place).await;
    write(&mut log, "other output\n").await;
    a_flush().await;
    assert_eq!(place.visible(), "header\nother output\n");
    log.finish().await.unwrap();
    assert_eq!(place.read("log"), "header\nother output\n");
    assert_eq!(place.names(), ["index.html", "log", "log.html"]);
}

#[tokio::test(start_paused = true)]
async fn an_empty_log_is_one_that_goes_on() {
    let place = Place::new();
    drop(place.open().await);
    a_flush().await;
    let mut log = resumed(&place).await;
    write(&mut log, "one\n").await;
    a_flush().await;
    assert_eq!(place.visible(), "header\none\n");
    log.finish().await.unwrap();
    assert_eq!(place.read("log"), "header\none\n");
}

/// There is no list, or one that is not ours.
#[tokio::test(start_paused = true)]
async fn where_nothing_can_be_continued_a_log_begins() {
    let lists: [Option<&str>; 9] = [
        None,
        Some(""),
        Some("{}"),
        Some("[15"),
        Some("[-1]"),
        Some("[0]"),
        Some("[10, 5]"),
        Some("[11, 18446744073709551615]"),
        Some("[999999999999]"),
    ];
    for list in lists {
        let place = Place::new();
        killed_after(&place, &["one\n"]);
        fs::remove_file(place.path("log.chunks")).unwrap();
        if let Some(list) = list {
            fs::write(place.path("log.chunks"), list).unwrap();
        }
        let _log = resumed(&place).await;
        assert_eq!(place.names(), ["log.chunks", "log.html"], "{list:?}");
        assert_eq!(place.visible(), "", "{list:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_chunk_that_is_cut_or_gone_is_no_log_to_continue() {
    for damage in ["cut", "gone", "a link"] {
        let place = Place::new();
        killed_after(&place, &["one\n"]);
        let chunk = place.path("log.0-11");
        fs::remove_file(&chunk).unwrap();
        match damage {
            "cut" => fs::write(&chunk, "hea").unwrap(),
            "gone" => {}
            _ => symlink("/etc/passwd", &chunk).unwrap(),
        }
        let _log = resumed(&place).await;
        assert_eq!(place.names(), ["log.chunks", "log.html"], "{damage}");
        assert_eq!(place.visible(), "", "{damage}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_log_that_has_ended_begins_again() {
    let place = Place::new();
    let mut log = place.open().await;
    write(&mut log, "one\n").await;
    log.finish().await.unwrap();
    let mut log = resumed(&place).await;
    assert_eq!(place.names(), ["log.chunks", "log.html"]);
    write(&mut log, "one\ntwo\n").await;
    log.finish().await.unwrap();
    assert_eq!(place.read("log"), "header\none\ntwo\n");
}

/// The process died after the whole log was put, and before its chunks were gone.
#[tokio::test(start_paused = true)]
async fn an_end_that_was_begun_is_done_again() {
    let place = Place::new();
    killed_after(&place, &["one\n"]);
    fs::write(place.path("log"), "header\none\n").unwrap();
    let mut log = resumed(&place).await;
    write(&mut log, "one\n").await;
    log.finish().await.unwrap();
    assert_eq!(place.read("log"), "header\none\n");
    assert_eq!(place.names(), ["index.html", "log", "log.html"]);
}

#[tokio::test(start_paused = true)]
async fn a_link_in_the_place_of_the_folder_is_not_followed() {
    let (place, outside) = (Place::new(), TempDir::new().unwrap());
    fs::write(outside.path().join("log.chunks"), "[]").unwrap();
    fs::create_dir_all(place.path("").parent().unwrap()).unwrap();
    symlink(outside.path(), place.dir.path().join("logs/o/r/c")).unwrap();
    let error = place.destination.resume(&slug("o/r/c")).await.unwrap_err();
    assert!(matches!(error, LogError::NotAFolder { .. }), "{error}");
}
