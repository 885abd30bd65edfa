//! What lines look like, and how one finds them.

use super::{Desk, numbered};

#[tokio::test]
async fn nothing_in_a_log_becomes_markup() {
    let hostile = [
        "<script>window.hacked = 1</script><img src=x onerror=\"window.hacked = 1\">",
        "</div></main><style>* { display: none }</style><base href='http://evil.example/'>",
        "1..1",
        "not ok 1 <img src=x onerror=window.hacked=1> # SKIP <b>&amp;</b>",
        "Wrote screenshot to ../../etc/passwd.png",
        "Wrote screenshot to javascript:alert(1).png",
        "not ok 2 <i>x</i>",
        "*** <b>Failure</b>: </span><script>window.hacked = 1</script>",
    ];
    let desk = Desk::ended(hostile.join("\n")).await.unwrap();
    desk.page.until("!document.querySelector('#panel-tests').hidden").await.unwrap();
    assert_eq!(desk.texts(".fold .row .text").await.unwrap()[0], hostile[4]);
    assert_eq!(desk.texts(".files").await.unwrap(), Vec::<String>::new(), "no link leaves the folder");
    desk.page.press("t").await.unwrap();
    assert_eq!(desk.lines().await.unwrap(), hostile);
    assert_eq!(desk.value("window.hacked").await.unwrap(), serde_json::Value::Null);
    let foreign =
        "document.querySelectorAll('main :is(script, img, style, b, i, base), h1 *, #state *').length";
    assert_eq!(desk.value(foreign).await.unwrap(), 0);
    desk.close();
}

#[tokio::test]
async fn controls_and_bad_bytes_are_visible_and_escapes_are_not() {
    let desk = Desk::live(
        [
            b"nul \0 bell \x07 delete \x7f c1 \xc2\x9b bad \xff\xfe end\n".as_slice(),
            b"title \x1b]0;gone\x07 link \x1b]8;;http://evil.example\x1b\\text\x1b]8;;\x1b\\ cursor \x1b[2K\x1b[1A\x1b(B end\n",
            b"unfinished \x1b]0;stays\n",
            b"10%\r50%\r100% done\r\n",
            b"99%\r\x1b[K\n",
            b"bidi \xe2\x80\xaegnp.exe\n",
            "Schiffe, 船, суда, \u{1f6a2}\n".as_bytes(),
            b"a\tb\n\n",
        ]
        .concat(),
    )
    .await
    .unwrap();
    assert_eq!(
        desk.lines().await.unwrap(),
        [
            "nul \u{2400} bell \u{2407} delete \u{2421} c1 <9B> bad \u{fffd}\u{fffd} end",
            "title  link text cursor  end",
            "unfinished 0;stays",
            "100% done",
            "99%",
            "bidi <U+202E>gnp.exe",
            "Schiffe, 船, суда, \u{1f6a2}",
            "a\tb",
            "",
        ]
    );
    desk.close();
}

#[tokio::test]
async fn colours_are_those_of_a_terminal() {
    let desk = Desk::live(
        "\x1b[1;31mred\x1b[0m \x1b[38;5;208morange\x1b[m \x1b[38;2;1;2;3mtrue\x1b[39m \x1b[48:2::9:8:7mback\x1b[49m \
         \x1b[4;3;9mall\x1b[0m \x1b[7minverse\x1b[27m \x1b[92mbright\nstill bright\x1b[0m\nplain \x1b[>4;2mtext\n",
    )
    .await
    .unwrap();
    let look = async |text: &str, property: &str| {
        let find = format!(
            "getComputedStyle([...document.querySelectorAll('.text span')].find(it => it.textContent === '{text}')).{property}"
        );
        desk.page.text(&find).await.unwrap()
    };
    desk.page
        .call(
            "Emulation.setEmulatedMedia",
            serde_json::json!({"features": [{"name": "prefers-color-scheme", "value": "light"}]}),
        )
        .await
        .unwrap();
    assert_eq!(look("red", "color").await, "rgb(179, 38, 30)");
    assert_eq!(look("red", "fontWeight").await, "700");
    assert_eq!(look("orange", "color").await, "rgb(255, 135, 0)");
    assert_eq!(look("true", "color").await, "rgb(1, 2, 3)");
    assert_eq!(look("back", "backgroundColor").await, "rgb(9, 8, 7)");
    assert_eq!(look("all", "textDecorationLine").await, "underline line-through");
    assert_eq!(look("all", "fontStyle").await, "italic");
    assert_eq!(look("inverse", "backgroundColor").await, "rgb(28, 33, 39)");
    assert_eq!(look("bright", "color").await, look("still bright", "color").await);
    assert_eq!(desk.lines().await.unwrap()[2], "plain text");
    assert_eq!(
        desk.value("document.querySelectorAll('.row')[2].querySelectorAll('.text span').length")
            .await
            .unwrap(),
        0
    );
    desk.close();
}

