//! `ETag` and `Last-Modified`, and the answer that says that nothing has changed.

use std::collections::HashMap;

use aws_lc_rs::digest::{SHA256, digest};
use jiff::Timestamp;
use jiff::fmt::rfc2822;

use super::fault::Reply;
use super::server::Call;

/// What the answers of a forge can be compared with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Validators {
    /// `ETag` and `Last-Modified`.
    #[default]
    Both,
    /// `Last-Modified` alone.
    LastModified,
    /// Nothing.
    None,
}

/// What each address said last, and since when.
#[derive(Debug, Default)]
pub(super) struct Versions {
    pub(super) offered: Validators,
    seen: HashMap<String, Version>,
}

#[derive(Clone, Debug)]
struct Version {
    tag: String,
    /// In seconds since 1970.
    since: i64,
}

impl Versions {
    /// Adds the validators to an answer to GET, or makes it 304 where the caller has it already.
    pub(super) fn validate(&mut self, call: &Call, reply: Reply, now: Timestamp) -> Reply {
        if call.method != "GET" || reply.status != 200 || self.offered == Validators::None {
            return reply;
        }
        let Version { tag, since } = self.version(call, &reply, now);
        let modified = rfc2822::DateTimePrinter::new();
        let modified =
            Timestamp::from_second(since).ok().and_then(|it| modified.timestamp_to_rfc9110_string(&it).ok());
        let modified = modified.unwrap_or_default();
        let tags = self.offered == Validators::Both;
        let unchanged = match (call.header("if-none-match"), call.header("if-modified-since")) {
            (Some(asked), _) => tags && asked.split(',').any(|it| it.trim() == tag),
            (None, Some(asked)) => asked == modified,
            (None, None) => false,
        };
        let reply = if unchanged {
            Reply { status: 304, headers: kept(reply.headers), body: Vec::new() }
        } else {
            reply
        };
        let reply = if tags { reply.with_header("etag", &tag) } else { reply };
        reply
            .with_header("last-modified", &modified)
            .with_header("cache-control", "private, max-age=60, s-maxage=60")
    }

    /// Two versions never share a second, however fast they follow each other.
    fn version(&mut self, call: &Call, reply: &Reply, now: Timestamp) -> Version {
        let key = format!("{} {}", call.header("accept").unwrap_or_default(), call.path);
        let tag = format!("W/\"{}\"", hex::encode(digest(&SHA256, &reply.body)));
        let since = match self.seen.get(&key) {
            Some(version) if version.tag == tag => version.since,
            Some(version) => now.as_second().max(version.since + 1),
            None => now.as_second(),
        };
        let version = Version { tag, since };
        self.seen.insert(key, version.clone());
        version
    }
}

/// An answer without a body has no headers about it.
fn kept(headers: Vec<(String, String)>) -> Vec<(String, String)> {
    headers.into_iter().filter(|(name, _)| name != "content-type" && name != "link").collect()
}
