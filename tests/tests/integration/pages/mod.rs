//! The pages of logs, in a real browser.

mod access;
mod follow;
mod index;
mod look;
mod results;

use anyhow::Result;
use serde_json::{Value, json};
use tests::browser::{Browser, Page, Ranges, Site};

/// A reader at a desk: a browser with `log.html` open, and the server that it comes from.
struct Desk {
    site: Site,
    page: Page,
    browser: Browser,
}

impl Desk {
    /// Opens the page of a log that has this text so far.
    async fn live(text: impl AsRef<[u8]>) -> Result<Self> {
        let desk = Self::with(Ranges::Known).await?;
        desk.site.print(text);
        desk.open("").await?;
        desk.has_arrived().await?;
        Ok(desk)
    }

    /// Opens the page of a log that has ended.
    async fn ended(text: impl AsRef<[u8]>) -> Result<Self> {
        let desk = Self::with(Ranges::Known).await?;
        desk.site.end(text);
        desk.open("").await?;
        desk.has_ended().await?;
        Ok(desk)
    }

    /// Nothing is open yet.
    async fn with(ranges: Ranges) -> Result<Self> {
        let browser = Browser::start().await?;
        let (site, page) = (Site::start(ranges).await?, browser.tab(1000, 700).await?);
        Ok(Self { site, page, browser })
    }

    async fn open(&self, hash: &str) -> Result<()> {
        self.page.visit(&self.site.url(&format!("log.html{hash}"))).await
    }

    async fn has_arrived(&self) -> Result<()> {
        self.page.until("document.querySelectorAll('#panel-log .row').length > 0").await
    }

    async fn has_ended(&self) -> Result<()> {
        self.page.until("document.querySelector('#state').textContent.startsWith('Ended')").await?;
        self.drawn().await
    }

    /// Waits until what has changed is drawn.
    async fn drawn(&self) -> Result<()> {
        let frames =
            "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done))))";
        self.page.value(frames).await.map(drop)
    }

    /// The texts of the elements that a CSS selector finds.
    async fn texts(&self, selector: &str) -> Result<Vec<String>> {
        let expression =
            format!("[...document.querySelectorAll({})].map(it => it.textContent)", json!(selector));
        Ok(serde_json::from_value(self.page.value(&expression).await?)?)
    }

    /// The lines in view, without their numbers.
    async fn lines(&self) -> Result<Vec<String>> {
        self.drawn().await?;
        self.texts("#panel-log .row .text").await
    }

    /// The number of the first line that can be seen as a whole.
    async fn first_line(&self) -> Result<u64> {
        self.drawn().await?;
        Ok(self.page.value("view.firstSeen + 1").await?.as_u64().unwrap_or_default())
    }

    /// All bytes that the page has taken in, as text.
    async fn content(&self) -> Result<String> {
        self.page.text("new TextDecoder().decode(log.content.bytes(0, log.content.length))").await
    }

    async fn value(&self, expression: &str) -> Result<Value> {
        self.page.value(expression).await
    }

    /// How many bytes of the log the server has sent, in answers that were whole.
    fn bytes_sent(&self) -> usize {
        let of_log = |name: &str| {
            name == "log" || name.strip_prefix("log.").is_some_and(|it| it.starts_with(char::is_numeric))
        };
        self.site.requests().iter().filter(|it| of_log(&it.name)).map(|it| it.bytes).sum()
    }

    /// The page has run without an error, and nothing was tried that its policy forbids.
    fn close(self) {
        assert_eq!(self.page.complaints(), []);
    }
}

/// Lines `line 1` to `line N`.
fn numbered(lines: usize) -> String {
    use std::fmt::Write;
    (1..=lines).fold(String::new(), |mut text, n| {
        let _ = writeln!(text, "line {n}");
        text
    })
}
