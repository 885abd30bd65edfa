//! Answers in a folder: one file an entry, so that a process that dies at any moment leaves whole ones only.
//!
//! A file is a line of JSON (whose answer it is, its validators, a digest) and the body as it came. What is not of that form, or
//! not what its name says, is as good as absent.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, SystemTime};

use aws_lc_rs::digest::{SHA256, digest};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tempfile::Builder;

use super::entry::{Entry, Facts, Key};
use crate::Clock;

const ENTRY: &str = "answer";
/// Of a file that is being written.
const UNFINISHED: &str = ".unfinished-";
/// Entries that nobody asked for in so long are of pulls that are gone.
const OLDEST: Duration = Duration::from_hours(7 * 24);
/// How long a file may be unfinished before it is a dead process's.
const WRITING: Duration = Duration::from_hours(1);
/// In bytes: a sweep of a hundred repositories with 30 open pulls each keeps about 100 MB.
const MOST: u64 = 256 * 1024 * 1024;
/// Old entries are looked for when the first is written, and after so many.
const TIDY_EVERY: u32 = 500;

/// The first line of a file.
#[derive(Debug, Serialize, Deserialize)]
struct Head {
    /// Of this form.
    version: u32,
    key: Key,
    facts: Facts,
    /// SHA-256 of the body, hexadecimal.
    digest: String,
}

const VERSION: u32 = 1;

/// A folder of answers.
#[derive(Debug)]
pub(super) struct Disk {
    folder: PathBuf,
    clock: Clock,
    written: AtomicU32,
    /// Whether it was said that nothing can be kept.
    said: AtomicBool,
}

impl Disk {
    pub(super) const fn new(folder: PathBuf, clock: Clock) -> Self {
        Self { folder, clock, written: AtomicU32::new(0), said: AtomicBool::new(false) }
    }

    /// Blocks.
    pub(super) fn find(&self, key: &Key) -> Option<Entry> {
        let path = self.path(key)?;
        let entry = parse(&fs::read(&path).ok()?, key)?;
        // For the search for old ones. An entry that can't be touched is written again some day.
        let _ = File::options().append(true).open(&path).and_then(|it| it.set_modified(self.now()));
        Some(entry)
    }

    /// Blocks. What can't be kept is said once, and costs requests only.
    pub(super) fn keep(&self, key: &Key, entry: &Entry) {
        match self.write(key, entry) {
            Ok(()) => self.said.store(false, Ordering::Relaxed),
            Err(error) if !self.said.swap(true, Ordering::Relaxed) => {
                let folder = self.folder.display();
                tracing::warn!(%folder, %error, "answers of the forge cannot be kept in this folder");
            }
            Err(_) => {}
        }
        if self.written.fetch_add(1, Ordering::Relaxed).is_multiple_of(TIDY_EVERY) {
            self.tidy(MOST);
        }
    }

    fn write(&self, key: &Key, entry: &Entry) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.folder)?;
        let path = self.path(key).ok_or(io::ErrorKind::InvalidInput)?;
        let head = Head {
            version: VERSION,
            key: key.clone(),
            facts: entry.facts.clone(),
            digest: hex::encode(digest(&SHA256, &entry.body)),
        };
        // Of mode 0600, as the answers are for this credential only.
        let mut file = Builder::new().prefix(UNFINISHED).tempfile_in(&self.folder)?;
        serde_json::to_writer(&mut file, &head)?;
        file.write_all(b"\n")?;
        file.write_all(&entry.body)?;
        file.persist(path)?;
        Ok(())
    }

    /// Removes what is old, and what is too much; the least used goes first.
    fn tidy(&self, most: u64) {
        let Ok(folder) = fs::read_dir(&self.folder) else { return };
        let now = self.now();
        let mut kept = Vec::new();
        for found in folder.flatten() {
            let Some((path, oldest)) = ours(&found.path()) else { continue };
            let Ok((size, modified)) = found.metadata().and_then(|it| Ok((it.len(), it.modified()?))) else {
                continue;
            };
            if now.duration_since(modified).is_ok_and(|age| age > oldest) {
                let _ = fs::remove_file(path);
            } else {
                kept.push((modified, size, path));
            }
        }
        kept.sort_unstable();
        let mut total: u64 = kept.iter().map(|(_, size, _)| size).sum();
        for (_, size, path) in kept {
            if total <= most {
                return;
            }
            total -= size;
            let _ = fs::remove_file(path);
        }
    }

    fn path(&self, key: &Key) -> Option<PathBuf> {
        let name = digest(&SHA256, &serde_json::to_vec(key).ok()?);
        Some(self.folder.join(hex::encode(name)).with_extension(ENTRY))
    }

    fn now(&self) -> SystemTime {
        self.clock.now().into()
    }
}

