//! Logs in a bucket of S3, or of something that speaks like it.
//!
//! `rusty_s3` signs (in the query of the URL, good for 15 minutes) and knows the few documents of XML; the requests are ours.
//! An object is where `logs.s3.url` and its name say.

mod clear;
mod client;
mod multipart;
mod place;
mod problem;
mod read;
mod settings;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use reqwest::Url;
use rusty_s3::actions::PutObject;
use tokio::io::{AsyncRead, AsyncReadExt};

use self::client::{Client, Content};
pub use self::place::{InvalidStyle, Style};
use self::place::{Place, below};
pub use self::problem::S3Error;
pub use self::settings::{Acl, InvalidAcl, InvalidKey, S3Key, S3Limits, S3Settings};
use super::chunks::Span;
use super::error::LogError;
use super::name::{Folder, ObjectName};
use super::spool::{Section, Spool};
use crate::Clock;
use crate::http::HttpError;

/// What a stream of unknown length may have in memory, in bytes; the rest goes through a file.
const IN_MEMORY: usize = 64 * 1024;

/// A bucket, or a folder of one.
#[derive(Clone, Debug)]
pub struct S3Store {
    client: Arc<Client>,
    links: Arc<Url>,
    scratch: Arc<Path>,
}

/// What is wrong with the settings of a bucket.
#[derive(Debug, thiserror::Error)]
pub enum S3SettingsError {
    /// The URL.
    #[error("{0}")]
    Url(&'static str),
    /// The authorities, or the user agent.
    #[error("the client for the bucket cannot be made")]
    Http(#[from] HttpError),
}

impl S3Store {
    /// Opens no socket.
    pub fn new(settings: &S3Settings, clock: Clock) -> Result<Self, S3SettingsError> {
        let place = Place::new(&settings.url, settings.style, settings.region.as_deref());
        let place = place.map_err(S3SettingsError::Url)?;
        Ok(Self {
            client: Arc::new(Client::new(settings, place, clock)?),
            links: Arc::new(settings.links.clone().unwrap_or_else(|| settings.url.clone())),
            scratch: settings.scratch.as_path().into(),
        })
    }

    pub(super) fn url(&self, name: &ObjectName) -> String {
        below(&self.links, name.as_str())
    }

    pub(super) async fn put(&self, name: &ObjectName, content: Bytes) -> Result<(), LogError> {
        self.put_at_once(name, Content::Bytes(content)).await
    }

    pub(super) async fn put_section(&self, name: &ObjectName, content: Section) -> Result<(), LogError> {
        if content.bytes() > self.client.limits.multipart_from {
            return Ok(self.client.put_parts(name, &content).await?);
        }
        self.put_at_once(name, Content::Section(content)).await
    }

    /// A bucket wants to know the length first, and a second try needs the beginning again: so what is more than a little
    /// goes through a file.
    pub(super) async fn put_stream(
        &self,
        name: &ObjectName,
        mut content: impl AsyncRead + Unpin,
    ) -> Result<u64, LogError> {
        let mut spool: Option<Spool> = None;
        loop {
            let mut piece = BytesMut::with_capacity(IN_MEMORY);
            while piece.len() < IN_MEMORY
                && content.read_buf(&mut piece).await.map_err(LogError::read(name.as_str()))? > 0
            {
            }
            let is_last = piece.len() < IN_MEMORY;
            if is_last && spool.is_none() {
                let bytes = piece.len() as u64;
                self.put(name, piece.freeze()).await?;
                return Ok(bytes);
            }
            let mut file = match spool.take() {
                Some(file) => file,
                None => Spool::create(&self.scratch).await?,
            };
            file.append(piece.into()).await?;
            if is_last {
                self.put_section(name, file.whole()).await?;
                return Ok(file.bytes());
            }
            spool = Some(file);
        }
    }

    pub(super) async fn get(&self, name: &ObjectName, span: Span) -> Result<Option<Bytes>, LogError> {
        Ok(self.client.get(name, span).await?)
    }

    pub(super) async fn chunks(&self, folder: &Folder) -> Result<Option<BTreeMap<Span, u64>>, LogError> {
        Ok(self.client.chunks(folder).await?)
    }

    pub(super) async fn delete(&self, name: &ObjectName) -> Result<(), LogError> {
        Ok(self.client.delete(name.as_str()).await?)
    }

    pub(super) async fn clear(&self, folder: &Folder) -> Result<(), LogError> {
        Ok(self.client.clear(folder).await?)
    }

    async fn put_at_once(&self, name: &ObjectName, content: Content) -> Result<(), LogError> {
        let client = &self.client;
        let key = client.place.key(name.as_str());
        let mut put = PutObject::new(&client.place.bucket, Some(client.key.credentials()), &key);
        client.describe(&mut put, name.as_str());
        client.send("put", name.as_str(), put, content).await?;
        Ok(())
    }
}
