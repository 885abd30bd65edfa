//! Where logs go, and how.

use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;

use super::chunks::Chunks;
use super::echo::Echo;
use super::error::LogError;
use super::log::Log;
use super::name::{Folder, Own};
use super::page::PAGE;
use super::sender::Sender;
use super::spool::Spool;
use super::store::Store;
use super::writer::Writer;
use crate::id::Slug;

/// The time between two blocks of a job that prints. With the time that sending takes, every byte is visible within 2 s.
/// The old system waits 30 s, too long for a person who waits.
pub const DEFAULT_FLUSH_AFTER: Duration = Duration::from_millis(1500);

/// The settings of `logs`.
#[derive(Clone, Debug)]
pub struct Destination {
    /// Where the objects are kept.
    pub store: Store,
    /// A folder for one nameless file per running job, of the size of its log: on a disk, not in memory. It
    /// is made when it isn't there.
    pub spool: PathBuf,
    /// A block is sent this long after the one before, or at once (nearly) if that is longer ago already; a full one
    /// (1,000,000 bytes) after a second at the latest.
    pub flush_after: Duration,
}

impl Destination {
    /// Begins a log: what a former attempt left in the folder of `slug` is removed, and the page shows that
    /// this one runs. Its address may be told to people from now on.
    ///
    /// The list of chunks is there from the first moment on: without one, the page would take the log for
    /// ended.
    pub async fn open(&self, slug: &Slug) -> Result<Log, LogError> {
        self.open_with(slug, Echo::none()).await
    }

    /// The same for somebody who watches: all that the log gets, byte for byte, goes to `echo` too. A log waits for who reads
    /// there; one who goes away is not missed.
    pub async fn open_with(&self, slug: &Slug, echo: Echo) -> Result<Log, LogError> {
        let folder = Folder::from(slug);
        let spool = Spool::create(&self.spool).await?;
        let empty = Bytes::from(Chunks::default().list());
        self.store.put(&folder.own(Own::List), empty).await?;
        self.store.clear(&folder).await?;
        self.store.put(&folder.own(Own::Page), Bytes::from_static(PAGE.as_bytes())).await?;
        let (writer, growth) = Writer::new(spool, echo);
        let sender = Sender::new(self.store.clone(), folder.clone(), growth, self.flush_after);
        Ok(Log::start(self.store.clone(), folder, writer, sender))
    }
}
