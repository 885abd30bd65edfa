//! Where the objects of logs are kept.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::AsyncRead;

use super::chunks::Span;
use super::error::LogError;
use super::local::LocalStore;
use super::name::{Folder, ObjectName};
use super::s3::S3Store;
use super::spool::Section;

/// A place for objects. Putting one replaces it as a whole: a reader finds the old or the new one, never a
/// part.
#[derive(Clone, Debug)]
pub enum Store {
    /// A directory of this machine.
    Local(LocalStore),
    /// A bucket.
    S3(S3Store),
}

impl Store {
    /// Where people find the object.
    #[must_use]
    pub fn url(&self, name: &ObjectName) -> String {
        match self {
            Self::Local(local) => local.url(name),
            Self::S3(bucket) => bucket.url(name),
        }
    }

    /// For how long what is under way at the end of a log is waited for, before it is dropped; none: until it is done, as
    /// dropping it would not stop it.
    pub(super) const fn patience(&self) -> Option<Duration> {
        match self {
            Self::Local(_) => None,
            Self::S3(_) => Some(Duration::from_secs(2)),
        }
    }

    /// Puts a small object.
    pub(super) async fn put(&self, name: &ObjectName, content: Bytes) -> Result<(), LogError> {
        match self {
            Self::Local(local) => local.put(name, content).await,
            Self::S3(bucket) => bucket.put(name, content).await,
        }
    }

    /// Puts a part of a spool, of any size, in bounded memory.
    pub(super) async fn put_section(&self, name: &ObjectName, content: Section) -> Result<(), LogError> {
        match self {
            Self::Local(local) => local.put_section(name, content).await,
            Self::S3(bucket) => bucket.put_section(name, content).await,
        }
    }

    /// Puts what `content` has to its end, in bounded memory, and returns how many bytes that is.
    pub(super) async fn put_stream(
        &self,
        name: &ObjectName,
        content: impl AsyncRead + Unpin,
    ) -> Result<u64, LogError> {
        match self {
            Self::Local(local) => local.put_stream(name, content).await,
            Self::S3(bucket) => bucket.put_stream(name, content).await,
        }
    }

    /// The bytes of an object that are in the span, fewer where it ends before; none where there is no such object, or where we may
    /// not read it. The span is small.
    pub(super) async fn get(&self, name: &ObjectName, span: Span) -> Result<Option<Bytes>, LogError> {
        match self {
            Self::Local(local) => local.get(name, span).await,
            Self::S3(bucket) => bucket.get(name, span).await,
        }
    }

    /// The chunks in a log's folder and their sizes in bytes; none where we may not list them.
    pub(super) async fn chunks(&self, folder: &Folder) -> Result<Option<BTreeMap<Span, u64>>, LogError> {
        match self {
            Self::Local(local) => local.chunks(folder).await.map(Some),
            Self::S3(bucket) => bucket.chunks(folder).await,
        }
    }

    /// Deletes an object; it's fine if there is none.
    pub(super) async fn delete(&self, name: &ObjectName) -> Result<(), LogError> {
        match self {
            Self::Local(local) => local.delete(name).await,
            Self::S3(bucket) => bucket.delete(name).await,
        }
    }

    /// Deletes what a former attempt left in a log's folder, but for the page and the list of chunks, which
    /// are about to be replaced. Logs in folders below are left alone, and so is everything in a folder that
    /// holds no log.
    pub(super) async fn clear(&self, folder: &Folder) -> Result<(), LogError> {
        match self {
            Self::Local(local) => local.clear(folder).await,
            Self::S3(bucket) => bucket.clear(folder).await,
        }
    }

    /// Returns when these objects, and what was put or deleted beside them, outlast a power cut.
    pub(super) async fn sync(&self, names: Vec<ObjectName>) -> Result<(), LogError> {
        match self {
            Self::Local(local) => local.sync(names).await,
            // A bucket says yes when it is durable.
            Self::S3(_) => Ok(()),
        }
    }
}
