//! The task that takes what a job prints: to the disk, at once, whatever becomes of it there.

use bytes::Bytes;
use tokio::sync::{mpsc, watch};

use super::echo::Echo;
use super::error::LogError;
use super::mask::{Masker, Masks};
use super::spool::{Section, Spool};
use super::utf8::Utf8Decoder;

/// What the writer is told.
#[derive(Debug)]
pub(super) enum Message {
    /// More of the log; a few ten kilobytes, as memory is bounded by the number of messages.
    Text(Bytes),
    /// What to mask in all that comes.
    Mask(Masks),
    /// That was all.
    End,
}

/// How many messages may wait for the writer before who prints waits too.
pub(super) const QUEUED: usize = 8;

/// A log on disk, as the one who sends it sees it.
#[derive(Clone, Debug)]
pub(super) struct Growth {
    /// All so far.
    pub(super) whole: Section,
    /// Whether the end was told: the whole log is about to be put.
    pub(super) ended: bool,
}

/// Decodes, masks and appends to the spool. It is a task of its own, so that a caller that is dropped cannot interrupt it
/// between two steps; it waits for nothing but the disk, and for who watches.
#[derive(Debug)]
pub(super) struct Writer {
    spool: Spool,
    decoder: Utf8Decoder,
    masker: Masker,
    echo: Echo,
    growth: watch::Sender<Growth>,
}

impl Writer {
    /// With what follows it. The follower's channel closes when the writer ends.
    pub(super) fn new(spool: Spool, echo: Echo) -> (Self, watch::Receiver<Growth>) {
        let (growth, follower) = watch::channel(Growth { whole: spool.whole(), ended: false });
        (Self { spool, decoder: Utf8Decoder::default(), masker: Masker::default(), echo, growth }, follower)
    }

    /// Runs until the end is told, or until nobody is left who could.
    pub(super) async fn run(mut self, mut inbox: mpsc::Receiver<Message>) -> Result<Spool, LogError> {
        let mut messages = Vec::with_capacity(QUEUED);
        let mut ended = false;
        while !ended && inbox.recv_many(&mut messages, QUEUED).await > 0 {
            let (mut text, mut decoded) = (Vec::new(), Vec::new());
            for message in messages.drain(..) {
                match message {
                    Message::Text(bytes) => {
                        self.decoder.push(&bytes, &mut decoded);
                        self.masker.push(&decoded, &mut text);
                        decoded.clear();
                    }
                    Message::Mask(masks) => self.masker.change(masks, &mut text),
                    Message::End => ended = true,
                }
            }
            self.append(text).await?;
        }
        let rest = self.rest();
        self.append(rest).await?;
        self.growth.send_modify(|it| it.ended = ended);
        Ok(self.spool)
    }

    /// What was held back.
    fn rest(&mut self) -> Vec<u8> {
        let (mut text, mut decoded) = (Vec::new(), Vec::new());
        self.decoder.finish(&mut decoded);
        self.masker.push(&decoded, &mut text);
        self.masker.finish(&mut text);
        text
    }

    async fn append(&mut self, text: Vec<u8>) -> Result<(), LogError> {
        if !text.is_empty() {
            self.echo.show(&text).await;
            self.spool.append(text).await?;
            self.growth.send_modify(|it| it.whole = self.spool.whole());
        }
        Ok(())
    }
}
