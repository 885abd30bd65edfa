//! What is masked, and what is not.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};

use super::*;

fn masks(secrets: &[&str]) -> Masks {
    Masks::new(secrets).unwrap()
}

fn masked_pieces<'a>(masks: &Masks, pieces: impl IntoIterator<Item = &'a [u8]>) -> String {
    let (mut masker, mut out) = (Masker::default(), Vec::new());
    masker.change(masks.clone(), &mut out);
    for piece in pieces {
        masker.push(piece, &mut out);
    }
    masker.finish(&mut out);
    String::from_utf8(out).unwrap()
}

fn masked(masks: &Masks, text: &str) -> String {
    masked_pieces(masks, [text.as_bytes()])
}

const SECRET: &str = "p/s?w 0+r&d<ü>\"x\\y";

#[test]
fn a_secret_is_masked_as_programs_write_it() {
    let masks = masks(&[SECRET]);
    for written in [
        SECRET,
        "p%2Fs%3Fw%200%2Br%26d%3C%C3%BC%3E%22x%5Cy",
        "p%2fs%3fw%200%2br%26d%3c%c3%bc%3e%22x%5cy",
        "p/s%3Fw%200%2Br%26d%3C%C3%BC%3E%22x%5Cy",
        "p%2Fs%3Fw+0%2Br%26d%3C%C3%BC%3E%22x%5Cy",
        "p%2fs%3fw+0%2br%26d%3c%c3%bc%3e%22x%5cy",
        "p/s?w%200+r&d%3C%C3%BC%3E%22x%5Cy",
        r#"p/s?w 0+r&d<ü>\"x\\y"#,
        r#"p\/s?w 0+r&d<ü>\"x\\y"#,
        r#"p/s?w 0+r&d<\u00fc>\"x\\y"#,
        r#"p/s?w 0+r&d<\u00FC>\"x\\y"#,
        r#"p/s?w 0+r\u0026d\u003cü\u003e\"x\\y"#,
    ] {
        assert_eq!(masked(&masks, &format!("a {written}\nb")), "a ***\nb", "{written}");
        assert_eq!(masked(&masks, written), "***", "{written}");
    }
}

/// Whatever stands before and behind it; a few characters at the ends hold bits of that as well.
#[test]
fn base64_is_masked_at_every_place_and_in_both_alphabets() {
    let secret = "\u{3ff}s3cret?>token\u{3ff}";
    let masks = masks(&[secret]);
    for before in ["", "u", "us", "user", "a:b:c:"] {
        for behind in ["", "\n", "!", "!!", "!!!", "\nmore of it"] {
            let text = format!("{before}{secret}{behind}");
            for encoded in [STANDARD.encode(&text), URL_SAFE.encode(&text)] {
                let out = masked(&masks, &encoded);
                let (left, right) = out.split_once("***").unwrap_or_else(|| panic!("{text:?}: {out}"));
                assert!(left.len() <= (before.len() * 8).div_ceil(6), "{text:?}: {out}");
                assert!(right.len() <= (behind.len() * 8).div_ceil(6) + 3, "{text:?}: {out}");
            }
        }
    }
}

#[test]
fn lines_of_base64_are_masked() {
    let secret: String = (0..420).map(|n| char::from(b'!' + u8::try_from(n * 31 % 90).unwrap())).collect();
    for width in [76, 64] {
        let encoded = STANDARD.encode(format!("{secret}\n"));
        let lines: Vec<&str> =
            encoded.as_bytes().chunks(width).map(|it| std::str::from_utf8(it).unwrap()).collect();
        let out = masked(&masks(&[&secret]), &lines.join("\n"));
        assert!(out.lines().all(|it| it.trim_end_matches('=') == "***"), "{width}: {out}");
    }
}

#[test]
fn a_key_is_masked_as_a_whole_and_line_by_line() {
    let body: Vec<String> =
        (0..30_u64).map(|n| format!("{:064x}", n.wrapping_mul(0x9e37_79b9_7f4a_7c15))).collect();
    let key = format!("-----BEGIN KEY-----\n{}\nshort\n-----END KEY-----\n", body.join("\n"));
    let masks = masks(&[&key]);
    assert_eq!(masked(&masks, &format!("<{key}>")), "<***\n>");
    assert_eq!(masked(&masks, &format!("a\r\n  {}\r\nb", body[7])), "a\r\n  ***\r\nb");
    assert_eq!(masked(&masks, &key.replace('\n', "\\n")), "***\\n", "as JSON");
    assert_eq!(masked(&masks, "short"), "short");
    assert_eq!(
        masked(&masks, &key.lines().rev().collect::<Vec<_>>().join("\r\n")).matches("***").count(),
        32
    );
}