#[tokio::test]
async fn long_lines_do_not_stop_the_page() {
    let text =
        format!("short\n{}\nprogress{}\nafter\n", "x".repeat(5_000_000), "\rprogress 1%".repeat(300_000));
    let desk = Desk::ended(text).await.unwrap();
    let lines = desk.lines().await.unwrap();
    assert_eq!(lines.len(), 4);
    assert!(lines[1].ends_with("and 5.0 MB more in this line: see the raw log"), "{}", &lines[1][9_990..]);
    assert_eq!(lines[2..], ["progress 1%", "after"]);
    desk.close();
}

/// Each of these takes minutes, or the tab down, where the page is not careful.
#[tokio::test]
async fn a_log_that_was_made_to_hurt_does_not() {
    let colours = format!("{}\n", "\x1b[31ma\x1b[32mb".repeat(900));
    let spaces = " ".repeat(1900);
    let log = [
        "1..1\n".to_owned(),
        colours.repeat(100),
        format!("{}\n{}end\n", "\r".repeat(2_000_000), "\r \r".repeat(500_000)),
        format!("ok 1 {spaces}x # {spaces}x\n").repeat(2000),
        format!("\x1b]{}\n\x1b[{}\n", "x".repeat(1_000_000), "1;".repeat(500_000)),
        format!("Wrote {}\n", "a to ".repeat(200_000)),
    ]
    .concat();
    let desk = Desk::ended(log).await.unwrap();
    desk.page.press("/").await.unwrap();
    desk.page.type_text("a").await.unwrap();
    desk.page.until("document.querySelector('#hits').textContent.startsWith('1 of 101 ')").await.unwrap();
    desk.drawn().await.unwrap();
    let elements = desk.value("document.querySelectorAll('*').length").await.unwrap().as_u64().unwrap();
    assert!((1000..25_000).contains(&elements), "{elements} elements");
    desk.page.press("Escape").await.unwrap();
    desk.page.press("f").await.unwrap();
    desk.page.until("document.querySelector('#announce').textContent.includes('failure')").await.unwrap();
    desk.page.press("End").await.unwrap();
    assert!(desk.lines().await.unwrap().last().unwrap().starts_with("Wrote a to a"));
    desk.page.press("t").await.unwrap();
    desk.page.click("#groups details:last-of-type summary", 0).await.unwrap();
    desk.page.until("document.querySelectorAll('.test').length === 100").await.unwrap();
    desk.page.click("#groups details:last-of-type .toggle", 0).await.unwrap();
    desk.page.until("document.querySelectorAll('.fold .row').length > 3").await.unwrap();
    desk.close();
}

