//! What a program has to remember when it is started again: records in a folder, one JSON file each.
//!
//! A record is there as a whole or not at all, and when [`Records::put`] returns it outlasts a power cut. A file that is none of
//! ours, or of a version that is not known, is set aside with an error in the log: it never keeps a program from its work.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Read, Write};
use std::marker::PhantomData;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Chain;
use crate::id::TaskId;

/// The longest record that is read, in bytes.
const LONGEST: u64 = 4 * 1024 * 1024;
const SUFFIX: &str = ".json";
/// What is appended to the name of a file that is set aside.
const ASIDE: &str = ".aside";
/// Everybody may write to a folder with this bit, and remove only what is theirs.
const STICKY: u32 = 0o1000;

/// A folder of records of one kind. Calls block for as long as the disk takes.
#[derive(Debug)]
pub struct Records<T> {
    folder: PathBuf,
    version: u32,
    kind: PhantomData<fn() -> T>,
}

/// What a record is called: the name of its file, without the ending.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RecordName(String);

impl RecordName {
    /// One that nobody has had; later ones sort after earlier ones.
    #[must_use]
    pub fn fresh() -> Self {
        Self(uuid::Uuid::now_v7().to_string())
    }

    /// The one that is about this task.
    #[must_use]
    pub fn of_task(task: &TaskId) -> Self {
        Self(task.to_string())
    }
}

/// What the folder of a program's records cannot do.
#[derive(Debug, thiserror::Error)]
#[error("{}: cannot be {doing}", path.display())]
pub struct RecordsError {
    path: PathBuf,
    doing: &'static str,
    source: io::Error,
}

impl RecordsError {
    fn new<'a>(doing: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> Self + use<'a> {
        move |source| Self { path: path.to_owned(), doing, source }
    }
}

/// What is in a file.
#[derive(Serialize, Deserialize)]
struct Wire<T> {
    version: u32,
    record: T,
}

impl<T: Serialize + DeserializeOwned> Records<T> {
    /// For records whose form has this version. Does nothing yet.
    #[must_use]
    pub const fn new(folder: PathBuf, version: u32) -> Self {
        Self { folder, version, kind: PhantomData }
    }

    /// Where they are.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Makes the folder where it is missing, for this user alone, and makes sure that it can be written to.
    pub fn prepare(&self) -> Result<(), RecordsError> {
        self.make()?;
        let probe = tempfile::NamedTempFile::new_in(&self.folder);
        probe.and_then(tempfile::NamedTempFile::close).map_err(RecordsError::new("written to", &self.folder))
    }

    /// Stores a record, in the place of a former one of this name. When this returns it is durable.
    pub fn put(&self, name: &RecordName, record: &T) -> Result<(), RecordsError> {
        self.make()?;
        let path = self.path(name);
        self.write(&path, record).map_err(RecordsError::new("written", &path))
    }

    /// Reads one; none where there is none.
    pub fn get(&self, name: &RecordName) -> Result<Option<T>, RecordsError> {
        self.read(&self.path(name))
    }

    /// Removes one, durably; it is fine if there is none.
    pub fn remove(&self, name: &RecordName) -> Result<(), RecordsError> {
        let path = self.path(name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed.and_then(|()| self.sync()).map_err(RecordsError::new("removed", &path)),
        }
    }

    /// All of them, in the order of their names. What is no record is set aside.
    pub fn all(&self) -> Result<Vec<(RecordName, T)>, RecordsError> {
        let mut records = Vec::new();
        for name in self.names()? {
            if let Some(record) = self.get(&name)? {
                records.push((name, record));
            }
        }
        Ok(records)
    }

    fn names(&self) -> Result<Vec<RecordName>, RecordsError> {
        let error = RecordsError::new("listed", &self.folder);
        let entries = match fs::read_dir(&self.folder) {
            Err(missing) if missing.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.and_then(Iterator::collect::<io::Result<Vec<_>>>).map_err(error)?,
        };
        let files = entries.iter().filter_map(|it| it.file_name().into_string().ok());
        let ours = files.filter(|it| !it.starts_with('.'));
        let mut names: Vec<_> =
            ours.filter_map(|it| it.strip_suffix(SUFFIX).map(|it| RecordName(it.to_owned()))).collect();
        names.sort();
        Ok(names)
    }

    fn path(&self, name: &RecordName) -> PathBuf {
        self.folder.join(format!("{}{SUFFIX}", name.0))
    }

    fn make(&self) -> Result<(), RecordsError> {
        let error = || RecordsError::new("made", &self.folder);
        DirBuilder::new().recursive(true).mode(0o700).create(&self.folder).map_err(error())?;
        let folder = self.folder.canonicalize().map_err(error())?;
        match folder.ancestors().find(|it| is_somebody_elses(it)) {
            Some(theirs) => {
                let problem = format!("{} is there, and somebody else's", theirs.display());
                Err(error()(io::Error::other(problem)))
            }
            None => Ok(()),
        }
    }

    fn write(&self, path: &Path, record: &T) -> io::Result<()> {
        let mut file = tempfile::NamedTempFile::new_in(&self.folder)?;
        serde_json::to_writer(&mut file, &Wire { version: self.version, record })?;
        file.write_all(b"\n")?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        self.sync()
    }

