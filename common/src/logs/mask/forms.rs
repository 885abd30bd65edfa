//! The ways in which a secret is written.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};

/// What is shorter, in bytes, is no secret: it would be found in every other line.
const SHORTEST: usize = 6;
/// The same for a line of a secret of several lines.
const SHORTEST_LINE: usize = 8;
/// Longer texts are looked for in pieces of so many bytes, or up to twice as many at the end: where the whole stands, its
/// pieces do. So what could be the beginning of a secret is short, whatever a secret's length.
const PIECE: usize = 64;
/// Of a longer secret, in bytes, only its text and its lines are looked for, as they are.
const LONGEST_ENCODED: usize = 8 * 1024;

/// What programs make of the lines of `base64`: 76 characters (coreutils, Python) or 64 (OpenSSL). Bytes a line.
const WRAPPED: [usize; 2] = [57, 48];

/// RFC 3986.
const STRICT: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// Python's `quote`.
const PATH: AsciiSet = STRICT.remove(b'/');
/// `encodeURIComponent`.
const COMPONENT: AsciiSet = STRICT.remove(b'!').remove(b'\'').remove(b'(').remove(b')').remove(b'*');
/// `encodeURI`.
const URI: AsciiSet = COMPONENT
    .remove(b';')
    .remove(b',')
    .remove(b'/')
    .remove(b'?')
    .remove(b':')
    .remove(b'@')
    .remove(b'&')
    .remove(b'=')
    .remove(b'+')
    .remove(b'$')
    .remove(b'#');
/// Forms, of which a space is a `+` then.
const FORM: AsciiSet = NON_ALPHANUMERIC.remove(b'*').remove(b'-').remove(b'.').remove(b'_');

/// Adds what is to be looked for because of one secret.
pub(super) fn add(secret: &[u8], found: &mut Found) {
    let secret = secret.trim_ascii();
    if secret.len() < SHORTEST {
        return;
    }
    let text = String::from_utf8_lossy(secret);
    // A byte that is no text may be a part of what stands before or behind.
    let text = text.trim_matches(char::REPLACEMENT_CHARACTER);
    let is_encoded = secret.len() <= LONGEST_ENCODED;
    let lines = text.lines().map(str::trim).filter(|it| it.len() >= SHORTEST_LINE && it.len() < text.len());
    for text in lines.chain([text]) {
        found.add(text);
        if is_encoded {
            escaped(text, found);
        }
    }
    if is_encoded {
        percent_encoded(secret, found);
        base64(secret, found);
    }
}

/// Texts to look for: each once, none of them long.
#[derive(Default)]
pub(super) struct Found(pub(super) BTreeSet<String>);

impl Found {
    fn add(&mut self, mut text: &str) {
        if text.len() < SHORTEST {
            return;
        }
        while text.len() >= 2 * PIECE {
            let (piece, rest) = text.split_at(cut(text));
            self.0.insert(piece.to_owned());
            text = rest;
        }
        self.0.insert(text.to_owned());
    }
}

/// Where a piece ends: between characters, and not before the end of a line. Nearly everything that is printed ends with
/// one, and would have to wait.
fn cut(text: &str) -> usize {
    let is_good = |at: usize| text.is_char_boundary(at) && !text[at..].starts_with(['\n', '\r']);
    (PIECE..text.len()).find(|it| is_good(*it)).unwrap_or(text.len())
}

/// As a string of JSON, by the habits of several programs.
fn escaped(text: &str, found: &mut Found) {
    let quoted = serde_json::to_string(text).unwrap_or_default();
    let json = quoted.trim_start_matches('"').strip_suffix('"').unwrap_or_default();
    found.add(json);
    found.add(&json.replace('/', "\\/"));
    found.add(&json.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026"));
    let lower = ascii(json);
    found.add(&upper_units(&lower));
    found.add(&lower);
}

/// The characters that are not ASCII as `\uXXXX`.
fn ascii(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        if c.is_ascii() {
            out.push(c);
        } else {
            out.extend(c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")));
        }
    }
    out
}

fn upper_units(json: &str) -> String {
    change_after(json, "\\u", 4, str::to_ascii_uppercase)
}

/// As parts of URLs and of forms.
fn percent_encoded(secret: &[u8], found: &mut Found) {
    for set in [&STRICT, &PATH, &COMPONENT, &URI, &FORM] {
        let upper = percent_encode(secret, set).to_string();
        let plus = upper.replace("%20", "+");
        for text in [upper, plus] {
            found.add(&change_after(&text, "%", 2, str::to_ascii_lowercase));
            found.add(&text);
        }
    }
}

/// Changes the `length` bytes after each `mark`.
fn change_after(text: &str, mark: &str, length: usize, change: fn(&str) -> String) -> String {
    let mut parts = text.split(mark);
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (digits, rest) = part.split_at_checked(length).unwrap_or((part, ""));
        out.extend([mark, &change(digits), rest]);
    }
    out
}

/// In both alphabets, at each of the three places that it can have in what is encoded, alone or with a newline; but for
/// characters at the ends that hold bits of something else, too.
fn base64(secret: &[u8], found: &mut Found) {
    let with_newline = [secret, b"\n"].concat();
    for before in 0..3_usize {
        let begin = (before * 8).div_ceil(6);
        let known = (before + secret.len()) * 8 / 6;
        for (alone, end) in [(secret, known), (secret, usize::MAX), (&with_newline, usize::MAX)] {
            let bytes = [&[0; 2][..before], alone].concat();
            add_base64(&bytes, begin, end, found);
        }
    }
    for width in WRAPPED.into_iter().filter(|it| *it < with_newline.len()) {
        for line in secret.chunks(width).chain(with_newline.chunks(width)) {
            add_base64(line, 0, usize::MAX, found);
        }
    }
}

fn add_base64(bytes: &[u8], begin: usize, end: usize, found: &mut Found) {
    for encoded in [STANDARD_NO_PAD.encode(bytes), URL_SAFE_NO_PAD.encode(bytes)] {
        found.add(encoded.get(begin..end.min(encoded.len())).unwrap_or_default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forms(secret: &[u8]) -> BTreeSet<String> {
        let mut found = Found::default();
        add(secret, &mut found);
        found.0
    }

    #[test]
    fn pieces_are_short_and_make_up_the_whole() {
        for text in [
            "x".repeat(63),
            "x".repeat(127),
            "äö€😀".repeat(99),
            format!("{}\n\n\nb", "a".repeat(64)),
            "\n".repeat(200),
        ] {
            let mut rest = text.as_str();
            while rest.len() >= 2 * PIECE {
                let at = cut(rest);
                assert!((PIECE..).contains(&at), "{at}");
                rest = &rest[at..];
                assert!(!rest.starts_with('\n'));
            }
        }
    }

    #[test]
    fn a_plain_token_has_few_forms() {
        // Itself; three places of base64, of which two end in a character that depends on what follows.
        assert_eq!(forms(b"s3cretToken\n").len(), 1 + 8, "{:?}", forms(b"s3cretToken"));
    }

    #[test]
    fn short_secrets_and_white_space_are_none() {
        for none in [&b""[..], b"\n", b"short", b"  a \n", b" \t\n         \n", b"\xff\xff\xff\xff"] {
            assert!(forms(none).is_empty(), "{none:?}: {:?}", forms(none));
        }
    }

    #[test]
    fn nothing_begins_with_the_end_of_a_line() {
        let key = format!("{}\n", "0123456789abcdef\n".repeat(50));
        assert!(forms(key.as_bytes()).iter().all(|it| !it.starts_with('\n')));
    }
}
