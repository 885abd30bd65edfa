//! What the page makes of the results of tests.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

use serde_json::{Value, json};
use tests::browser::sample::{self, Mix};

use super::Desk;

#[tokio::test]
async fn three_thousand_tests_are_summed_up_and_failed_ones_come_first() {
    let desk = Desk::with(tests::browser::Ranges::Known).await.unwrap();
    let mix = Mix { tests: 3000, failed: 4, retried: 6, skipped: 30 };
    desk.site.put(&sample::picture_name(1), sample::picture(320, 200));
    desk.site.end(sample::tests(mix));
    desk.open("").await.unwrap();
    desk.has_ended().await.unwrap();
    assert_eq!(
        desk.texts("#counts li").await.unwrap(),
        ["3,000 tests", "2,966 passed", "4 failed", "30 skipped", "14 retries", "took 5 h 50 min"]
    );
    // Nobody has touched the page: it shows what is to be done.
    desk.page.until("!document.querySelector('#panel-tests').hidden").await.unwrap();
    assert_eq!(
        desk.texts("#groups details:not([hidden]) h2").await.unwrap(),
        ["Failed (4)", "Retried (14)", "Skipped (30)", "Passed (2,966)"]
    );
    let first = desk.texts("#test-1 .head > *").await.unwrap();
    assert_eq!(first[0], "✘ failedtest/verify/check-ship TestShip1.testSail [ND@1]21 s");
    assert_eq!(
        desk.texts("#test-1 .fold .row .text").await.unwrap().last().unwrap(),
        "not ok 1 test/verify/check-ship TestShip1.testSail [ND@1]"
    );
    desk.page.until("document.querySelector('#test-1 img').naturalWidth === 320").await.unwrap();
    let links = "[...document.querySelectorAll('#test-1 .files a')].map(it => it.getAttribute('href'))";
    let stem = "TestShip1-testSail-debian-13-127.0.0.2-2201-FAIL";
    let expected = json!([format!("./{stem}.html"), format!("./{stem}.log.gz"), format!("./{stem}.png")]);
    assert_eq!(desk.value(links).await.unwrap(), expected);

    let elements = desk.value("document.querySelectorAll('*').length").await.unwrap().as_u64().unwrap();
    assert!(elements < 1500, "{elements}: tests that passed are not in the page yet");
    desk.page.click("#groups details:last-of-type summary", 0).await.unwrap();
    desk.page
        .until("document.querySelectorAll('#groups details:last-of-type .test').length === 100")
        .await
        .unwrap();
    desk.value("document.querySelector('#filter').focus()").await.unwrap();
    desk.page.type_text("ship2999.").await.unwrap();
    desk.page.until("document.querySelectorAll('.test').length === 1").await.unwrap();

    desk.page.press("f").await.unwrap(); // into the filter
    desk.page.press("Escape").await.unwrap();
    desk.page.press("f").await.unwrap();
    desk.page
        .until("document.querySelector('.hit .text')?.textContent.startsWith('not ok 1 ')")
        .await
        .unwrap();
    desk.page.press("e").await.unwrap();
    desk.page
        .until("document.querySelector('.hit .text')?.textContent.startsWith('not ok 751 ')")
        .await
        .unwrap();
    desk.close();
}

#[tokio::test]
async fn links_of_older_pages_lead_to_the_test() {
    let desk = Desk::with(tests::browser::Ranges::Known).await.unwrap();
    desk.site.end(sample::tests(Mix { tests: 300, failed: 1, retried: 2, skipped: 3 }));
    desk.open("#152-1").await.unwrap();
    desk.page.until("document.activeElement?.closest('.test')?.id === 'test-152-1'").await.unwrap();
    desk.page.until("document.activeElement.getAttribute('aria-expanded') === 'true'").await.unwrap();
    desk.value("void (location.hash = '#200')").await.unwrap();
    desk.page.until("document.activeElement?.closest('.test')?.id === 'test-200'").await.unwrap();
    desk.close();
}

#[tokio::test]
async fn results_come_in_while_the_log_grows() {
    let desk = Desk::live("1..3\n").await.unwrap();
    let counts = "[...document.querySelectorAll('#counts li')].map(it => it.textContent).join()";
    desk.page
        .until(&format!("{counts} === '3 tests,0 passed,0 failed,0 skipped,0 retries,3 to go'"))
        .await
        .unwrap();
    desk.page.press("t").await.unwrap();
    desk.site.print(
        "ok 1 d/check-a TestA.testA\noutput\n# 1 TEST FAILED [5s on x]\nnot ok 2 d/check-a TestA.testB\n",
    );
    desk.page.until("document.querySelector('#test-2')").await.unwrap();
    assert_eq!(desk.texts("#groups > p").await.unwrap(), ["1 test has no result yet"]);
    desk.site.end("boom\n*** Failure: Timeout after 2 minutes\n");
    desk.has_ended().await.unwrap();
    desk.page
        .until("document.querySelector('#groups > p').textContent === '1 test has no result: lines 6–7'")
        .await
        .unwrap();
    desk.page
        .until(&format!("{counts} === '3 tests,1 passed,1 failed,0 skipped,0 retries,1 without a result'"))
        .await
        .unwrap();
    desk.close();
}

#[tokio::test]
async fn a_last_line_without_an_end_counts() {
    let desk = Desk::ended("1..2\nok 1\nnot ok 2 - last").await.unwrap();
    desk.page
        .until("document.querySelector('#test-2 .fold .text')?.textContent === 'not ok 2 - last'")
        .await
        .unwrap();
    assert_eq!(desk.texts("#counts li").await.unwrap()[1..3], ["1 passed", "1 failed"]);
    desk.close();
}

