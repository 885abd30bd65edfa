//! Archives as hostile jobs would have them.

use tar::{Builder, Header};

use super::*;

/// Enough for all of them.
const LIMITS: AttachmentLimits = AttachmentLimits { files: 10, bytes: 1000, largest: 500 };

/// As a raw header, of a size that the content need not have.
fn entry_of(archive: &mut Builder<Vec<u8>>, path: &[u8], kind: EntryType, bytes: u64, content: &[u8]) {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_size(bytes);
    // `set_path` would refuse what hostile jobs write.
    header.as_old_mut().name[..path.len()].copy_from_slice(path);
    if matches!(kind, EntryType::Symlink | EntryType::Link) {
        header.set_link_name("/etc/shadow").unwrap();
    }
    header.set_cksum();
    archive.append(&header, content).unwrap();
}

fn entry(archive: &mut Builder<Vec<u8>>, path: &str, kind: EntryType, content: &[u8]) {
    entry_of(archive, path.as_bytes(), kind, content.len() as u64, content);
}

/// Of regular files with these names and contents.
fn archive<'a>(files: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Vec<u8> {
    let mut archive = Builder::new(Vec::new());
    for (name, content) in files {
        entry(&mut archive, name, EntryType::Regular, content);
    }
    archive.into_inner().unwrap()
}

/// With a path of any length.
fn long(path: &str) -> Vec<u8> {
    let mut archive = Builder::new(Vec::new());
    entry(&mut archive, "././@LongLink", EntryType::GNULongName, format!("{path}\0").as_bytes());
    entry(&mut archive, "x", EntryType::Regular, b"x");
    archive.into_inner().unwrap()
}

fn unpacked(stream: &[u8], limits: AttachmentLimits) -> Unpacked {
    unpack(stream, &std::env::temp_dir(), limits, 1_000_000).unwrap()
}

fn names(unpacked: &Unpacked) -> Vec<&str> {
    unpacked.files.keys().map(AttachmentName::as_str).collect()
}

fn content(unpacked: &Unpacked, name: &str) -> Vec<u8> {
    std::fs::read(&unpacked.files[&AttachmentName::new(name).unwrap()]).unwrap()
}

#[test]
fn subfolders_are_kept() {
    let mut archive = Builder::new(Vec::new());
    entry(&mut archive, "./", EntryType::Directory, b"");
    entry(&mut archive, "./sub/b.log", EntryType::Regular, b"text");
    entry(&mut archive, "./a.png", EntryType::Regular, b"png");
    let unpacked = unpacked(&archive.into_inner().unwrap(), LIMITS);
    assert_eq!(names(&unpacked), ["a.png", "sub/b.log"]);
    assert_eq!(content(&unpacked, "sub/b.log"), b"text");
    assert_eq!(unpacked.left_out, LeftOut::default());
}

#[test]
fn what_is_no_file_is_left_out() {
    let kinds = [
        (EntryType::Symlink, "it is a symbolic link, not a regular file"),
        (EntryType::Link, "it is a second name of a file, not a file of its own"),
        (EntryType::Fifo, "it is not a regular file"),
        (EntryType::Char, "it is not a regular file"),
        (EntryType::Block, "it is not a regular file"),
        (EntryType::new(b'Z'), "it is not a regular file"),
    ];
    for (kind, reason) in kinds {
        let mut archive = Builder::new(Vec::new());
        entry(&mut archive, "./x", kind, b"");
        let unpacked = unpacked(&archive.into_inner().unwrap(), LIMITS);
        assert_eq!(names(&unpacked), [""; 0]);
        assert_eq!(unpacked.left_out.files, [("./x".to_owned(), reason.to_owned())], "{kind:?}");
    }
}

#[test]
fn hostile_names_are_left_out_and_fit_for_a_log() {
    for (name, shown) in [
        ("../up", "../up"),
        ("./../up", "./../up"),
        ("a/../../up", "a/../../up"),
        ("/etc/passwd", "/etc/passwd"),
        ("a\nb", "a\\nb"),
        ("\u{1b}[31m", "\\u{1b}[31m"),
        ("log", "log"),
        ("./log.html", "./log.html"),
        ("log.chunks", "log.chunks"),
        ("log.0-10", "log.0-10"),
        ("log.0-10/x", "log.0-10/x"),
        ("index.html", "index.html"),
        ("index.html/x", "index.html/x"),
    ] {
        let unpacked = unpacked(&archive([(name, &b"x"[..])]), LIMITS);
        assert_eq!(names(&unpacked), [""; 0], "{name:?}");
        assert_eq!(unpacked.left_out.files[0].0, shown);
    }
    let mut bytes = Builder::new(Vec::new());
    entry_of(&mut bytes, b"a\xff", EntryType::Regular, 1, b"x");
    let unpacked = unpacked(&bytes.into_inner().unwrap(), LIMITS);
    assert_eq!(unpacked.left_out.files, [("a\u{fffd}".to_owned(), "it is not UTF-8".to_owned())]);
}

