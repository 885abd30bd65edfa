//! Which chunks a growing log is in. Decides; does no I/O.

use std::fmt;

/// Bytes of a log, from `start` up to, and not including, `end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// Offset of the first byte.
    pub start: u64,
    /// Offset of the byte after the last.
    pub end: u64,
}

impl Span {
    /// How many bytes.
    #[must_use]
    pub const fn len(self) -> u64 {
        self.end.saturating_sub(self.start)
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// From `<start>-<end>`, as it is in the name of a chunk.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (start, end) = text.split_once('-')?;
        let span = Self { start: start.parse().ok()?, end: end.parse().ok()? };
        (span.to_string() == text).then_some(span)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.start, self.end)
    }
}

/// A chunk gets no larger than this, in bytes: so a reader of a huge log does not wait while half of it is written again.
/// (The older programs have no such bound, and no such logs: they keep them in memory.)
pub(super) const MOST_BYTES: u64 = 64 * 1024 * 1024;

/// Of the chunks of a list of somebody else, the oldest count as equally old.
const MOST_DOUBLED: usize = 40;

/// The chunks of a log so far, in the manner of the game 2048: whenever the last two hold the same number of
/// blocks they become one. So n blocks are in at most log2(n) + 1 chunks, and a byte is written at most as
/// often.
#[derive(Clone, Debug, Default)]
pub(super) struct Chunks(Vec<Chunk>);

#[derive(Clone, Copy, Debug)]
struct Chunk {
    span: Span,
    blocks: u64,
}

impl Chunk {
    const fn merges_with(&self, next: &Self) -> bool {
        self.blocks == next.blocks && self.span.len() + next.span.len() <= MOST_BYTES
    }
}

/// What to do for one more block, in the order of the fields: so a reader finds every byte in some chunk at
/// any time, or learns from a chunk that is gone that there is a newer list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Push {
    /// The chunk to write.
    pub(super) write: Span,
    /// The new content of `log.chunks`.
    pub(super) list: String,
    /// The chunks to delete: they are part of the one written.
    pub(super) obsolete: Vec<Span>,
}

impl Chunks {
    /// Those of a list that somebody else has written, by their sizes in bytes. How many blocks they hold is not known: the last
    /// counts as two, so that not all is written again at once, each other one as twice the next. None if it is no such list.
    pub(super) fn found(sizes: &[u64]) -> Option<Self> {
        let mut chunks = Self::default();
        for (&bytes, after) in sizes.iter().zip((0..sizes.len()).rev()) {
            let start = chunks.bytes();
            let span = Span { start, end: start.checked_add(bytes)? };
            let blocks = 2 << after.min(MOST_DOUBLED);
            (!span.is_empty()).then(|| chunks.0.push(Chunk { span, blocks }))?;
        }
        Some(chunks)
    }

    /// Adds a block of `bytes` (more than none, at most [`MOST_BYTES`]) at the end.
    pub(super) fn push(&mut self, bytes: u64) -> Push {
        let start = self.bytes();
        let mut last = Chunk { span: Span { start, end: start + bytes }, blocks: 1 };
        let mut obsolete = Vec::new();
        while let Some(before) = self.0.pop_if(|it| it.merges_with(&last)) {
            obsolete.push(before.span);
            last.span.start = before.span.start;
            last.blocks += before.blocks;
        }
        self.0.push(last);
        Push { write: last.span, list: self.list(), obsolete }
    }

    /// The content of `log.chunks`: a JSON list of the sizes in bytes, in order.
    pub(super) fn list(&self) -> String {
        let sizes: Vec<u64> = self.spans().map(Span::len).collect();
        format!("{sizes:?}") // for numbers, this is JSON
    }

    /// The chunks, in order.
    pub(super) fn spans(&self) -> impl Iterator<Item = Span> {
        self.0.iter().map(|it| it.span)
    }

    /// How many bytes all chunks hold.
    pub(super) fn bytes(&self) -> u64 {
        self.0.last().map_or(0, |it| it.span.end)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn chunks_merge_as_tiles_of_2048_do() {
        let mut chunks = Chunks::default();
        let lists: Vec<String> = (0..6).map(|_| chunks.push(10).list).collect();
        assert_eq!(lists, ["[10]", "[20]", "[20, 10]", "[40]", "[40, 10]", "[40, 20]"]);
    }

    #[test]
    fn a_merge_says_what_to_write_and_what_is_obsolete() {
        let mut chunks = Chunks::default();
        chunks.push(1);
        chunks.push(2);
        chunks.push(4);
        let merge = chunks.push(8);
        assert_eq!(merge.write, Span { start: 0, end: 15 });
        assert_eq!(merge.list, "[15]");
        assert_eq!(merge.obsolete, [Span { start: 3, end: 7 }, Span { start: 0, end: 3 }]);
    }

    /// Blocks of all sizes; a store that does what the plans say; after each step the laws.
    #[test]
    fn spans_are_contiguous_complete_and_few() {
        let mut chunks = Chunks::default();
        let mut stored = BTreeSet::new();
        let mut sum = 0;
        for n in 1..=5000_u64 {
            let bytes = 1 + (n * 7919) % 1_000_003;
            let push = chunks.push(bytes);
            sum += bytes;
            assert!(stored.insert(push.write));
            assert!(push.obsolete.iter().all(|it| stored.remove(it)));

            let spans: Vec<Span> = chunks.spans().collect();
            assert_eq!(spans, stored.iter().copied().collect::<Vec<_>>());
            assert_eq!(spans[0].start, 0);
            assert!(spans.windows(2).all(|two| two[0].end == two[1].start));
            assert_eq!((spans.iter().map(|it| it.len()).sum(), chunks.bytes()), (sum, sum));
            let most = u64::from(n.ilog2()) + 1 + 2 * (sum / MOST_BYTES);
            assert!(spans.len() as u64 <= most, "{n} blocks are in {} chunks", spans.len());
            assert!(spans.iter().all(|it| it.len() <= MOST_BYTES));
            assert_eq!(serde_json::from_str::<Vec<u64>>(&push.list).unwrap().iter().sum::<u64>(), sum);
        }
    }

    #[test]
    fn a_list_that_was_found_goes_on() {
        let mut chunks = Chunks::found(&[40, 20]).unwrap();
        assert_eq!((chunks.bytes(), chunks.list().as_str()), (60, "[40, 20]"));
        assert_eq!(chunks.push(10).list, "[40, 20, 10]");
        assert_eq!(chunks.push(10).list, "[80]");
        assert_eq!(Chunks::found(&[]).unwrap().list(), "[]");
        assert!(Chunks::found(&[5, 0]).is_none() && Chunks::found(&[u64::MAX, 1]).is_none());

        let many = vec![MOST_BYTES; 200];
        let mut huge = Chunks::found(&many).unwrap();
        for n in 1..100_u32 {
            huge.push(1000);
            assert!(huge.spans().count() <= 200 + 1 + n.ilog2() as usize);
        }
    }

    #[test]
    fn a_span_reads_back() {
        assert_eq!(Span::parse("5-12"), Some(Span { start: 5, end: 12 }));
        for bad in ["", "5", "-", "5-", "+5-6", "05-6", "5-6-7", "5-99999999999999999999"] {
            assert_eq!(Span::parse(bad), None, "{bad}");
        }
    }
}
