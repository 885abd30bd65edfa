//! The pages of logs, in a real browser.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

use tests::browser::{Browser, Ranges, Site};

#[tokio::test]
async fn a_live_log_is_followed_to_its_end() {
    let browser = Browser::start().await.unwrap();
    let site = Site::start(Ranges::Known).await.unwrap();
    site.print("job o/r\nhello\n");
    let page = browser.tab(1000, 700).await.unwrap();
    page.visit(&site.url("log.html")).await.unwrap();
    page.until("document.querySelectorAll('.row').length === 2").await.unwrap();
    println!("{}", page.text("document.body.innerText").await.unwrap());
    site.end("bye\n");
    page.until("document.querySelector('#state').textContent === 'Ended'").await.unwrap();
    assert_eq!(page.complaints(), []);
}