#[test]
fn secrets_that_overlap_or_touch_are_one_mask() {
    let masks = masks(&["abcdefgh", "efghijkl", "mnopqrst"]);
    assert_eq!(masked(&masks, "1abcdefghijklmnopqrst2"), "1***2");
    assert_eq!(masked(&masks, "abcdefgh abcdefg mnopqrst"), "*** abcdefg ***");
}

#[test]
fn what_is_no_secret_is_left_alone() {
    let text = "a log with a short word, and bytes \u{fffd} of all kinds\n";
    for none in [&[][..], &["short", "", "\n", " a \n"]] {
        assert_eq!(masked(&masks(none), text), text);
    }
}

#[test]
fn a_secret_that_is_no_text_is_found_as_it_is_shown() {
    let masks = Masks::new([b"\xffbinary\xfe\x00key\xff"]).unwrap();
    let shown = String::from_utf8_lossy(b"a\xffbinary\xfe\x00key\xff");
    assert_eq!(masked(&masks, &shown), "a\u{fffd}***\u{fffd}");
}

/// What is held back while a job is quiet: what may be a secret, and no more.
#[test]
fn only_what_may_be_a_secret_waits() {
    let (mut masker, mut out) = (Masker::default(), Vec::new());
    masker.change(masks(&["hunter2hunter2", &"k3y\n".repeat(1000)]), &mut out);
    masker.push(b"the password is hunter2h", &mut out);
    assert_eq!(out, b"the password is ");
    masker.push(b"ash\n", &mut out);
    assert_eq!(out, b"the password is hunter2hash\n");
    masker.push("k3y\n".repeat(10_000).as_bytes(), &mut out);
    assert!(masker.held.len() < 400, "{}", masker.held.len());
    masker.finish(&mut out);
    assert_eq!(out, b"the password is hunter2hash\n***");
}

/// Texts made of parts of secrets, cut at random: always what comes of them in one piece.
#[test]
fn however_it_is_cut_the_same_comes_out() {
    let key: String = (0..40).flat_map(|n| [n.to_string(), "ab".repeat(n % 9), "\n".to_owned()]).collect();
    let secrets = ["abcabcabd", "bcabca", SECRET, "aaaaaaa", key.as_str()];
    let masks = masks(&secrets);
    let mut random = fastrand::Rng::with_seed(20);
    for round in 0..2000 {
        let mut text = String::new();
        for _ in 0..random.usize(1..12) {
            let secret = secrets[random.usize(..secrets.len())];
            let ends: Vec<usize> = secret.char_indices().map(|it| it.0).chain([secret.len()]).collect();
            let (a, b) = (ends[random.usize(..ends.len())], ends[random.usize(..ends.len())]);
            match random.u8(..4) {
                0 => text.push_str(secret),
                1 => text.push_str(&STANDARD.encode(secret)),
                2 => text.push_str([" ", "\n", "€", "a"][random.usize(..4)]),
                _ => text.push_str(&secret[a.min(b)..a.max(b)]),
            }
        }
        let mut pieces = Vec::new();
        let mut rest = text.as_bytes();
        while !rest.is_empty() {
            let (piece, more) = rest.split_at(random.usize(1..=rest.len().min(30)));
            pieces.push(piece);
            rest = more;
        }
        let whole = masked(&masks, &text);
        assert_eq!(masked_pieces(&masks, pieces), whole, "round {round}: {text:?}");
        for secret in secrets {
            assert!(!whole.contains(secret), "round {round}: {secret:?} in {whole:?}");
        }
    }
}

#[test]
fn nothing_shows_what_a_mask_hides() {
    let (mut masker, mut out) = (Masker::default(), Vec::new());
    masker.change(masks(&["hunter2hunter2"]), &mut out);
    masker.push(b"hunter2", &mut out);
    let shown = format!("{:?} {:#?}", masker.masks, masks(&["hunter2hunter2"]));
    assert!(!shown.contains("hunter2"), "{shown}");
}

#[test]
fn secrets_without_bound_are_refused() {
    let large: String = (0..80_000_u64)
        .flat_map(|n| [n.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_string(), "\n".to_owned()])
        .collect();
    assert_eq!(Masks::new([&large]).unwrap_err(), TooManySecrets);
    let fits: String = large.chars().take(200_000).collect();
    assert_eq!(masked(&Masks::new([&fits]).unwrap(), &fits), "***");
}

/// What the masks of one job take, in bytes: a few tokens and a key of 4096 bits.
#[test]
fn masks_are_small() {
    let line = |n: u64| format!("{:064x}\n", n.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let key: String = (1..51).map(line).collect();
    let tokens: Vec<String> = (100..105).map(|n| line(n)[24..].to_owned()).collect();
    let masks = Masks::new(tokens.iter().chain([&key])).unwrap();
    let needles = masks.0.unwrap();
    let bytes =
        needles.automaton.memory_usage() + needles.sorted.iter().map(|it| it.len() + 24).sum::<usize>();
    assert!(bytes < 1_000_000, "{bytes}");
}
