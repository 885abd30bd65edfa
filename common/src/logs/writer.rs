//! The task that sends a log while it grows.

use std::mem;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::chunks::Chunks;
use super::error::LogError;
use super::name::{Folder, Own};
use super::spool::Spool;
use super::store::Store;
use super::utf8::Utf8Decoder;

/// A block is sent when this many bytes wait (wire facts).
const BLOCK_BYTES: usize = 1_000_000;

/// What the writer is told.
#[derive(Debug)]
pub(super) enum Message {
    /// More of the log; a few ten kilobytes, as memory is bounded by the number of messages.
    Text(Bytes),
    /// That was all.
    End,
}

/// Decodes, collects a block, sends it when it is full or old. It is a task of its own, so that a block is
/// sent in time whatever the caller is busy with, and so that a caller that is dropped cannot interrupt it
/// between two steps.
#[derive(Debug)]
pub(super) struct Writer {
    store: Store,
    folder: Folder,
    flush_after: Duration,
    decoder: Utf8Decoder,
    waiting: Vec<u8>,
    /// When the waiting bytes have to be sent; none while there are none.
    due: Option<Instant>,
    written: Written,
}

/// A log so far: all of it in the spool, and what has been sent, in chunks.
#[derive(Debug)]
pub(super) struct Written {
    pub(super) spool: Spool,
    pub(super) chunks: Chunks,
}

impl Writer {
    pub(super) fn new(store: Store, folder: Folder, spool: Spool, flush_after: Duration) -> Self {
        Self {
            store,
            folder,
            flush_after,
            decoder: Utf8Decoder::default(),
            waiting: Vec::new(),
            due: None,
            written: Written { spool, chunks: Chunks::default() },
        }
    }

    /// Runs until the end is told. If the sender is dropped before that, what waits is sent, and the log
    /// stays as it is: readable, and open.
    pub(super) async fn run(mut self, mut inbox: mpsc::Receiver<Message>) -> Result<Written, LogError> {
        loop {
            let message = tokio::select! {
                message = inbox.recv() => message,
                () = passed(self.due) => {
                    self.send_block().await?;
                    continue;
                }
            };
            match message {
                Some(Message::Text(bytes)) => self.take(&bytes).await?,
                Some(Message::End) => return self.end().await,
                None => return self.leave().await,
            }
        }
    }

    async fn take(&mut self, bytes: &[u8]) -> Result<(), LogError> {
        self.decoder.push(bytes, &mut self.waiting);
        if self.waiting.len() >= BLOCK_BYTES {
            return self.send_block().await;
        }
        if self.due.is_none() && !self.waiting.is_empty() {
            self.due = Some(Instant::now() + self.flush_after);
        }
        Ok(())
    }

    async fn send_block(&mut self) -> Result<(), LogError> {
        self.due = None;
        let block = mem::take(&mut self.waiting);
        if block.is_empty() {
            return Ok(());
        }
        let Written { spool, chunks } = &mut self.written;
        let push = chunks.push(block.len() as u64);
        spool.append(block).await?;
        let section = spool.whole().part(push.write);
        self.store.put_section(&self.folder.own(Own::Chunk(push.write)), section).await?;
        self.store.put(&self.folder.own(Own::List), Bytes::from(push.list)).await?;
        for span in push.obsolete {
            self.store.delete(&self.folder.own(Own::Chunk(span))).await?;
        }
        Ok(())
    }

    /// The rest needs no chunk any more: the whole log is about to be put.
    async fn end(mut self) -> Result<Written, LogError> {
        self.decoder.finish(&mut self.waiting);
        self.written.spool.append(self.waiting).await?;
        Ok(self.written)
    }

    async fn leave(mut self) -> Result<Written, LogError> {
        self.decoder.finish(&mut self.waiting);
        self.send_block().await?;
        Ok(self.written)
    }
}

/// Returns at that moment, or never.
async fn passed(due: Option<Instant>) {
    match due {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}
