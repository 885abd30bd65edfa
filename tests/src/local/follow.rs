//! A job's log while it grows, read as a browser reads it: chunk by chunk, then the rest from the whole.

use anyhow::{Context, Result, ensure};
use common::http::{Timeouts, Trust, client};
use reqwest::{Client, StatusCode};

/// A log, and how much of it was read.
pub(super) struct Follow {
    client: Client,
    /// Of the raw log; chunks are named after it.
    url: String,
    read: usize,
    /// A line whose end is not there yet.
    rest: Vec<u8>,
    ended: bool,
}

impl Follow {
    /// The log whose page is at `url`.
    pub(super) fn new(url: &str) -> Result<Self> {
        let client = client("run-local", Trust::Nobody, Timeouts::default())?;
        let url = url.strip_suffix(".html").with_context(|| format!("{url} is no log's page"))?.to_owned();
        Ok(Self { client, url, read: 0, rest: Vec::new(), ended: false })
    }

    /// Whether this is that log.
    pub(super) fn is_at(&self, page: &str) -> bool {
        page.strip_suffix(".html") == Some(&self.url)
    }

    /// Whether all of it was given.
    pub(super) fn has_ended(&self) -> bool {
        self.ended
    }

    /// The lines that are new.
    pub(super) async fn lines(&mut self) -> Result<Vec<String>> {
        match self.get(".chunks").await? {
            Some(list) => self.chunks(&serde_json::from_slice::<Vec<usize>>(&list)?).await?,
            None => self.whole().await?,
        }
        let complete = self.rest.iter().rposition(|it| *it == b'\n').map_or(0, |at| at + 1);
        let mut lines: Vec<u8> = self.rest.drain(..complete).collect();
        if self.ended {
            lines.append(&mut self.rest);
        }
        Ok(String::from_utf8_lossy(&lines).lines().map(super::screen::plain).collect())
    }

    async fn chunks(&mut self, sizes: &[usize]) -> Result<()> {
        let mut start = 0;
        for size in sizes {
            let end = start + size;
            if end > self.read {
                // One that is gone is part of a larger one by now: the next look finds it.
                let Some(chunk) = self.get(&format!(".{start}-{end}")).await? else { return Ok(()) };
                self.take(&chunk, start);
            }
            start = end;
        }
        Ok(())
    }

    async fn whole(&mut self) -> Result<()> {
        if let Some(log) = self.get("").await? {
            self.take(&log, 0);
            self.ended = true;
        }
        Ok(())
    }

    /// Takes what is new of bytes that begin at `start`.
    fn take(&mut self, bytes: &[u8], start: usize) {
        if let Some(new) = bytes.get(self.read.saturating_sub(start)..) {
            self.rest.extend_from_slice(new);
            self.read = self.read.max(start + bytes.len());
        }
    }

    async fn get(&self, suffix: &str) -> Result<Option<Vec<u8>>> {
        let url = format!("{}{suffix}", self.url);
        let answer = self.client.get(&url).send().await.with_context(|| url.clone())?;
        if answer.status() == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        ensure!(answer.status().is_success(), "{url}: {}", answer.status());
        Ok(Some(answer.bytes().await?.to_vec()))
    }
}
