//! With the keyboard alone, with a screen reader, in the light and in the dark.

use serde_json::json;
use tests::browser::sample::{self, Mix};
use tests::browser::{Ranges, Scheme};
use tests::settings;

use super::{Desk, numbered};

#[tokio::test]
async fn the_keyboard_is_enough() {
    let desk = Desk::ended(numbered(1000)).await.unwrap();
    for (key, expected) in [("j", 2), ("ArrowDown", 3), ("k", 2), ("Home", 1)] {
        desk.page.press(key).await.unwrap();
        assert_eq!(desk.first_line().await.unwrap(), expected, "{key}");
    }
    desk.page.press("PageDown").await.unwrap();
    let page = desk.first_line().await.unwrap() - 1;
    assert!((10..40).contains(&page), "{page}");
    desk.page.press(" ").await.unwrap();
    assert_eq!(desk.first_line().await.unwrap(), 1 + 2 * page);
    desk.page.press("PageUp").await.unwrap();
    assert_eq!(desk.first_line().await.unwrap(), 1 + page);
    desk.page.press("End").await.unwrap();
    assert_eq!(desk.lines().await.unwrap().last().unwrap(), "line 1000");

    desk.page.press("?").await.unwrap();
    desk.page.until("document.querySelector('#help').open").await.unwrap();
    desk.page.press("j").await.unwrap();
    desk.page.press("Escape").await.unwrap();
    desk.page.until("!document.querySelector('#help').open").await.unwrap();

    // Everything that can be used can be reached, and what can be reached has a name.
    let mut reached = Vec::new();
    desk.value("document.activeElement.blur()").await.unwrap();
    for _ in 0..20 {
        desk.page.press("Tab").await.unwrap();
        let name = desk.page.text("document.activeElement.id || document.activeElement.getAttribute('aria-label') || document.activeElement.textContent").await.unwrap();
        if reached.contains(&name) {
            break;
        }
        reached.push(name);
    }
    for expected in [
        "Raw log",
        "All files",
        "theme",
        "help-button",
        "tab-log",
        "query",
        "case",
        "previous",
        "line",
        "first-failure",
        "Log",
    ] {
        assert!(reached.iter().any(|it| it == expected), "{expected} in {reached:?}");
    }
    desk.close();
}

#[tokio::test]
async fn a_screen_reader_finds_names_and_roles() {
    let desk =
        Desk::ended(sample::tests(Mix { tests: 300, failed: 2, retried: 2, skipped: 3 })).await.unwrap();
    desk.page.until("document.querySelector('.fold')").await.unwrap();
    desk.page.call("Accessibility.enable", json!({})).await.unwrap();
    let tree = desk.page.call("Accessibility.getFullAXTree", json!({})).await.unwrap();
    let nodes: Vec<_> = tree["nodes"].as_array().unwrap().iter().filter(|it| it["ignored"] != true).collect();
    let role = |role: &str| -> Vec<String> {
        let of_role = nodes.iter().filter(|it| it["role"]["value"] == role);
        of_role.map(|it| it["name"]["value"].as_str().unwrap_or_default().to_owned()).collect()
    };
    for kind in [
        "button",
        "link",
        "tab",
        "checkbox",
        "searchbox",
        "textbox",
        "image",
        "region",
        "tabpanel",
        "tablist",
        "search",
        "navigation",
    ] {
        let unnamed = role(kind).iter().filter(|it| it.trim().is_empty()).count();
        // A picture is part of the link that names it.
        assert!(unnamed == 0 || kind == "image", "{unnamed} of {kind} have no name");
    }
    assert_eq!(role("tab"), ["Log", "Tests"]);
    assert_eq!(role("heading")[0], "debian-13/expensive@octo/fleet#0123456789ab");
    assert!(role("heading").iter().any(|it| it == "Failed (2)"), "{:?}", role("heading"));
    assert!(role("button").iter().any(|it| it.starts_with("✘ failed")), "{:?}", role("button"));
    assert!(role("region").iter().any(|it| it.starts_with("Log of test/verify")), "{:?}", role("region"));
    let said = desk.texts("[role=status]").await.unwrap();
    assert_eq!(
        said,
        [
            "Ended. Failure: Container exited with code 1. 300 tests, 295 passed, 2 failed, 3 skipped, 6 retries"
        ]
    );
    desk.page.press("t").await.unwrap();
    desk.page.until("document.activeElement.id === 'tab-log'").await.unwrap();
    desk.page.press("ArrowRight").await.unwrap();
    desk.page
        .until("document.activeElement.id === 'tab-tests' && document.activeElement.ariaSelected === 'true'")
        .await
        .unwrap();
    desk.close();
}

/// The checks of axe-core on a page with everything open, in both schemes.
#[tokio::test]
async fn axe_finds_nothing() {
    let Some(axe) = settings::get(settings::AXE) else {
        eprintln!("skipped: {} is not set; tests/browser/axe.sh tells it", settings::AXE);
        return;
    };
    let axe = std::fs::read_to_string(axe).unwrap();
    let desk = Desk::with(Ranges::Known).await.unwrap();
    desk.page.call("Page.setBypassCSP", json!({"enabled": true})).await.unwrap(); // axe writes scripts into pages
    let log = format!(
        "\x1b[31mred\x1b[32mgreen\x1b[33myellow\x1b[34mblue\x1b[35mmagenta\x1b[36mcyan\x1b[37mwhite\x1b[90mgrey\x1b[0m\n{}",
        sample::tests(Mix { tests: 300, failed: 2, retried: 2, skipped: 3 })
    );
    desk.site.end(log);
    for (hash, view) in [("", "tests"), ("#L1-L3", "log")] {
        for scheme in [Scheme::Light, Scheme::Dark] {
            desk.page.prefer(scheme).await.unwrap();
            desk.page.visit("about:blank").await.unwrap();
            desk.open(hash).await.unwrap();
            desk.has_ended().await.unwrap();
            desk.page.until(&format!("tabs.now === '{view}'")).await.unwrap();
            desk.value(&axe).await.unwrap();
            let found = "axe.run().then(it => it.violations.flatMap(rule => rule.nodes.map(node => `${rule.id}: ${node.html.slice(0, 200)}: ${node.failureSummary}`)))";
            assert_eq!(desk.value(found).await.unwrap(), json!([]), "{view}, {scheme:?}");
        }
    }
}

#[tokio::test]
async fn it_is_light_and_dark_as_the_system_is_or_as_the_reader_says() {
    let desk = Desk::ended("hello\n").await.unwrap();
    let back = "getComputedStyle(document.body).backgroundColor";
    for (scheme, expected) in [(Scheme::Dark, "rgb(16, 20, 24)"), (Scheme::Light, "rgb(255, 255, 255)")] {
        desk.page.prefer(scheme).await.unwrap();
        assert_eq!(desk.page.text(back).await.unwrap(), expected, "{scheme:?}");
    }
    for _ in 0..2 {
        desk.page.click("#theme", 0).await.unwrap();
    }
    assert_eq!(desk.texts("#theme").await.unwrap(), ["Theme: dark"]);
    desk.open("#again").await.unwrap();
    desk.page.reload().await.unwrap();
    desk.page.until("document.querySelector('#theme')?.textContent === 'Theme: dark'").await.unwrap();
    assert_eq!(desk.page.text(back).await.unwrap(), "rgb(16, 20, 24)", "it is kept");
    desk.close();
}
