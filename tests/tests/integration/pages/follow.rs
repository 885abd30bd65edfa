//! A log that grows, over a line that is not always good.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::fmt::Write;

use serde_json::json;
use tests::browser::{Fault, Ranges};

use super::{Desk, numbered};

#[tokio::test]
async fn a_live_log_is_followed_to_its_end_and_nothing_is_read_twice() {
    let desk = Desk::live("job o/r\n").await.unwrap();
    desk.page.until("document.querySelector('#state').textContent === 'Running'").await.unwrap();
    let mut expected = "job o/r\n".to_owned();
    for n in 1..=3 {
        let more = format!("{}half", numbered(100 * n));
        desk.site.print(&more);
        expected.push_str(&more);
        desk.page.until(&format!("log.content.length === {}", expected.len())).await.unwrap();
        assert_eq!(desk.lines().await.unwrap().last().unwrap(), "half", "the end is in view");
    }
    desk.site.end(" and half\nJob ran successfully.  :)\n");
    expected.push_str(" and half\nJob ran successfully.  :)\n");
    desk.has_ended().await.unwrap();
    assert_eq!(desk.texts("#state").await.unwrap(), ["Ended: success"]);
    assert_eq!(desk.texts("#title").await.unwrap(), ["job o/r"]);
    assert_eq!(desk.page.text("document.title").await.unwrap(), "job o/r");
    assert_eq!(desk.content().await.unwrap(), expected);
    assert_eq!(desk.bytes_sent(), expected.len());
    let asked = desk.site.requests().len();
    desk.value("new Promise(done => setTimeout(done, 2500))").await.unwrap();
    assert_eq!(desk.site.requests().len(), asked, "it is over");
    desk.close();
}

#[tokio::test]
async fn who_scrolls_up_is_left_alone_until_he_comes_back() {
    let desk = Desk::live(numbered(500)).await.unwrap();
    let pressed = "document.querySelector('#follow').getAttribute('aria-pressed')";
    desk.page.until("log.content.lines === 500").await.unwrap();
    assert_eq!(desk.lines().await.unwrap().last().unwrap(), "line 500");
    desk.page.wheel(-1000).await.unwrap();
    desk.page.until(&format!("{pressed} === 'false'")).await.unwrap();
    let at = desk.first_line().await.unwrap();
    desk.site.print(numbered(50));
    desk.page.until("log.content.lines === 550").await.unwrap();
    assert_eq!(desk.first_line().await.unwrap(), at);
    desk.page.click("#follow", 0).await.unwrap();
    assert_eq!(desk.lines().await.unwrap().last().unwrap(), "line 50");
    desk.site.print("the end\n");
    desk.page.until("log.content.lines === 551").await.unwrap();
    assert_eq!(desk.lines().await.unwrap().last().unwrap(), "the end");
    desk.close();
}

#[tokio::test]
async fn a_chunk_that_was_merged_meanwhile_is_found_again() {
    let desk = Desk::live("one\n").await.unwrap();
    desk.site.print("two\n");
    desk.site.merge_behind_the_list();
    let gone = async {
        while !desk.site.requests().iter().any(|it| it.name == "log.4-8" && it.status == 404) {
            desk.drawn().await.unwrap();
        }
    };
    // The reader may have been faster than the merge; then there is nothing to find again.
    let read = desk.page.until("log.content.length === 8");
    tokio::select! {
        () = gone => desk.site.list(),
        done = read => { done.unwrap(); desk.site.list(); }
    }
    desk.site.print("three\n");
    desk.page.until("log.content.length === 14").await.unwrap();
    desk.site.end("four\n");
    desk.has_ended().await.unwrap();
    assert_eq!(desk.content().await.unwrap(), "one\ntwo\nthree\nfour\n");
    assert_eq!(desk.bytes_sent(), 19, "{:?}", desk.site.requests());
    desk.close();
}

async fn hiccups(ranges: Ranges) {
    let desk = Desk::with(ranges).await.unwrap();
    desk.site.fail_next("log.chunks", Fault::Status(503));
    desk.site.fail_next("log.0-", Fault::Cut(2000));
    desk.site.fail_next("log.0-", Fault::Status(500));
    let mut expected = numbered(2000);
    desk.site.print(&expected);
    desk.open("").await.unwrap();
    desk.page.until("document.querySelector('#state').textContent === 'Trying again'").await.unwrap();
    desk.page.until("log.content.lines === 2000").await.unwrap();
    desk.page.until("document.querySelector('#state').textContent === 'Running'").await.unwrap();
    assert!(desk.site.has_failed());
    let rest = numbered(3000);
    desk.site.fail_next("log", Fault::Status(502));
    desk.site.fail_next("log", Fault::Cut(expected.len() + 5000));
    desk.site.fail_next("log", Fault::Cut(0));
    desk.site.end(&rest);
    expected.push_str(&rest);
    desk.has_ended().await.unwrap();
    assert!(desk.site.has_failed());
    assert!(desk.content().await.unwrap() == expected, "nothing is lost or doubled");
    desk.close();
}

