//! What was asked of a bucket.

use std::fmt;
use std::time::Duration;

use anyhow::{Result, bail};
use hyper::Request;
use percent_encoding::percent_decode_str;

use super::{BUCKET, S3Server};
use crate::fleet::DEADLINE;

/// A request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// The method.
    pub method: String,
    /// The object's name in the bucket; empty for the bucket itself.
    pub key: String,
    /// The query without what belongs to the signature.
    pub query: String,
    /// Names in lower case, and values; without what says nothing about the object.
    pub headers: Vec<(String, String)>,
    /// What was answered; none where that was nothing, or is still to come.
    pub status: Option<u16>,
    /// Whether there was a signature.
    pub signed: bool,
}

const SHOWN: [&str; 6] =
    ["content-type", "content-encoding", "content-length", "transfer-encoding", "x-amz-acl", "user-agent"];

impl Recorded {
    pub(super) fn new<B>(request: &Request<B>) -> Self {
        let header = |name: &str| request.headers().get(name).and_then(|it| it.to_str().ok());
        let host = header("host").unwrap_or_default();
        let path = percent_decode_str(request.uri().path()).decode_utf8_lossy();
        let path = path.trim_start_matches('/');
        let key = if host.starts_with(&format!("{BUCKET}.")) {
            path
        } else {
            path.strip_prefix(BUCKET).unwrap_or(path).trim_start_matches('/')
        };
        let (signature, query): (Vec<_>, Vec<_>) =
            request.uri().query().unwrap_or_default().split('&').partition(|it| it.starts_with("X-Amz-"));
        let shown = SHOWN.iter().filter_map(|&name| Some((name.to_owned(), header(name)?.to_owned())));
        Self {
            method: request.method().to_string(),
            key: key.to_owned(),
            query: query.join("&"),
            headers: shown.collect(),
            status: None,
            signed: !signature.is_empty() || header("authorization").is_some(),
        }
    }

    /// A header of it.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(it, _)| it == name).map(|(_, value)| value.as_str())
    }

    /// What it is as a step: its method and the object, where a chunk is like any other.
    pub(super) fn step(&self) -> String {
        let name = self.key.rsplit('/').next().unwrap_or_default();
        let is_chunk =
            name.strip_prefix("log.").is_some_and(|it| it.starts_with(|c: char| c.is_ascii_digit()));
        let name = match name {
            "" => "(list)",
            _ if is_chunk => "(chunk)",
            name => name,
        };
        format!("bucket {} {name}", self.method)
    }

    /// Whether it writes the object (not one of its parts).
    pub fn puts(&self, key: &str) -> bool {
        self.method == "PUT" && self.key == key && self.query.is_empty()
    }
}

impl fmt::Display for Recorded {
    /// `PUT a/b?query 200`, for comparing.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { method, key, query, status, .. } = self;
        let mark = if query.is_empty() { "" } else { "?" };
        write!(f, "{method} {key}{mark}{query} ")?;
        match status {
            Some(status) => write!(f, "{status}"),
            None => f.write_str("-"),
        }
    }
}

impl S3Server {
    /// All requests so far with a signature: those of our programs.
    pub fn requests(&self) -> Vec<Recorded> {
        self.shared.state().requests.iter().filter(|it| it.signed).cloned().collect()
    }

    /// The same, each in a line.
    pub fn story(&self) -> Vec<String> {
        self.requests().iter().map(ToString::to_string).collect()
    }

    /// The last request that wrote the object, or began to write its parts.
    pub fn upload(&self, key: &str) -> Option<Recorded> {
        let requests = self.requests();
        let of_key = |it: &&Recorded| it.puts(key) || (it.key == key && it.query.starts_with("uploads"));
        requests.iter().rev().find(of_key).cloned()
    }

    /// Waits until the requests so far are what was meant.
    pub async fn wait_for(&self, what: &str, meant: impl Fn(&[Recorded]) -> bool) -> Result<()> {
        let mut changes = self.shared.changes.subscribe();
        let met = async {
            while !meant(&self.requests()) {
                if changes.changed().await.is_err() {
                    break;
                }
            }
        };
        if tokio::time::timeout(DEADLINE, met).await.is_err() {
            bail!("the bucket has waited in vain for {what}; it was asked for:\n{}", self.story().join("\n"));
        }
        Ok(())
    }

    /// Waits until no request has come for so long.
    pub async fn wait_for_silence(&self, silence: Duration) {
        let mut changes = self.shared.changes.subscribe();
        while tokio::time::timeout(silence, changes.changed()).await.is_ok() {}
    }
}
