//! The files of a fleet: their names, and how they get into a folder.
//!
//! A file appears whole or not at all: it is written under another name in the same folder,
//! with its final mode from its first moment, synced, and then renamed.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::error::Error;

/// The CA's certificate: every program of a fleet has it.
pub const CA_CERTIFICATE: &str = "ca.pem";
/// The CA's key: no program needs it.
pub const CA_KEY: &str = "ca.key";
/// The broker's certificate.
pub const SERVER_CERTIFICATE: &str = "amqp-server.pem";
/// The broker's key.
pub const SERVER_KEY: &str = "amqp-server.key";
/// The certificate that every program shows to the broker.
pub const CLIENT_CERTIFICATE: &str = "amqp-client.pem";
/// The key of [`CLIENT_CERTIFICATE`].
pub const CLIENT_KEY: &str = "amqp-client.key";

/// What to do about files that are there already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Existing {
    /// Write nothing, and name each of them in an error.
    #[default]
    Refuse,
    /// Replace them.
    Replace,
}

/// Who may read a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Everybody: mode 0644, less the umask.
    Public,
    /// Its owner: mode 0600.
    Private,
}

impl Access {
    fn mode(self) -> u32 {
        match self {
            Self::Public => 0o644,
            Self::Private => 0o600,
        }
    }
}

/// A file to be. No `Debug`: the content may be a key.
pub(crate) struct NewFile {
    pub(crate) name: &'static str,
    pub(crate) content: String,
    pub(crate) access: Access,
}

/// Whether a path is taken, be it by a dangling link.
pub(crate) fn is_taken(path: &Path) -> Result<bool, Error> {
    match fs::symlink_metadata(path) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(source) => Err(Error::Read { path: path.to_owned(), source }),
    }
}

/// An error that names each of `names` that is in `dir` already, when those must stay.
pub(crate) fn check_free(dir: &Path, names: &[&str], existing: Existing) -> Result<(), Error> {
    if existing == Existing::Replace {
        return Ok(());
    }
    let mut paths = Vec::new();
    for name in names {
        let path = dir.join(name);
        if is_taken(&path)? {
            paths.push(path);
        }
    }
    if paths.is_empty() { Ok(()) } else { Err(Error::Exists { paths }) }
}

/// Puts files into `dir`, which is created (mode 0700) when it is not there, and returns their
/// paths. With [`Existing::Refuse`] it is all of them or none.
pub(crate) fn write_all(dir: &Path, files: &[NewFile], existing: Existing) -> Result<Vec<PathBuf>, Error> {
    let names: Vec<&str> = files.iter().map(|file| file.name).collect();
    check_free(dir, &names, existing)?;
    create_folder(dir)?;
    let staged = files.iter().map(|file| stage(dir, file)).collect::<Result<Vec<_>, _>>()?;
    let mut placed = Vec::new();
    for (file, path) in staged {
        if let Err(error) = place(file, &path, existing) {
            take_back(&placed, existing);
            return Err(error);
        }
        placed.push(path);
    }
    sync_folder(dir)?;
    Ok(placed)
}

fn create_folder(dir: &Path) -> Result<(), Error> {
    let created = DirBuilder::new().recursive(true).mode(0o700).create(dir);
    created.map_err(|source| Error::Write { path: dir.to_owned(), source })
}

/// Writes a file under a passing name next to its place. It vanishes when it is dropped.
fn stage(dir: &Path, file: &NewFile) -> Result<(NamedTempFile, PathBuf), Error> {
    let path = dir.join(file.name);
    let staged = write_staged(dir, file).map_err(|source| Error::Write { path: path.clone(), source })?;
    Ok((staged, path))
}

fn write_staged(dir: &Path, file: &NewFile) -> io::Result<NamedTempFile> {
    let mut staged = tempfile::Builder::new()
        .prefix(&format!(".{}.", file.name))
        .permissions(Permissions::from_mode(file.access.mode()))
        .tempfile_in(dir)?;
    staged.write_all(file.content.as_bytes())?;
    staged.as_file().sync_all()?;
    Ok(staged)
}

fn place(file: NamedTempFile, path: &Path, existing: Existing) -> Result<(), Error> {
    let placed = match existing {
        Existing::Refuse => file.persist_noclobber(path),
        Existing::Replace => file.persist(path),
    };
    match placed {
        Ok(_) => Ok(()),
        // Somebody else was faster since `check_free`.
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => {
            Err(Error::Exists { paths: vec![path.to_owned()] })
        }
        Err(error) => Err(Error::Write { path: path.to_owned(), source: error.error }),
    }
}

/// Removes what was placed before a failure. What was replaced cannot come back.
fn take_back(placed: &[PathBuf], existing: Existing) {
    if existing == Existing::Refuse {
        for path in placed {
            // The error that led here is the one to report.
            let _ = fs::remove_file(path);
        }
    }
}

fn sync_folder(dir: &Path) -> Result<(), Error> {
    let synced = File::open(dir).and_then(|folder| folder.sync_all());
    synced.map_err(|source| Error::Write { path: dir.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files() -> [NewFile; 2] {
        [
            NewFile { name: CA_CERTIFICATE, content: "public".to_owned(), access: Access::Public },
            NewFile { name: CA_KEY, content: "private".to_owned(), access: Access::Private },
        ]
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    #[test]
    fn a_new_folder_and_its_keys_are_private() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("a/b");
        let paths = write_all(&dir, &files(), Existing::Refuse).unwrap();
        assert_eq!(paths, [dir.join("ca.pem"), dir.join("ca.key")]);
        assert_eq!((mode(&dir), mode(&dir.join("ca.key"))), (0o700, 0o600));
        assert_eq!(mode(&dir.join("ca.pem")) & 0o600, 0o600);
        assert_eq!(fs::read_dir(&dir).unwrap().count(), 2, "no other file stays");
    }

    #[test]
    fn an_existing_file_is_named_and_nothing_is_written() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("ca.key"), "old").unwrap();
        let error = write_all(dir.path(), &files(), Existing::Refuse).unwrap_err();
        let place = dir.path().join("ca.key");
        assert_eq!(
            error.to_string(),
            format!("cannot create {}: it exists; --force replaces it", place.display())
        );
        assert_eq!(fs::read_to_string(place).unwrap(), "old");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_dangling_link_is_in_the_way_too() {
        let dir = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/nowhere", dir.path().join("ca.pem")).unwrap();
        let error = write_all(dir.path(), &files(), Existing::Refuse).unwrap_err();
        assert!(matches!(error, Error::Exists { .. }));
    }

    #[test]
    fn a_replaced_key_is_private_whatever_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let key = dir.path().join("ca.key");
        fs::write(&key, "old").unwrap();
        fs::set_permissions(&key, Permissions::from_mode(0o666)).unwrap();
        write_all(dir.path(), &files(), Existing::Replace).unwrap();
        assert_eq!((fs::read_to_string(&key).unwrap().as_str(), mode(&key)), ("private", 0o600));
    }

    #[test]
    fn a_failure_halfway_takes_back_what_was_placed() {
        let dir = tempfile::tempdir().unwrap();
        let mut twice = files();
        twice[1].name = CA_CERTIFICATE;
        let error = write_all(dir.path(), &twice, Existing::Refuse).unwrap_err();
        assert!(matches!(error, Error::Exists { .. }));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
