//! What must not be seen in a log.

mod forms;

use std::fmt;
use std::sync::Arc;

use aho_corasick::automaton::OverlappingState;
use aho_corasick::{AhoCorasick, Input, MatchKind};

use self::forms::Found;

/// What stands for a secret in a log.
const MASK: &[u8] = b"***";

/// All that is looked for has no more bytes; ten times as many are the memory that it takes.
const MOST_BYTES: usize = 1024 * 1024;

/// Secrets that are masked in a log: as they are, line by line, in base64, percent-encoded and as strings of JSON
/// (docs/LOGS.md has the rules). `Debug` shows nothing of them.
#[derive(Clone, Default)]
pub struct Masks(Option<Arc<Needles>>);

/// What is looked for.
struct Needles {
    automaton: AhoCorasick,
    /// The same in order, to see what may be the beginning of one.
    sorted: Vec<String>,
    /// How many bytes the longest has.
    longest: usize,
}

/// Secrets that cannot be masked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the job's secrets are too large to be masked in its log: expected files of some kilobytes, or split what is no secret off"
)]
pub struct TooManySecrets;

impl Masks {
    /// Of these secrets. White space around them, such as the newline at the end of a file, is not part of them; those of less
    /// than 6 bytes are not masked, and neither are lines of less than 8.
    pub fn new(secrets: impl IntoIterator<Item = impl AsRef<[u8]>>) -> Result<Self, TooManySecrets> {
        let mut found = Found::default();
        for secret in secrets {
            forms::add(secret.as_ref(), &mut found);
            if found.0.iter().map(String::len).sum::<usize>() > MOST_BYTES {
                return Err(TooManySecrets);
            }
        }
        let sorted: Vec<String> = found.0.into_iter().collect();
        let Some(longest) = sorted.iter().map(String::len).max() else { return Ok(Self::default()) };
        let automaton = AhoCorasick::builder().match_kind(MatchKind::Standard).build(&sorted);
        let automaton = automaton.map_err(|_| TooManySecrets)?;
        Ok(Self(Some(Arc::new(Needles { automaton, sorted, longest }))))
    }
}

impl fmt::Debug for Masks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Masks(…)")
    }
}

impl Needles {
    /// Adds the places where something stands that is looked for. Places that overlap or touch become one.
    fn find(&self, text: &[u8], runs: &mut Vec<Run>) {
        let (input, mut state) = (Input::new(text), OverlappingState::start());
        loop {
            self.automaton.find_overlapping(input.clone(), &mut state);
            let Some(found) = state.get_match() else { return };
            let mut run = Run { start: found.start(), end: found.end() };
            while let Some(before) = runs.pop_if(|it| it.end >= run.start) {
                run = Run { start: run.start.min(before.start), end: run.end.max(before.end) };
            }
            runs.push(run);
        }
    }

    /// How many bytes at the end may be the beginning of something, once more is known.
    fn undecided(&self, text: &[u8]) -> usize {
        let most = text.len().min(self.longest - 1);
        (1..=most).rev().find(|&bytes| self.begins_with(&text[text.len() - bytes..])).unwrap_or(0)
    }

    fn begins_with(&self, beginning: &[u8]) -> bool {
        let at = self.sorted.partition_point(|it| it.as_bytes() < beginning);
        self.sorted.get(at).is_some_and(|it| it.as_bytes().starts_with(beginning))
    }
}

/// Bytes that are masked.
#[derive(Clone, Copy, Debug)]
struct Run {
    start: usize,
    end: usize,
}

/// Masks a text that comes in pieces. However it is cut, the same comes out: what every secret covers is masked, and what may be
/// the beginning of one is held back, for as long as it takes: what is shown in halves is shown.
#[derive(Debug, Default)]
pub(super) struct Masker {
    masks: Masks,
    /// The end of the text, undecided.
    held: Vec<u8>,
    /// Where the text before `held` ended with a mask: how many bytes of `held` belong to the same one.
    masked: Option<usize>,
}

impl Masker {
    /// What comes from now on is masked with these.
    pub(super) fn change(&mut self, masks: Masks, out: &mut Vec<u8>) {
        self.finish(out);
        self.masks = masks;
    }

    /// Appends what is decided to `out`.
    pub(super) fn push(&mut self, text: &[u8], out: &mut Vec<u8>) {
        match &self.masks.0 {
            None => out.extend_from_slice(text),
            Some(needles) => {
                let needles = Arc::clone(needles);
                self.held.extend_from_slice(text);
                let decided = self.held.len() - needles.undecided(&self.held);
                self.release(&needles, decided, out);
            }
        }
    }

    /// There is no more: what is held is not a secret.
    pub(super) fn finish(&mut self, out: &mut Vec<u8>) {
        if let Some(needles) = self.masks.0.clone() {
            self.release(&needles, self.held.len(), out);
            self.masked = None;
        }
    }

    fn release(&mut self, needles: &Needles, decided: usize, out: &mut Vec<u8>) {
        if decided == 0 {
            return;
        }
        let mut is_told = self.masked.is_some();
        let mut runs: Vec<Run> = self.masked.take().map(|end| Run { start: 0, end }).into_iter().collect();
        needles.find(&self.held, &mut runs);
        let mut at = 0;
        for run in runs.iter().take_while(|it| it.start < decided) {
            out.extend_from_slice(&self.held[at..run.start]);
            if !std::mem::take(&mut is_told) {
                out.extend_from_slice(MASK);
            }
            at = run.end.min(decided);
            self.masked = run.end.checked_sub(decided);
        }
        out.extend_from_slice(&self.held[at..decided]);
        self.held.drain(..decided);
    }
}

#[cfg(test)]
mod tests;