/// What the page's parser makes of a text: counts, and for each test number, name, verdict, reason, seconds and lines.
async fn parsed(desk: &Desk, text: &str) -> Value {
    let expression = format!(
        "(() => {{
            const content = new Content(), tap = new Tap();
            content.append(new TextEncoder().encode({}));
            tap.read(content);
            return {{
                found: tap.found, missing: tap.missing, seconds: tap.seconds, bailed: tap.bailed?.reason ?? null,
                tests: tap.tests.map(it => [it.number, it.name, it.verdict, it.reason, it.seconds, `${{it.first + 1}}-${{it.last + 1}}`]),
                failures: tap.failures().map(it => it + 1),
            }};
        }})()",
        json!(text)
    );
    desk.value(&expression).await.unwrap()
}

#[tokio::test]
async fn both_dialects_are_understood() {
    let desk = Desk::live("x\n").await.unwrap();
    for (text, expected) in [
        (
            "noise\n1..3\n# ---\n# testA (check_a.TestA)\nout\n# 1 TEST PASSED [26s on host]\nok 1 d/check-a TestA.testA [ND@1]\n\
             out\nnot ok 2 d/check-a TestA.testB # RETRY 1 (be robust)\nok 2 d/check-a TestA.testB # SKIP Known issue #12\n\
             # TESTS PASSED [90s on host, 3 serial tests: 0: 9s]\n",
            json!({"found": true, "missing": 1, "seconds": 90, "bailed": null, "failures": [], "tests": [
                [1, "d/check-a TestA.testA [ND@1]", "passed", "", 26, "3-7"],
                [2, "d/check-a TestA.testB", "retried", "be robust", null, "8-9"],
                [2, "d/check-a TestA.testB", "skipped", "Known issue #12", null, "10-10"]]}),
        ),
        (
            "TAP version 14\nok 1 - first\nnot ok 2 - second # TODO later\nnot ok 3 - third, issue #7\n  ---\n  duration_ms: 250.5\n  ok: 1\n  ...\n\
             # Failed at line 3\nok - fourth # time=1.5ms\n# Subtest: fifth\n    ok 1 - a\n    not ok 2 - b\n    1..2\nnot ok 5 - fifth\n1..5\n# duration_ms 1500\n",
            json!({"found": true, "missing": 0, "seconds": 1.5, "bailed": null, "failures": [4, 13], "tests": [
                [1, "first", "passed", "", null, "2-2"],
                [2, "second", "skipped", "to do: later", null, "3-3"],
                [3, "third, issue #7", "failed", "", 0.2505, "4-9"],
                [4, "fourth", "passed", "", 0.0015, "10-10"],
                [5, "fifth", "failed", "", null, "11-15"]]}),
        ),
        (
            "1..4\r\nok 1\r\nBail out! The sea is gone\r\n",
            json!({"found": true, "missing": 3, "seconds": null, "bailed": "The sea is gone", "failures": [3],
                "tests": [[1, "test 1", "passed", "", null, "2-2"]]}),
        ),
        (
            "1..0 # SKIP no ships here\n",
            json!({"found": true, "missing": 0, "seconds": null, "bailed": null, "failures": [],
                "tests": [[0, "all tests", "skipped", "no ships here", null, "1-1"]]}),
        ),
        (
            "ok 7 files copied\nok: [host]\nok  \tgithub.com/x 0.1s\nBail out! not\n",
            json!({"found": false, "missing": 0, "seconds": null, "bailed": null, "failures": [],
                "tests": [[7, "files copied", "passed", "", null, "1-1"]]}),
        ),
        (
            "ok 7 files copied\n1..1\n\x1b[32mok 1 - coloured\x1b[0m\nok 1 - real\n",
            json!({"found": true, "missing": 0, "seconds": null, "bailed": null, "failures": [],
                "tests": [[1, "real", "passed", "", null, "3-4"]]}),
        ),
    ] {
        assert_eq!(parsed(&desk, text).await, expected, "{text}");
    }
    desk.close();
}

#[tokio::test]
async fn attachments_are_found_by_how_tests_announce_them() {
    let desk = Desk::live("x\n").await.unwrap();
    let text = "Wrote screenshot to TestA-b.png\nWrote HTML dump to TestA-b.html\nJournal extracted to TestA.log.gz\n\
                New pixel test reference TestA-main-pixels.png\nPixel test TestA-main failed:\nDifferences in pixel test TestA-other\n\
                Code coverage report in Coverage/\nsee /var/tmp/attachments/shots/deep%20sea/x.png for more\nfile /var/tmp/attachments/../../etc/shadow\n\
                Wrote screenshot to /etc/passwd.png\nWrote screenshot to ../up.png\nWrote screenshot to a/../../up.png\nWrote screenshot to TestA-b.png\n";
    let found = desk
        .value(&format!("attachmentsIn({}).map(it => [it.label, it.link, it.picture])", json!(text)))
        .await
        .unwrap();
    assert_eq!(
        found,
        json!([
            ["screenshot", "./TestA-b.png", true],
            ["html dump", "./TestA-b.html", false],
            ["journal", "./TestA.log.gz", false],
            ["new pixel test reference", "./TestA-main-pixels.png", true],
            ["code coverage report", "./Coverage/", false],
            ["changed pixels", "./pixeldiff.html#TestA-main", false],
            ["changed pixels", "./pixeldiff.html#TestA-other", false],
            ["attachment", "./shots/deep", false],
        ])
    );
    desk.close();
}