/// A file of ours, and how old it may be; none for what somebody else put there.
fn ours(path: &Path) -> Option<(PathBuf, Duration)> {
    let name = path.file_name()?.to_str()?;
    let entry = name.strip_suffix(ENTRY).and_then(|it| it.strip_suffix('.'));
    let is_entry = entry.is_some_and(|it| it.len() == 64 && it.bytes().all(|it| it.is_ascii_hexdigit()));
    let oldest = if is_entry { OLDEST } else { WRITING };
    (is_entry || name.starts_with(UNFINISHED)).then(|| (path.to_owned(), oldest))
}

fn parse(file: &[u8], key: &Key) -> Option<Entry> {
    let end = file.iter().position(|it| *it == b'\n')?;
    let (head, body) = file.split_at(end);
    let body = body.get(1..)?;
    let Head { version, key: found, facts, digest: expected } = serde_json::from_slice(head).ok()?;
    let whole = hex::encode(digest(&SHA256, body)) == expected;
    (version == VERSION && found == *key && whole)
        .then(|| Entry { facts, body: Bytes::copy_from_slice(body) })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::super::entry::tests::{entry, key};
    use super::*;

    fn disk() -> (tempfile::TempDir, Disk) {
        let folder = tempfile::tempdir().unwrap();
        let disk = Disk::new(folder.path().join("deep/er"), Clock::system());
        (folder, disk)
    }

    fn files(disk: &Disk) -> Vec<PathBuf> {
        let mut files: Vec<_> = fs::read_dir(&disk.folder).unwrap().map(|it| it.unwrap().path()).collect();
        files.sort();
        files
    }

    #[test]
    fn an_entry_is_found_again_and_is_nobody_elses() {
        let (_folder, disk) = disk();
        let (one, two) = (key("http://x/1"), key("http://x/2"));
        assert_eq!(disk.find(&one), None);
        disk.keep(&one, &entry("[1]\n[2]"));
        disk.keep(&two, &entry(""));
        assert_eq!(disk.find(&one), Some(entry("[1]\n[2]")));
        assert_eq!(disk.find(&two), Some(entry("")));
        for file in files(&disk) {
            assert_eq!(fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
        }
        assert_eq!(fs::metadata(&disk.folder).unwrap().permissions().mode() & 0o777, 0o700);
    }

    #[test]
    fn what_is_broken_or_not_ours_is_absent() {
        let (_folder, disk) = disk();
        let key = key("http://x/");
        disk.keep(&key, &entry("[1]"));
        let path = files(&disk).remove(0);
        let whole = fs::read(&path).unwrap();
        let (mut changed, mut short) = (whole.clone(), whole.clone());
        *changed.last_mut().unwrap() = b'x';
        short.pop();
        let other = String::from_utf8(whole.clone()).unwrap().replace("http://x/", "http://y/");
        for bad in
            [changed, short, other.into_bytes(), b"\n".to_vec(), b"{}\n".to_vec(), Vec::new(), vec![255; 64]]
        {
            fs::write(&path, &bad).unwrap();
            assert_eq!(disk.find(&key), None, "{}", String::from_utf8_lossy(&bad));
        }
        fs::write(&path, whole).unwrap();
        assert!(disk.find(&key).is_some());
        disk.keep(&key, &entry("[2]"));
        assert_eq!(disk.find(&key), Some(entry("[2]")));
    }

    #[test]
    fn a_folder_has_a_bound_and_strangers_stay() {
        let (_folder, disk) = disk();
        for number in 0..4 {
            disk.keep(&key(&format!("http://x/{number}")), &entry(&"x".repeat(1000)));
        }
        fs::write(disk.folder.join("notes.txt"), "x".repeat(9000)).unwrap();
        fs::write(disk.folder.join("x.answer"), "mine").unwrap();
        let age = |path: &Path, age: Duration| {
            File::options().append(true).open(path).unwrap().set_modified(disk.now() - age).unwrap();
        };
        let path = |number: u32| disk.path(&key(&format!("http://x/{number}"))).unwrap();
        age(&path(0), OLDEST + Duration::from_secs(1));
        age(&path(1), Duration::from_hours(2));
        age(&path(2), Duration::from_hours(3));
        let dead = disk.folder.join(format!("{UNFINISHED}abc"));
        fs::write(&dead, "").unwrap();
        age(&dead, Duration::from_hours(2));
        // Using it makes it young.
        assert!(disk.find(&key("http://x/2")).is_some());
        disk.tidy(2600);
        let there: Vec<_> = (0..4).map(|it| path(it).exists()).collect();
        assert_eq!(there, [false, false, true, true]);
        assert!(!dead.exists());
        assert!(disk.folder.join("notes.txt").exists() && disk.folder.join("x.answer").exists());
    }

    #[test]
    fn a_folder_that_cannot_be_is_no_cache() {
        let folder = tempfile::NamedTempFile::new().unwrap();
        let disk = Disk::new(folder.path().to_owned(), Clock::system());
        disk.keep(&key("http://x/"), &entry("[1]"));
        assert_eq!(disk.find(&key("http://x/")), None);
    }
}
