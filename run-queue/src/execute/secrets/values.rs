//! What the secrets of a run say, so that a log can be kept free of it.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use secrecy::{ExposeSecret, SecretSlice};

use super::super::InlineSecret;

/// How many files of external secrets are looked into, and how much of each: a larger one is no token or key.
const FILES: usize = 64;
const BYTES: u64 = 64 * 1024;
/// A folder of secrets has few other things in it.
const ENTRIES: usize = 1000;
const DEPTH: usize = 4;

/// The values of some secrets: each once, without the white space around it, as programs use them.
#[derive(Default)]
pub(super) struct Values {
    found: BTreeSet<Vec<u8>>,
    files: usize,
    entries: usize,
}

impl Values {
    pub(super) fn add_inline(&mut self, secret: &InlineSecret) {
        match secret {
            InlineSecret::Text(text) => self.add(text.expose_secret().as_bytes()),
            InlineSecret::Folder(files) => files.values().for_each(|it| self.add_inline(it)),
        }
    }

    /// A file or a folder of them. What cannot be read is the engine's to complain about.
    pub(super) fn add_external(&mut self, path: &Path) {
        self.look_into(path, 0);
    }

    pub(super) fn into_vec(self) -> Vec<SecretSlice<u8>> {
        self.found.into_iter().map(SecretSlice::from).collect()
    }

    fn add(&mut self, value: &[u8]) {
        let value = value.trim_ascii();
        if !value.is_empty() {
            self.found.insert(value.to_vec());
        }
    }

    fn look_into(&mut self, path: &Path, depth: usize) {
        self.entries += 1;
        let Ok(metadata) = fs::metadata(path) else { return };
        if self.entries > ENTRIES || depth > DEPTH {
            return;
        }
        if metadata.is_dir() {
            let mut inside: Vec<_> = fs::read_dir(path).into_iter().flatten().flatten().collect();
            inside.sort_by_key(fs::DirEntry::file_name);
            inside.iter().take(ENTRIES).for_each(|it| self.look_into(&it.path(), depth + 1));
        } else if metadata.is_file() && metadata.len() <= BYTES && self.files < FILES {
            self.files += 1;
            let mut value = Vec::new();
            let read = File::open(path).and_then(|it| it.take(BYTES).read_to_end(&mut value));
            if read.is_ok() {
                self.add(&value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn texts(values: Values) -> Vec<Vec<u8>> {
        values.into_vec().iter().map(|it| it.expose_secret().to_vec()).collect()
    }

    #[test]
    fn values_are_told_once_and_without_white_space_around_them() {
        let mut values = Values::default();
        let files = [("a", " one\n"), ("b", "two\nlines\n"), ("c", " \n"), ("d", "one")];
        let files = files.map(|(name, text)| (name.to_owned(), InlineSecret::Text(text.into())));
        values.add_inline(&InlineSecret::Folder(BTreeMap::from(files)));
        assert_eq!(texts(values), [b"one".to_vec(), b"two\nlines".to_vec()]);
    }

    #[test]
    fn external_ones_are_read_within_bounds() {
        let folder = tempfile::tempdir().unwrap();
        let within = |name: &str| folder.path().join(name);
        fs::create_dir(within("..data")).unwrap();
        fs::write(within("..data/token"), "hunter2\n").unwrap();
        // As Kubernetes mounts a secret.
        std::os::unix::fs::symlink("..data/token", within("token")).unwrap();
        fs::write(within("binary"), [0xff, 0, 0xfe]).unwrap();
        fs::write(within("image"), vec![b'x'; 64 * 1024 + 1]).unwrap();
        std::os::unix::fs::symlink(folder.path(), within("loop")).unwrap();
        std::os::unix::fs::symlink("/dev/zero", within("zero")).unwrap();
        let mut values = Values::default();
        values.add_external(folder.path());
        values.add_external(Path::new("/nowhere"));
        assert_eq!(texts(values), [b"hunter2".to_vec(), vec![0xff, 0, 0xfe]]);
        for number in 0..100 {
            fs::write(within(&format!("many-{number:03}")), number.to_string()).unwrap();
        }
        let mut values = Values::default();
        values.add_external(folder.path());
        assert!((10..=FILES).contains(&texts(values).len()));
    }
}
