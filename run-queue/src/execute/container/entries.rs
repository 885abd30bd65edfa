//! The file that a container's monitor writes the output to, in the format `k8s-file`: an entry a line,
//! `TIMESTAMP stdout|stderr F|P TEXT`. `F` says that the text ended with a newline, `P` that it did not. Text may be any bytes.

use memchr::{memchr, memchr_iter};

/// A file that is in another format, or broken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a whole entry of the format k8s-file, found {found:?}; is the disk full?")]
pub struct NotAnEntry {
    /// How it begins.
    pub found: String,
}

/// What stands before the text is a time of 35 characters and two short words.
const LONGEST_HEAD: usize = 64;

/// Takes the file a piece at a time, cut anywhere, and gives the text.
#[derive(Debug, Default)]
pub(super) struct Entries {
    at: At,
    /// What has come of a head that is not complete.
    head: Vec<u8>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum At {
    #[default]
    Head,
    Text(Part),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// The end of a line.
    Full,
    /// More of the same line comes.
    Partial,
}

impl Entries {
    /// Adds the text of the next bytes of the file; it is never longer than they are.
    pub(super) fn push(&mut self, mut raw: &[u8], text: &mut Vec<u8>) -> Result<(), NotAnEntry> {
        while !raw.is_empty() {
            raw = match self.at {
                At::Head => self.push_head(raw)?,
                At::Text(part) => self.push_text(part, raw, text),
            };
        }
        Ok(())
    }

    /// There is no more. A file that ends within an entry has lost what came after it: its disk may be full.
    pub(super) fn finish(&self) -> Result<(), NotAnEntry> {
        if self.at == At::Head && self.head.is_empty() { Ok(()) } else { Err(not_an_entry(&self.head)) }
    }

    /// Returns what is left behind the head.
    fn push_head<'a>(&mut self, raw: &'a [u8]) -> Result<&'a [u8], NotAnEntry> {
        let seen = memchr_iter(b' ', &self.head).count();
        let room = (LONGEST_HEAD - self.head.len()).min(raw.len());
        let (window, _) = raw.split_at(room);
        // There are fewer than three in a head that is not complete.
        let end = memchr_iter(b' ', window).nth(2 - seen).map(|at| at + 1);
        let (head, rest) = raw.split_at(end.unwrap_or(room));
        self.head.extend_from_slice(head);
        if end.is_some() {
            self.at = At::Text(part(&self.head)?);
            self.head.clear();
        } else if self.head.len() >= LONGEST_HEAD {
            return Err(not_an_entry(&self.head));
        }
        Ok(rest)
    }

    fn push_text<'a>(&mut self, part: Part, raw: &'a [u8], text: &mut Vec<u8>) -> &'a [u8] {
        let Some(end) = memchr(b'\n', raw) else {
            text.extend_from_slice(raw);
            return &[];
        };
        self.at = At::Head;
        let (line, rest) = raw.split_at(end + 1);
        text.extend_from_slice(match part {
            Part::Full => line,
            Part::Partial => line.strip_suffix(b"\n").unwrap_or(line),
        });
        rest
    }
}

fn part(head: &[u8]) -> Result<Part, NotAnEntry> {
    let mut words = head.split(|it| *it == b' ').skip(1);
    match (words.next(), words.next()) {
        (Some(b"stdout" | b"stderr"), Some(b"F")) => Ok(Part::Full),
        (Some(b"stdout" | b"stderr"), Some(b"P")) => Ok(Part::Partial),
        _ => Err(not_an_entry(head)),
    }
}

fn not_an_entry(head: &[u8]) -> NotAnEntry {
    NotAnEntry { found: String::from_utf8_lossy(head).into_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &[u8] = b"2026-11-21T12:53:11.411577388+00:00 stdout F one  two\n\
        2026-11-21T12:53:11.411577388+00:00 stderr P a\0\xffb\n\
        2026-11-21T12:53:11.411577388+00:00 stdout F \n\
        2026-11-21T12:53:11.411577388+00:00 stdout P  stdout F \n\
        2026-11-21T12:53:11.411577388+00:00 stdout P last\n";
    const TEXT: &[u8] = b"one  two\na\0\xffb\n stdout F last";

    fn text(pieces: &[&[u8]]) -> Result<Vec<u8>, NotAnEntry> {
        let (mut entries, mut text) = (Entries::default(), Vec::new());
        pieces
            .iter()
            .try_for_each(|it| entries.push(it, &mut text))
            .and_then(|()| entries.finish())
            .map(|()| text)
    }

    #[test]
    fn the_text_is_the_same_wherever_the_file_is_cut() {
        for first in 0..=FILE.len() {
            for second in (first..=FILE.len()).step_by(7) {
                let pieces = [&FILE[..first], &FILE[first..second], &FILE[second..]];
                assert_eq!(text(&pieces).unwrap(), TEXT, "{first} {second}");
            }
        }
        let bytes: Vec<_> = FILE.chunks(1).collect();
        assert_eq!(text(&bytes).unwrap(), TEXT);
    }

    #[test]
    fn the_text_of_an_entry_that_is_being_written_is_there_at_once() {
        let at = FILE.iter().position(|it| *it == b'w').unwrap();
        let (mut entries, mut text) = (Entries::default(), Vec::new());
        entries.push(&FILE[..at], &mut text).unwrap();
        assert_eq!(text, b"one  t");
        entries.finish().unwrap_err();
    }

    #[test]
    fn another_format_is_an_error_that_shows_it() {
        for bad in [
            &b"{\"log\": \"x\", \"stream\": \"stdout\", \"time\": \"...\"}\n"[..],
            b"2026-11-21T12:53:11 stdin F x\n",
            b"2026-11-21T12:53:11 stdout X x\n",
            &[b'x'; 200],
        ] {
            let whole = text(&[bad]).unwrap_err();
            assert!(!whole.found.is_empty() && whole.found.len() <= LONGEST_HEAD, "{whole:?}");
            let bytes: Vec<_> = bad.chunks(1).collect();
            assert_eq!(text(&bytes).unwrap_err(), whole);
        }
    }
}
