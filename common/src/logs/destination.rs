//! Where logs go, and how.

use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;

use super::chunks::Chunks;
use super::echo::Echo;
use super::error::LogError;
use super::found::Found;
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

/// The settings of `logs.attachments`: what is kept of what a job leaves; what is over is listed as left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttachmentLimits {
    /// How many files.
    pub files: usize,
    /// How many bytes, all together.
    pub bytes: u64,
    /// How many bytes each.
    pub largest: u64,
}

impl Default for AttachmentLimits {
    /// Jobs leave a few hundred files of a few hundred megabytes. A disk has to hold those of all running jobs.
    fn default() -> Self {
        Self { files: 2000, bytes: 2_000_000_000, largest: 1_000_000_000 }
    }
}

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
    /// What is kept of what jobs leave; held by who collects it.
    pub attachments: AttachmentLimits,
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
        self.start(folder, spool, Found::default(), echo).await
    }

    /// Continues a log that a process has left when it died, or begins one where there is nothing to continue: no list of
    /// chunks (the log has ended, or was never begun), or one that does not fit what is there.
    ///
    /// What is written must be the log from its first byte: what the former process has written itself, the masks, then the output of
    /// the job, all as it was then. What was sent is not sent again; who reads sees nothing of all this. Where the end of
    /// what was sent is not what is written now, the log is sent from its beginning.
    pub async fn resume(&self, slug: &Slug) -> Result<Log, LogError> {
        let folder = Folder::from(slug);
        match Found::look(&self.store, &folder).await? {
            Some(found) => {
                let spool = Spool::create(&self.spool).await?;
                self.start(folder, spool, found, Echo::none()).await
            }
            None => self.open(slug).await,
        }
    }

    async fn start(&self, folder: Folder, spool: Spool, found: Found, echo: Echo) -> Result<Log, LogError> {
        self.store.put(&folder.own(Own::Page), Bytes::from_static(PAGE.as_bytes())).await?;
        let (writer, growth) = Writer::new(spool, echo);
        let sender = Sender::new(self.store.clone(), folder.clone(), growth, self.flush_after, found);
        Ok(Log::start(self.store.clone(), folder, writer, sender))
    }
}
