//! A folder of a run's own, gone with it however it ends. A worker that is killed leaves it: as long as its maker lives it is locked, so
//! whoever finds one without a lock may remove it, or go on with it. So does a worker that hands its job over, on purpose.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

/// Another process may take a new folder for one that was left, once or twice.
const TRIES: usize = 5;

/// A private folder, locked as long as this lives and gone with it.
#[derive(Debug)]
pub(super) struct OwnFolder(LockedFolder);

/// A private folder that was left. As long as this lives, nobody else takes it.
#[derive(Debug)]
pub(super) struct LockedFolder {
    path: PathBuf,
    _lock: File,
}

impl OwnFolder {
    /// Makes a new one, with a name that begins like this.
    pub(super) fn make(place: &Path, prefix: &str) -> io::Result<Self> {
        for _ in 0..TRIES {
            let made = tempfile::Builder::new()
                .prefix(prefix)
                .permissions(Permissions::from_mode(0o700))
                .tempdir_in(place)?;
            if let Some(folder) = LockedFolder::lock(made.path())? {
                // From here on it is ours to remove.
                let _ = made.keep();
                return Ok(folder.own());
            }
        }
        Err(io::Error::other("somebody removes each new folder at once"))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0.path
    }

    /// Leaves it to whoever comes next. It stays locked for as long as this process lives.
    pub(super) fn leave(self) {
        std::mem::forget(self);
    }
}

impl Drop for OwnFolder {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(self.path()) {
            tracing::error!(folder = %self.path().display(), %error, "a folder of a run could not be removed");
        }
    }
}

impl LockedFolder {
    /// None where somebody else has the lock, or has removed it meanwhile.
    fn lock(path: &Path) -> io::Result<Option<Self>> {
        let flags = i32::try_from((OFlags::NOFOLLOW | OFlags::DIRECTORY).bits()).unwrap_or_default();
        let folder = match File::options().read(true).custom_flags(flags).open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other?,
        };
        match folder.try_lock() {
            Err(fs::TryLockError::WouldBlock) => return Ok(None),
            Err(fs::TryLockError::Error(error)) => return Err(error),
            Ok(()) => {}
        }
        let same =
            |it: &fs::Metadata, other: &fs::Metadata| (it.dev(), it.ino()) == (other.dev(), other.ino());
        let ours = folder.metadata()?;
        let is_there = fs::symlink_metadata(path).is_ok_and(|it| same(&it, &ours));
        Ok(is_there.then(|| Self { path: path.to_owned(), _lock: folder }))
    }

    /// Those of this user whose names begin like this, and whose makers are gone.
    pub(super) fn abandoned(place: &Path, prefix: &str) -> Vec<Self> {
        let ours = rustix::process::geteuid().as_raw();
        let entries = fs::read_dir(place).into_iter().flatten().flatten();
        let left = entries.filter_map(|entry| {
            entry.file_name().to_str()?.strip_prefix(prefix)?;
            let path = entry.path();
            let is_mine = fs::symlink_metadata(&path).is_ok_and(|it| it.is_dir() && it.uid() == ours);
            if is_mine { Self::lock(&path).ok().flatten() } else { None }
        });
        left.collect()
    }

    /// Its name after the beginning.
    pub(super) fn name_after(&self, prefix: &str) -> Option<&str> {
        self.path.file_name()?.to_str()?.strip_prefix(prefix)
    }

    /// From here on it is ours to remove.
    pub(super) fn own(self) -> OwnFolder {
        OwnFolder(self)
    }
}
