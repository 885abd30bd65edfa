//! Bytes to text, a read at a time.

/// Replaces what is not UTF-8 by U+FFFD, as [`String::from_utf8_lossy`] does; a character that is split
/// between two reads is put together again.
#[derive(Clone, Debug, Default)]
pub(super) struct Utf8Decoder {
    /// The beginning of a character, at most three bytes.
    tail: Vec<u8>,
}

impl Utf8Decoder {
    /// Appends the text of `bytes` to `out`, but for a character at the end that is not complete yet. That is
    /// at most three times (and three bytes more than) what came in.
    pub(super) fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        let rest = self.complete_tail(bytes, out);
        for chunk in rest.utf8_chunks() {
            out.extend_from_slice(chunk.valid().as_bytes());
            let ends_here = chunk.invalid().as_ptr_range().end == rest.as_ptr_range().end;
            if ends_here && is_incomplete(chunk.invalid()) {
                self.tail.extend_from_slice(chunk.invalid());
            } else if !chunk.invalid().is_empty() {
                replace(out);
            }
        }
    }

    /// There is no more: what is left is not a character.
    pub(super) fn finish(&mut self, out: &mut Vec<u8>) {
        if !self.tail.is_empty() {
            self.tail.clear();
            replace(out);
        }
    }

    /// Settles the tail with the first of `bytes`, and returns those that are not part of it.
    fn complete_tail<'a>(&mut self, mut bytes: &'a [u8], out: &mut Vec<u8>) -> &'a [u8] {
        while !self.tail.is_empty()
            && let Some((first, rest)) = bytes.split_first()
        {
            self.tail.push(*first);
            if is_incomplete(&self.tail) {
                bytes = rest;
            } else if std::str::from_utf8(&self.tail).is_ok() {
                out.append(&mut self.tail);
                bytes = rest;
            } else {
                // The tail alone could have become a character, so it is `first` that does not belong to it.
                self.tail.clear();
                replace(out);
            }
        }
        bytes
    }
}

fn replace(out: &mut Vec<u8>) {
    out.extend_from_slice("\u{FFFD}".as_bytes());
}

/// Whether more bytes could make a character of these.
fn is_incomplete(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_err_and(|it| it.error_len().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(pieces: &[&[u8]]) -> String {
        let (mut decoder, mut out) = (Utf8Decoder::default(), Vec::new());
        for piece in pieces {
            decoder.push(piece, &mut out);
        }
        decoder.finish(&mut out);
        String::from_utf8(out).unwrap()
    }

    const SAMPLES: [&[u8]; 9] = [
        b"",
        b"plain",
        "aé€😀z".as_bytes(),
        b"a\x80\xffb",
        b"\xf0\x9f\x98",
        b"\xe2\x82A\xf0\x9fB\xc3",
        b"\xed\xa0\x80 surrogate",
        b"\xc0\xaf overlong \xf8\x88\x80\x80\x80",
        b"\xf0\x9f\xf0\x9f\x98\x80",
    ];

    #[test]
    fn every_split_into_three_reads_gives_the_same_text() {
        for sample in SAMPLES {
            let whole = String::from_utf8_lossy(sample);
            for first in 0..=sample.len() {
                for second in first..=sample.len() {
                    let pieces = [&sample[..first], &sample[first..second], &sample[second..]];
                    assert_eq!(decode(&pieces), whole, "{pieces:x?}");
                }
            }
        }
    }

    #[test]
    fn one_byte_at_a_time_gives_the_same_text() {
        for sample in SAMPLES {
            let bytes: Vec<&[u8]> = sample.chunks(1).collect();
            assert_eq!(decode(&bytes), String::from_utf8_lossy(sample));
        }
    }
}
