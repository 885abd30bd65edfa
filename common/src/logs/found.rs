//! What a former process has sent of a log.

use std::collections::BTreeSet;

use bytes::Bytes;
use futures_util::TryStreamExt;

use super::chunks::{Chunks, Span};
use super::error::LogError;
use super::name::{Folder, Own};
use super::spool::Section;
use super::store::Store;

/// No list of chunks is longer, in bytes: it has some ten digits for each 64 MiB of the log.
const LIST_BYTES: u64 = 64 * 1024;
/// So many bytes, the last that were sent, are compared with what is about to be.
const SAMPLE_BYTES: u64 = 64 * 1024;

/// What is in the store already.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// The chunks of the list, which are all there.
    pub(super) chunks: Chunks,
    /// These, and others that were written for a list that never came, or are not deleted yet.
    pub(super) stored: BTreeSet<Span>,
    /// The end of the last chunk; none where there is no chunk.
    pub(super) sample: Option<Sample>,
}

impl Found {
    /// None where there is nothing that could be continued: no list, none that is one, or one whose chunks are not there.
    pub(super) async fn look(store: &Store, folder: &Folder) -> Result<Option<Self>, LogError> {
        let stored = store.chunks(folder).await?;
        let list = store.get(&folder.own(Own::List), Span { start: 0, end: LIST_BYTES }).await?;
        let sizes = list.and_then(|it| serde_json::from_slice::<Vec<u64>>(&it).ok());
        let Some(chunks) = sizes.and_then(|it| Chunks::found(&it)) else { return Ok(None) };
        let is_whole = |span: Span| stored.as_ref().is_none_or(|it| it.get(&span) == Some(&span.len()));
        if !chunks.spans().all(is_whole) {
            return Ok(None);
        }
        let Some(end) = chunks.spans().last() else { return Ok(Some(Self::new(chunks, stored, None))) };
        let sample = Sample::get(store, folder, end).await?;
        Ok(sample.map(|sample| Self::new(chunks, stored, Some(sample))))
    }

    fn new(
        chunks: Chunks,
        stored: Option<impl IntoIterator<Item = (Span, u64)>>,
        sample: Option<Sample>,
    ) -> Self {
        let stored = stored.into_iter().flatten().map(|(span, _)| span).chain(chunks.spans()).collect();
        Self { chunks, stored, sample }
    }
}

/// A part of a log, to see whether it is the same log.
#[derive(Debug)]
pub(super) struct Sample {
    /// Where in the log.
    span: Span,
    bytes: Bytes,
}

impl Sample {
    /// The end of a chunk; none if it is not all there.
    async fn get(store: &Store, folder: &Folder, chunk: Span) -> Result<Option<Self>, LogError> {
        let start = chunk.end.saturating_sub(SAMPLE_BYTES).max(chunk.start);
        let in_chunk = Span { start: start - chunk.start, end: chunk.len() };
        let bytes = store.get(&folder.own(Own::Chunk(chunk)), in_chunk).await?;
        let sample = bytes.map(|bytes| Self { span: Span { start, end: chunk.end }, bytes });
        Ok(sample.filter(|it| it.bytes.len() as u64 == it.span.len()))
    }

    /// Whether a log has it, in its place. One that cannot be read has not.
    pub(super) async fn is_in(&self, whole: &Section) -> bool {
        let there: Result<Vec<Bytes>, _> = whole.part(self.span).stream().try_collect().await;
        there.is_ok_and(|it| it.concat() == self.bytes)
    }
}