#[tokio::test]
async fn lines_have_links_also_when_they_arrive_later() {
    let desk = Desk::with(tests::browser::Ranges::Known).await.unwrap();
    desk.site.print(numbered(100));
    desk.open("#L300-L302").await.unwrap();
    desk.page.until("log.content.lines === 100").await.unwrap();
    assert_eq!(desk.first_line().await.unwrap(), 1, "nobody is taken to the end");
    desk.site.print(numbered(400));
    desk.page.until("document.querySelectorAll('.row.chosen').length === 3").await.unwrap();
    assert_eq!(desk.texts(".chosen .number").await.unwrap(), ["300", "301", "302"]);

    desk.page.click("[data-line='304'] .number", 0).await.unwrap();
    desk.drawn().await.unwrap();
    assert_eq!(desk.page.text("location.hash").await.unwrap(), "#L305");
    desk.page.click("[data-line='307'] .number", 8).await.unwrap();
    desk.drawn().await.unwrap();
    assert_eq!(desk.page.text("location.hash").await.unwrap(), "#L305-L308");
    assert_eq!(desk.texts(".chosen .number").await.unwrap(), ["305", "306", "307", "308"]);

    desk.page.press("g").await.unwrap();
    desk.page.type_text("20-21").await.unwrap();
    desk.page.press("Enter").await.unwrap();
    desk.page.until("location.hash === '#L20-L21'").await.unwrap();
    desk.drawn().await.unwrap();
    assert_eq!(desk.texts(".chosen .text").await.unwrap(), ["line 20", "line 21"]);
    desk.value("void (location.hash = '#L450')").await.unwrap();
    desk.page.until("document.querySelector('.chosen .number')?.textContent === '450'").await.unwrap();
    desk.close();
}

#[tokio::test]
async fn a_search_finds_lines_that_are_not_in_view() {
    let log = format!(
        "{}A \x1b[31mneed\x1b[0mle here\n{}needle, needle, needle\n{}NEEDLE\n",
        numbered(1000),
        numbered(1000),
        numbered(1000)
    );
    let desk = Desk::ended(log).await.unwrap();
    let hits = "document.querySelector('#hits').textContent";
    desk.page.press("/").await.unwrap();
    desk.page.type_text("Needle").await.unwrap();
    desk.page.until(&format!("{hits} === '1 of 3 lines'")).await.unwrap();
    desk.drawn().await.unwrap();
    assert_eq!(desk.texts(".hit .number").await.unwrap(), ["1001"]);
    assert_eq!(desk.texts(".hit mark").await.unwrap(), ["need", "le"], "over a change of colour");
    desk.page.press("Enter").await.unwrap();
    desk.page.until("document.querySelector('.hit .number').textContent === '2002'").await.unwrap();
    assert_eq!(desk.texts(".hit mark").await.unwrap().len(), 3);
    desk.page.press("Shift+Enter").await.unwrap();
    desk.page.until("document.querySelector('.hit .number').textContent === '1001'").await.unwrap();
    desk.page.press("Escape").await.unwrap();
    desk.page.press("Shift+N").await.unwrap();
    desk.page.until("document.querySelector('.hit .number').textContent === '3003'").await.unwrap();
    desk.page.press("n").await.unwrap();
    desk.page.until("document.querySelector('.hit .number').textContent === '1001'").await.unwrap();

    desk.page.click("#case", 0).await.unwrap();
    desk.page.until(&format!("{hits} === 'nothing'")).await.unwrap();
    desk.page.press("/").await.unwrap();
    desk.page.type_text("line 1000").await.unwrap();
    desk.page.until(&format!("{hits} === '1 of 3 lines' || {hits} === '2 of 3 lines'")).await.unwrap();
    desk.page.press("/").await.unwrap();
    desk.page.type_text("[a.(").await.unwrap();
    desk.close();
}

#[tokio::test]
async fn the_first_failure_is_a_key_away_also_without_tests() {
    let log = format!(
        "{}src/a.c:3:5: error: no such ship\n{}*** Failure: Container exited with code 2\n",
        numbered(900),
        numbered(900)
    );
    let desk = Desk::ended(log).await.unwrap();
    assert_eq!(desk.texts("#state").await.unwrap(), ["Ended: Failure: Container exited with code 2"]);
    desk.page.press("f").await.unwrap();
    desk.page.until("document.querySelector('.hit .number')?.textContent === '901'").await.unwrap();
    desk.page.press("e").await.unwrap();
    desk.page.until("document.querySelector('.hit .number')?.textContent === '1802'").await.unwrap();
    desk.page.press("Shift+E").await.unwrap();
    desk.page.until("document.querySelector('.hit .number')?.textContent === '901'").await.unwrap();
    desk.close();
}
