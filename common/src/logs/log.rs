//! One log, while its job runs.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt, TryStreamExt, stream};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::chunks::Span;
use super::error::LogError;
use super::index::{LeftOut, index};
use super::mask::Masks;
use super::name::{AttachmentName, Folder, Own};
use super::sender::Sender;
use super::spool::{Section, Spool};
use super::store::Store;
use super::writer::{Message, QUEUED, Writer};
use crate::Chain;

/// What is handed to the writer at a time. With [`QUEUED`] of them, as many in its hands, and a piece under way, a log
/// takes less than 3 MB of memory.
const PIECE_BYTES: usize = 64 * 1024;

/// How many attachments are sent at a time: most are small, and a request takes its time whatever its size.
const AT_ONCE: usize = 8;

/// The log of a job that runs. Dropped without [`Log::finish`], it stays as it is: all that was written can
/// be read, and the page goes on waiting for more, until a next attempt opens the same slug.
#[derive(Debug)]
pub struct Log {
    store: Store,
    folder: Folder,
    inbox: mpsc::Sender<Message>,
    /// None when the result of the writer was already handed out.
    writer: Option<JoinHandle<Result<Spool, LogError>>>,
    sender: JoinHandle<BTreeSet<Span>>,
    /// Sizes in bytes. The caller limits how many there are.
    attachments: BTreeMap<AttachmentName, u64>,
    left_out: LeftOut,
}

impl Log {
    pub(super) fn start(store: Store, folder: Folder, writer: Writer, sender: Sender) -> Self {
        let (inbox, messages) = mpsc::channel(QUEUED);
        let writer = Some(tokio::spawn(writer.run(messages)));
        let sender = tokio::spawn(sender.run());
        Self {
            store,
            folder,
            inbox,
            writer,
            sender,
            attachments: BTreeMap::new(),
            left_out: LeftOut::default(),
        }
    }

    /// The page that people open.
    #[must_use]
    pub fn url(&self) -> String {
        self.store.url(&self.folder.own(Own::Page))
    }

    /// Has these secrets masked in all that is written from now on, and no others. What may be the beginning of one is not seen
    /// before more is written or the log ends. Attachments are never masked.
    pub async fn mask(&mut self, masks: Masks) -> Result<(), LogError> {
        self.tell(Message::Mask(masks)).await
    }

    /// Adds to the log. Waits while the disk is slower than the job, but never for the destination.
    pub async fn write(&mut self, text: impl AsRef<[u8]>) -> Result<(), LogError> {
        for piece in text.as_ref().chunks(PIECE_BYTES) {
            self.tell(Message::Text(Bytes::copy_from_slice(piece))).await?;
        }
        Ok(())
    }

    /// Adds all that `output` has, to its end. Dropping the future loses nothing: what was read from `output`
    /// is in the log.
    pub async fn copy_from(&mut self, mut output: impl AsyncRead + Unpin) -> Result<(), LogError> {
        loop {
            let Ok(place) = self.inbox.reserve().await else { return Err(self.failure().await) };
            let mut piece = BytesMut::with_capacity(PIECE_BYTES);
            if output.read_buf(&mut piece).await.map_err(LogError::read("the output of the job"))? == 0 {
                return Ok(());
            }
            place.send(Message::Text(piece.freeze()));
        }
    }

    /// Puts a file beside the log, in the place of a former one of that name, and returns its size in bytes.
    /// One that fails midway is not there at all, and the log can go on without it.
    pub async fn attach(
        &mut self,
        name: &AttachmentName,
        content: impl AsyncRead + Unpin,
    ) -> Result<u64, LogError> {
        let bytes = self.store.put_stream(&self.folder.attachment(name), content).await?;
        self.attachments.insert(name.clone(), bytes);
        Ok(bytes)
    }

    /// Puts files beside the log as [`Log::attach`] does, some at a time. The first that fails ends it; those before it are there.
    pub async fn attach_files(
        &mut self,
        files: impl IntoIterator<Item = (AttachmentName, PathBuf)>,
    ) -> Result<(), LogError> {
        let (store, folder) = (&self.store, &self.folder);
        let puts = files.into_iter().map(async |(name, path)| {
            let content = Section::of_file(&path).await?;
            let bytes = content.bytes();
            store.put_section(&folder.attachment(&name), content).await?;
            Ok::<_, LogError>((name, bytes))
        });
        let mut puts = std::pin::pin!(stream::iter(puts).buffer_unordered(AT_ONCE));
        while let Some((name, bytes)) = puts.try_next().await? {
            self.attachments.insert(name, bytes);
        }
        Ok(())
    }

    /// Has the index say which files of the job are not beside the log, and why.
    pub fn leave_out(&mut self, files: LeftOut) {
        self.left_out = files;
    }

    /// Leaves it as it is for another process, which goes on with it ([`super::Destination::resume`]): what was held back, such as what may be
    /// the beginning of a secret, is not sent.
    pub fn leave(self) {
        if let Some(writer) = self.writer {
            writer.abort();
        }
        self.sender.abort();
    }

    /// Ends the log. When this returns, the whole log, its index and the attachments are durable. Readers are
    /// told last: should this stop midway, they still have the chunks.
    pub async fn finish(mut self) -> Result<(), LogError> {
        self.tell(Message::End).await?;
        let spool = self.result().await?;
        let chunks = (&mut self.sender).await.map_err(|_| LogError::GivenUp)?;
        self.store.put_section(&self.folder.own(Own::Whole), spool.whole()).await?;
        let page = index(&self.folder, spool.bytes(), &self.attachments, &self.left_out);
        self.store.put(&self.folder.own(Own::Index), Bytes::from(page)).await?;
        self.sync_all().await?;
        if let Err(error) = self.remove(chunks).await {
            // The log is whole and safe, which is what counts; its page goes on waiting for more.
            tracing::warn!(error = %Chain(&error), log = self.url(), "what a log was sent in while it grew is left over");
        }
        Ok(())
    }

    /// Without a list of chunks, readers know that it is over.
    async fn remove(&self, chunks: BTreeSet<Span>) -> Result<(), LogError> {
        for span in chunks {
            self.store.delete(&self.folder.own(Own::Chunk(span))).await?;
        }
        self.store.delete(&self.folder.own(Own::List)).await?;
        self.store.sync(vec![self.folder.own(Own::Whole)]).await
    }

    async fn sync_all(&self) -> Result<(), LogError> {
        let own = [Own::Page, Own::Whole, Own::Index].map(|it| self.folder.own(it));
        let attached = self.attachments.keys().map(|it| self.folder.attachment(it));
        self.store.sync(own.into_iter().chain(attached).collect()).await
    }

    async fn tell(&mut self, message: Message) -> Result<(), LogError> {
        match self.inbox.send(message).await {
            Ok(()) => Ok(()),
            Err(_) => Err(self.failure().await),
        }
    }

    /// Why the writer doesn't listen any more; the reason is told once.
    async fn failure(&mut self) -> LogError {
        self.result().await.err().unwrap_or(LogError::GivenUp)
    }

    async fn result(&mut self) -> Result<Spool, LogError> {
        match self.writer.take() {
            Some(writer) => writer.await.unwrap_or(Err(LogError::GivenUp)),
            None => Err(LogError::GivenUp),
        }
    }
}