/// A name ends at a NUL, in a header and in the record of a long one.
#[test]
fn markup_and_quotes_are_names_like_others() {
    let files = [("\"q\" & <b>'", &b"1"[..]), ("a\0b", b"2"), ("sub/index.html", b"3"), ("Log", b"4")];
    assert_eq!(names(&unpacked(&archive(files), LIMITS)), ["\"q\" & <b>'", "Log", "a", "sub/index.html"]);
}

#[test]
fn names_without_end_are_left_out() {
    for path in ["d/".repeat(1000) + "x", "x".repeat(300), "x".repeat(100_000)] {
        let unpacked = unpacked(&long(&path), LIMITS);
        assert_eq!(names(&unpacked), [""; 0]);
        assert_eq!(unpacked.left_out.files[0].0.len(), SHOWN);
    }
    let path = "d/".repeat(200) + "x";
    assert_eq!(names(&unpacked(&long(&path), LIMITS)), [path]);
}

#[test]
fn of_two_files_of_one_name_the_last_counts() {
    let unpacked = unpacked(&archive([("a", &b"1"[..]), ("./a", b"22"), ("b", b"3")]), LIMITS);
    assert_eq!(names(&unpacked), ["a", "b"]);
    assert_eq!(content(&unpacked, "a"), b"22");
}

#[test]
fn what_is_a_file_is_no_folder() {
    for files in [["a", "a/b"], ["a/b", "a"], ["a/b", "a/b/c/d"], ["a/b/c/d", "a/b"]] {
        let unpacked = unpacked(&archive(files.map(|it| (it, &b"x"[..]))), LIMITS);
        assert_eq!(names(&unpacked), [files[0]]);
        assert_eq!(unpacked.left_out.files[0].0, files[1]);
    }
}

#[test]
fn number_and_size_are_bounded() {
    let stream = archive(["a", "b", "c"].map(|it| (it, &b"12345"[..])));
    for (limits, kept, reason) in [
        (AttachmentLimits { files: 2, ..LIMITS }, 2, "there are more than 2 files"),
        (AttachmentLimits { bytes: 14, ..LIMITS }, 2, "together they are larger than 14 bytes"),
        (AttachmentLimits { largest: 4, ..LIMITS }, 0, "it is larger than 4 bytes"),
        (AttachmentLimits { files: 0, ..LIMITS }, 0, "there are more than 0 files"),
    ] {
        let unpacked = unpacked(&stream, limits);
        assert_eq!(names(&unpacked).len(), kept);
        assert!(unpacked.left_out.files.iter().all(|it| it.1 == reason), "{:?}", unpacked.left_out);
        assert_eq!(unpacked.left_out.total, 3 - kept as u64);
    }
}

#[test]
fn what_comes_after_a_file_that_is_too_large_is_kept() {
    let big = vec![b'x'; 501];
    let unpacked = unpacked(&archive([("big", big.as_slice()), ("small", b"x")]), LIMITS);
    assert_eq!(names(&unpacked), ["small"]);
    assert_eq!(unpacked.left_out.total, 1);
}

/// A file of a terabyte of holes: what was found before it is kept, and nobody reads it to its end.
#[test]
fn a_file_that_is_too_long_to_be_skipped_ends_it() {
    let mut archive = Builder::new(Vec::new());
    entry(&mut archive, "a", EntryType::Regular, b"1");
    entry_of(&mut archive, b"holes", EntryType::Regular, 1 << 40, b"");
    let stream = archive.into_inner().unwrap();
    let endless = stream[..2048].chain(io::repeat(0));
    let unpacked = unpack(endless, &std::env::temp_dir(), LIMITS, 1_000_000).unwrap();
    assert_eq!(names(&unpacked), ["a"]);
    assert!(unpacked.is_cut);
    let left_out: Vec<&str> = unpacked.left_out.files.iter().map(|it| it.0.as_str()).collect();
    assert_eq!(left_out, ["holes", "and others, maybe"]);
}

#[test]
fn a_stream_of_names_without_end_ends() {
    let unpacked =
        unpack(&archive((0..99).map(|_| ("a", &b""[..])))[..], &std::env::temp_dir(), LIMITS, 9000).unwrap();
    assert!(unpacked.is_cut);
    assert_eq!(names(&unpacked), ["a"]);
}

#[test]
fn the_stream_is_read_to_its_end() {
    let mut stream = archive([("a", &b"1"[..])]);
    stream.extend([0; 8192]);
    let mut rest = &stream[..];
    let unpacked = unpack(&mut rest, &std::env::temp_dir(), LIMITS, 1_000_000).unwrap();
    assert_eq!(names(&unpacked), ["a"]);
    assert!(rest.is_empty());
}

#[test]
fn a_broken_stream_is_an_error() {
    assert!(unpack(&[1_u8; 700][..], &std::env::temp_dir(), LIMITS, 1000).is_err());
}