    fn sync(&self) -> io::Result<()> {
        File::open(&self.folder)?.sync_all()
    }

    fn read(&self, path: &Path) -> Result<Option<T>, RecordsError> {
        let error = RecordsError::new("read", path);
        let mut text = Vec::new();
        let file = match File::open(path) {
            Err(missing) if missing.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file,
        };
        file.and_then(|it| it.take(LONGEST + 1).read_to_end(&mut text)).map_err(error)?;
        match self.parse(&text) {
            Ok(record) => Ok(Some(record)),
            Err(problem) => {
                set_aside(path, &problem);
                Ok(None)
            }
        }
    }

    fn parse(&self, text: &[u8]) -> Result<T, String> {
        if u64::try_from(text.len()).map_or(true, |it| it > LONGEST) {
            return Err(format!("it has more than {LONGEST} bytes"));
        }
        let problem = |it: serde_json::Error| it.to_string();
        // A version that is not known may hold anything.
        let Wire { version, record } = serde_json::from_slice::<Wire<Value>>(text).map_err(problem)?;
        if version != self.version {
            return Err(format!("it is of version {version}, and this program knows {}", self.version));
        }
        serde_json::from_value(record).map_err(problem)
    }
}

/// Whether somebody has made this folder where everybody may make folders: who was quicker could read what we keep.
fn is_somebody_elses(folder: &Path) -> bool {
    let is_shared = |it: &Path| it.metadata().is_ok_and(|it| it.mode() & STICKY != 0);
    let trusted = [0, rustix::process::getuid().as_raw()];
    folder.parent().is_some_and(is_shared) && folder.metadata().is_ok_and(|it| !trusted.contains(&it.uid()))
}

/// Whatever it is, it must neither be lost nor be in the way.
fn set_aside(path: &Path, problem: &str) {
    let mut aside = path.as_os_str().to_owned();
    aside.push(ASIDE);
    let (file, aside) = (path.display(), PathBuf::from(aside));
    match fs::rename(path, &aside) {
        Ok(()) => {
            let now = aside.display();
            tracing::error!(%file, problem, aside = %now, "a record cannot be understood and is set aside; rename it back for a program that can");
        }
        Err(error) => {
            tracing::error!(%file, problem, error = %Chain(&error), "a record cannot be understood, nor set aside");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(folder: &Path, version: u32) -> Records<String> {
        Records::new(folder.join("a/b"), version)
    }

    #[test]
    fn records_are_there_in_the_order_in_which_they_came() {
        let folder = tempfile::tempdir().unwrap();
        let (one, other) = (records(folder.path(), 1), records(folder.path(), 1));
        assert!(one.all().unwrap().is_empty(), "there is no folder yet");
        one.prepare().unwrap();
        assert_eq!(one.folder().metadata().unwrap().mode() & 0o777, 0o700);
        let names: Vec<_> = std::iter::repeat_with(RecordName::fresh).take(100).collect();
        for (number, name) in names.iter().enumerate().rev() {
            one.put(name, &number.to_string()).unwrap();
        }
        one.put(&names[1], &"again".to_owned()).unwrap();
        one.remove(&names[0]).unwrap();
        one.remove(&names[0]).unwrap();
        let all = other.all().unwrap();
        assert_eq!(all.len(), 99);
        assert_eq!(
            (&all[0], &all[98]),
            (&(names[1].clone(), "again".into()), &(names[99].clone(), "99".into()))
        );
        assert_eq!((one.get(&names[0]).unwrap(), one.get(&names[2]).unwrap()), (None, Some("2".into())));
        assert_eq!(fs::read_dir(one.folder()).unwrap().count(), 99, "nothing but the records is left");
    }

    #[test]
    fn what_is_no_record_is_set_aside_and_harms_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let records = records(folder.path(), 1);
        let good = RecordName::fresh();
        records.put(&good, &"good".to_owned()).unwrap();
        let cut = fs::read(records.path(&good)).unwrap();
        let huge = vec![b' '; 5 * 1024 * 1024];
        let bad: [(&str, &[u8]); 7] = [
            ("empty", b""),
            ("garbage", b"\0\xff{"),
            ("cut", &cut[..cut.len() - 4]),
            ("other", b"{\"version\": 1, \"record\": {}}"),
            ("newer", b"{\"version\": 2, \"record\": \"x\", \"more\": 1}"),
            ("none", b"{\"record\": \"x\"}"),
            ("huge", &huge),
        ];
        for (name, content) in bad {
            fs::write(records.folder().join(format!("{name}.json")), content).unwrap();
        }
        fs::write(records.folder().join("README"), "not looked at").unwrap();
        assert_eq!(records.all().unwrap(), [(good, "good".to_owned())]);
        for (name, content) in bad {
            assert_eq!(fs::read(records.folder().join(format!("{name}.json.aside"))).unwrap(), content);
        }
    }

    #[test]
    fn a_folder_that_cannot_be_is_told() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a"), "a file").unwrap();
        let error = Chain(&records(folder.path(), 1).prepare().unwrap_err()).to_string();
        assert!(error.contains("a/b: cannot be made: "), "{error}");
        let error = Chain(&records(folder.path(), 1).put(&RecordName::fresh(), &String::new()).unwrap_err())
            .to_string();
        assert!(error.contains("cannot be made: "), "{error}");
    }
}
