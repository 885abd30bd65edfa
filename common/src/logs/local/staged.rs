//! A file that is being written, where nobody looks for it yet.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use super::super::error::LogError;

/// Begins the names of such files. What is left of one after a crash is removed with the former attempt.
const PREFIX: &str = ".flotilla-";

/// A file of a name of its own, in the folder where it belongs. Dropped before [`Staged::commit`], it is
/// removed.
#[derive(Debug)]
pub(super) struct Staged {
    temp: NamedTempFile,
    path: PathBuf,
}

impl Staged {
    /// For the object `name` below `root`; makes the folders on the way.
    pub(super) fn create(root: &Path, name: &Path) -> Result<Self, LogError> {
        let path = root.join(name);
        let dir = make_folders(root, name.parent().unwrap_or(Path::new("")))?;
        let temp = tempfile::Builder::new()
            .prefix(PREFIX)
            .permissions(Permissions::from_mode(0o644))
            .tempfile_in(&dir)
            .map_err(LogError::file("make a file in", &dir))?;
        Ok(Self { temp, path })
    }

    /// To be filled.
    pub(super) fn file(&self) -> &File {
        self.temp.as_file()
    }

    /// Where it will be.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Gives it its name, in the place of what had that before (a symbolic link is replaced, not followed).
    pub(super) fn commit(self) -> Result<(), LogError> {
        let Self { temp, path } = self;
        temp.persist(&path).map(|_| ()).map_err(|it| LogError::file("write", &path)(it.error))
    }
}

/// The root may be, or be below, a symbolic link; what is below it may not.
fn make_folders(root: &Path, below: &Path) -> Result<PathBuf, LogError> {
    let made = DirBuilder::new().recursive(true).mode(0o755).create(root);
    made.map_err(LogError::file("make the folder", root))?;
    below.iter().try_fold(root.to_owned(), |parent, part| make_folder(parent.join(part)))
}

fn make_folder(path: PathBuf) -> Result<PathBuf, LogError> {
    match DirBuilder::new().mode(0o755).create(&path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            Err(LogError::file("make the folder", &path)(error))
        }
        Err(_) if !is_folder(&path) => Err(LogError::NotAFolder { path }),
        _ => Ok(path),
    }
}

/// Whether it is a folder itself, not a link to one.
pub(super) fn is_folder(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|it| it.is_dir())
}
