//! What is in a bucket.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use common::http::{Timeouts, Trust};
use reqwest::StatusCode;
use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE};

use super::S3Server;
use crate::fleet::DEADLINE;

/// An object as a browser gets it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// `Content-Type`.
    pub kind: String,
    /// `Content-Encoding`.
    pub encoding: Option<String>,
    /// The body as it is.
    pub bytes: Vec<u8>,
}

impl Object {
    /// The body, if it is text.
    pub fn text(&self) -> Result<&str> {
        Ok(std::str::from_utf8(&self.bytes)?)
    }
}

pub(super) fn client(ca: &str) -> Result<reqwest::Client> {
    let timeouts = Timeouts { request: Duration::from_mins(1), ..Timeouts::default() };
    Ok(common::http::client("a reader", Trust::SystemAnd(ca), timeouts)?)
}

impl S3Server {
    /// Where its objects are, as files.
    pub fn folder(&self) -> PathBuf {
        self.shared.bucket()
    }

    /// The names of all objects, sorted.
    pub fn keys(&self) -> Result<Vec<String>> {
        let root = self.shared.bucket();
        let mut keys = Vec::new();
        walk(&root, &mut |path| {
            let key = path.strip_prefix(&root).ok().and_then(Path::to_str);
            keys.extend(key.map(str::to_owned));
        })?;
        keys.sort();
        Ok(keys)
    }

    /// The names of the objects of one log, without its folder.
    pub fn keys_below(&self, folder: &str) -> Result<Vec<String>> {
        let prefix = format!("{folder}/");
        Ok(self.keys()?.iter().filter_map(|it| it.strip_prefix(&prefix)).map(str::to_owned).collect())
    }

    /// Puts an object there, by hand.
    pub fn write(&self, key: &str, content: &str) -> Result<()> {
        let path = self.shared.bucket().join(key);
        std::fs::create_dir_all(path.parent().context("an object has a folder")?)?;
        Ok(std::fs::write(path, content)?)
    }

    /// Whether the bucket keeps nothing of uploads that did not end.
    pub fn has_parts(&self) -> Result<bool> {
        let entries = std::fs::read_dir(self.shared.folder.path())?;
        let names: Vec<_> = entries.filter_map(|it| it.ok()?.file_name().into_string().ok()).collect();
        Ok(names.iter().any(|it| it.starts_with(".upload")))
    }

    /// What anybody gets who follows a link to this server; none for 404.
    pub async fn follow(&self, url: &str) -> Result<Option<Object>> {
        // Not every resolver knows names below `localhost`.
        let url = url.replacen(&self.virtual_host_url(), &self.url(), 1);
        let response = self.client.get(url).send().await?;
        if response.status() == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        let response = response.error_for_status()?;
        let header = |name| response.headers().get(name).and_then(|it| it.to_str().ok()).map(str::to_owned);
        let (kind, encoding) = (header(CONTENT_TYPE).unwrap_or_default(), header(CONTENT_ENCODING));
        Ok(Some(Object { kind, encoding, bytes: response.bytes().await?.to_vec() }))
    }

    /// The same for an object by its name.
    pub async fn get(&self, key: &str) -> Result<Option<Object>> {
        let mut url: reqwest::Url = self.url().parse()?;
        if let Ok(mut path) = url.path_segments_mut() {
            path.extend(key.split('/'));
        }
        self.follow(url.as_str()).await
    }

    /// What a reader of a running log sees, who follows its list of chunks as the page does; none if it has ended.
    pub async fn visible(&self, folder: &str) -> Result<Option<Vec<u8>>> {
        'list: loop {
            let Some(list) = self.get(&format!("{folder}/log.chunks")).await? else { return Ok(None) };
            let sizes: Vec<u64> = serde_json::from_slice(&list.bytes)?;
            let (mut text, mut start) = (Vec::new(), 0);
            for size in sizes {
                let end = start + size;
                // One that is gone is part of another: there is a newer list.
                let Some(chunk) = self.get(&format!("{folder}/log.{start}-{end}")).await? else {
                    continue 'list;
                };
                anyhow::ensure!(chunk.bytes.len() as u64 == size, "the chunk {start}-{end} has another size");
                text.extend(chunk.bytes);
                start = end;
            }
            return Ok(Some(text));
        }
    }

    /// Waits until a reader sees this in a running log.
    pub async fn wait_until_visible(&self, folder: &str, text: &str) -> Result<()> {
        let seen = async {
            loop {
                let visible = self.visible(folder).await?.context("the log has ended")?;
                if String::from_utf8_lossy(&visible).contains(text) {
                    return anyhow::Ok(());
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(DEADLINE, seen)
            .await
            .with_context(|| format!("{text:?} was never to be seen"))?
    }
}

fn walk(folder: &Path, see: &mut dyn FnMut(&Path)) -> Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            walk(&entry.path(), see)?;
        } else {
            see(&entry.path());
        }
    }
    Ok(())
}
