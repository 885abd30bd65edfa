//! What is too large for one request.

use std::iter;
use std::sync::Arc;

use rusty_s3::actions::{
    AbortMultipartUpload, CompleteMultipartUpload, CompleteMultipartUploadResponse, CreateMultipartUpload,
    HeadObject, UploadPart,
};
use tokio::runtime::Handle;

use super::super::chunks::Span;
use super::super::name::ObjectName;
use super::super::spool::Section;
use super::client::{Client, Content};
use super::problem::{Problem, S3Error};
use crate::Chain;

/// S3 takes no more.
const MOST_PARTS: u64 = 10_000;

/// The parts of so many bytes: of `part` bytes each, or larger where that would be too many.
fn parts(bytes: u64, part: u64) -> impl Iterator<Item = Span> {
    let part = part.max(bytes.div_ceil(MOST_PARTS)).max(1);
    let mut start = 0;
    iter::from_fn(move || {
        let span = Span { start, end: bytes.min(start + part) };
        start = span.end;
        (!span.is_empty()).then_some(span)
    })
}

impl Client {
    /// Puts an object part by part; nobody sees it before it is whole. One that fails, or is dropped, is forgotten by the
    /// bucket.
    pub(super) async fn put_parts(
        self: &Arc<Self>,
        name: &ObjectName,
        content: &Section,
    ) -> Result<(), S3Error> {
        let key = self.place.key(name.as_str());
        let id = self.begin(name, &key).await?;
        let upload = Upload { client: Arc::clone(self), name: name.clone(), id: Some(id.clone()) };
        self.send_parts(name, &key, &id, content).await?;
        upload.done();
        Ok(())
    }

    async fn begin(&self, name: &ObjectName, key: &str) -> Result<String, S3Error> {
        const DOING: &str = "begin the upload of";
        let credentials = Some(self.key.credentials());
        let mut create = CreateMultipartUpload::new(&self.place.bucket, credentials, key);
        self.describe(&mut create, name.as_str());
        let answer = self.send(DOING, name.as_str(), create, Content::Nothing).await?;
        let created = CreateMultipartUpload::parse_response(&answer.text());
        let created = created.map_err(|it| self.unreadable(DOING, name.as_str(), &it))?;
        Ok(created.upload_id().to_owned())
    }

    async fn send_parts(
        &self,
        name: &ObjectName,
        key: &str,
        id: &str,
        content: &Section,
    ) -> Result<(), S3Error> {
        const DOING: &str = "upload a part of";
        let mut etags = Vec::new();
        for (number, span) in (1..).zip(parts(content.bytes(), self.limits.part)) {
            let credentials = Some(self.key.credentials());
            let part = UploadPart::new(&self.place.bucket, credentials, key, number, id);
            let answer = self.send(DOING, name.as_str(), part, Content::Section(content.part(span))).await?;
            let etag = answer.etag().ok_or_else(|| self.unreadable(DOING, name.as_str(), &"no ETag"))?;
            etags.push(etag.to_owned());
        }
        self.complete(name, key, id, &etags, content.bytes()).await
    }

    async fn complete(
        &self,
        name: &ObjectName,
        key: &str,
        id: &str,
        etags: &[String],
        bytes: u64,
    ) -> Result<(), S3Error> {
        const DOING: &str = "complete the upload of";
        let etags = || etags.iter().map(String::as_str);
        let (bucket, credentials) = (&self.place.bucket, Some(self.key.credentials()));
        let body = CompleteMultipartUpload::new(bucket, credentials, key, id, etags()).body();
        let complete = CompleteMultipartUpload::new(bucket, credentials, key, id, etags());
        match self.send_for(DOING, name.as_str(), complete, Content::Bytes(body.into()), bytes).await {
            Ok(answer) => CompleteMultipartUploadResponse::parse(&answer.text())
                .map(drop)
                .map_err(|it| self.unreadable(DOING, name.as_str(), &it)),
            // An earlier try was taken, and its answer was lost.
            Err(error) if is_gone(&error) && self.length(name, key).await == Some(bytes) => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn length(&self, name: &ObjectName, key: &str) -> Option<u64> {
        let head = HeadObject::new(&self.place.bucket, Some(self.key.credentials()), key);
        self.send("look at", name.as_str(), head, Content::Nothing).await.ok()?.length()
    }
}

/// Parts that are in a bucket, and cost its owner money until they are put together or given up.
struct Upload {
    client: Arc<Client>,
    name: ObjectName,
    id: Option<String>,
}

impl Upload {
    fn done(mut self) {
        self.id = None;
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        let (Some(id), Ok(runtime)) = (self.id.take(), Handle::try_current()) else { return };
        let (client, name) = (Arc::clone(&self.client), self.name.clone());
        runtime.spawn(async move {
            let key = client.place.key(name.as_str());
            let abort =
                AbortMultipartUpload::new(&client.place.bucket, Some(client.key.credentials()), &key, &id);
            if let Err(error) =
                client.send("give up the upload of", name.as_str(), abort, Content::Nothing).await
            {
                tracing::warn!(error = %Chain(&error), "parts of an object are left over in the bucket");
            }
        });
    }
}

/// Whether it was refused only after a try of which nobody knows how it ended. (S3 says `NoSuchUpload`, others something else.)
fn is_gone(error: &S3Error) -> bool {
    error.tries > 1 && matches!(&error.problem, Problem::Refused(it) if it.status.is_client_error())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_contiguous_and_few() {
        for (bytes, part, count) in [(1, 5, 1), (5, 5, 1), (6, 5, 2), (100, 7, 15), (1_000_000, 7, 10_000)] {
            let parts: Vec<Span> = parts(bytes, part).collect();
            assert_eq!(parts.len(), count, "{bytes} by {part}");
            assert_eq!((parts[0].start, parts[count - 1].end), (0, bytes));
            assert!(parts.windows(2).all(|two| two[0].end == two[1].start));
        }
        assert_eq!(parts(0, 5).count(), 0);
    }
}