#[tokio::test]
async fn hiccups_cost_nothing_but_time() {
    hiccups(Ranges::Known).await;
}

#[tokio::test]
async fn a_server_that_sends_everything_instead_of_a_part_is_understood() {
    hiccups(Ranges::Ignored).await;
}

#[tokio::test]
async fn another_attempt_begins_a_new_log() {
    let desk = Desk::live(numbered(100)).await.unwrap();
    desk.site.begin_again();
    desk.page.until("log.content.length === 0").await.unwrap();
    desk.site.print("second attempt\n");
    desk.page.until("log.content.lines === 1").await.unwrap();
    assert_eq!(desk.lines().await.unwrap(), ["second attempt"]);
    desk.site.end("");
    desk.has_ended().await.unwrap();
    desk.close();
}

#[tokio::test]
async fn a_log_that_is_not_there_yet_appears() {
    let desk = Desk::with(Ranges::Known).await.unwrap();
    desk.site.fail_next("log.chunks", Fault::Status(403));
    desk.open("").await.unwrap();
    desk.page.until("document.querySelector('#state').textContent === 'No log'").await.unwrap();
    desk.site.print("here\n");
    desk.page.until("log.content.lines === 1").await.unwrap();
    desk.close();
}

#[tokio::test]
async fn a_hundred_megabytes_can_be_read() {
    let desk = Desk::with(Ranges::Known).await.unwrap();
    let mut text = String::with_capacity(101_000_000);
    let mut n = 0;
    while text.len() < 100_000_000 {
        n += 1;
        let _ = writeln!(
            text,
            "{n} \x1b[32mok\x1b[0m the quick brown fox jumps over the lazy dog and is found by it"
        );
    }
    text.push_str("a needle at the end\n");
    let bytes = text.len();
    desk.site.end(text);
    desk.open("#L1").await.unwrap();
    desk.value("new PerformanceObserver(list => { for (const it of list.getEntries()) window.longest = Math.max(window.longest ?? 0, it.duration); }).observe({ type: 'longtask', buffered: true })").await.unwrap();
    desk.has_ended().await.unwrap();
    let loaded = desk.value("performance.now()").await.unwrap().as_f64().unwrap();
    assert_eq!(desk.value("log.content.length").await.unwrap(), bytes);

    desk.page.press("End").await.unwrap();
    assert_eq!(desk.lines().await.unwrap().last().unwrap(), "a needle at the end");
    desk.page.press("Home").await.unwrap();
    assert_eq!(desk.first_line().await.unwrap(), 1);
    for _ in 0..3 {
        desk.page.wheel(200).await.unwrap();
    }
    desk.page.until("view.firstSeen >= 30").await.unwrap();
    assert!(desk.first_line().await.unwrap() < 40, "600 pixels are 30 lines, however long the log is");

    desk.page.press("/").await.unwrap();
    desk.page.type_text("needle").await.unwrap();
    desk.page.until("document.querySelector('#hits').textContent === '1 of 1 line'").await.unwrap();
    desk.page.until("document.querySelector('.row.hit mark')?.textContent === 'needle'").await.unwrap();
    let searched = desk.value("performance.now()").await.unwrap().as_f64().unwrap();

    let nodes = desk.value("document.querySelectorAll('*').length").await.unwrap().as_u64().unwrap();
    desk.page.call("HeapProfiler.collectGarbage", json!({})).await.unwrap();
    let memory = desk.browser.memory() / 1_000_000;
    let longest = desk.value("window.longest ?? 0").await.unwrap();
    eprintln!(
        "100 MB, {n} lines: loaded in {loaded:.0} ms, searched by {searched:.0} ms, {nodes} elements, \
         {memory} MB of memory, longest task {longest} ms"
    );
    assert!(nodes < 600, "{nodes} elements");
    assert!((100..400).contains(&memory), "{memory} MB of memory");
    assert!(longest.as_f64().unwrap() < 1000.0, "a task of {longest} ms");
    desk.close();
}
