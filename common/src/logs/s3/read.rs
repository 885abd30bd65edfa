//! What is in a log's folder.

use std::collections::BTreeMap;

use bytes::Bytes;
use reqwest::StatusCode;
use rusty_s3::S3Action;
use rusty_s3::actions::GetObject;

use super::super::chunks::Span;
use super::super::name::{Folder, ObjectName, Own};
use super::clear::is_forbidden;
use super::client::{Client, Content};
use super::problem::{Problem, S3Error};

impl Client {
    /// The bytes of an object that are in the span. The keys of existing deployments may be such that they may only write.
    pub(super) async fn get(&self, name: &ObjectName, span: Span) -> Result<Option<Bytes>, S3Error> {
        let key = self.place.key(name.as_str());
        let mut get = GetObject::new(&self.place.bucket, Some(self.key.credentials()), &key);
        get.headers_mut().insert("range", format!("bytes={}-{}", span.start, span.end.saturating_sub(1)));
        match self.send("get", name.as_str(), get, Content::Nothing).await {
            Ok(answer) if answer.status == StatusCode::PARTIAL_CONTENT => Ok(Some(answer.body)),
            // Somebody between us and the bucket does not know about ranges.
            Ok(answer) => Ok(within(&answer.body, span)),
            Err(error) if is_missing(&error) || is_forbidden(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The chunks in a folder; none if the key may not list.
    pub(super) async fn chunks(&self, folder: &Folder) -> Result<Option<BTreeMap<Span, u64>>, S3Error> {
        let listing = match self.list(&format!("{}/", folder.as_str())).await {
            Err(error) if is_forbidden(&error) => return Ok(None),
            listed => listed?,
        };
        let chunks = listing.objects.iter().filter_map(|(name, bytes)| match Own::parse(name) {
            Some(Own::Chunk(span)) => Some((span, *bytes)),
            _ => None,
        });
        Ok(Some(chunks.collect()))
    }
}

/// What a body that has been read, maybe not to its end, has of the span.
fn within(body: &Bytes, span: Span) -> Option<Bytes> {
    let (start, end) = (usize::try_from(span.start).ok()?, usize::try_from(span.end).ok()?);
    (start <= body.len()).then(|| body.slice(start..end.min(body.len())))
}

/// It is not there, or has no byte of the range.
fn is_missing(error: &S3Error) -> bool {
    let gone = [StatusCode::NOT_FOUND, StatusCode::RANGE_NOT_SATISFIABLE];
    matches!(&error.problem, Problem::Refused(it) if gone.contains(&it.status))
}
