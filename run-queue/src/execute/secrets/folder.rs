//! Where inline secrets are for a run: a private folder in memory, which nothing writes to a disk.
//!
//! The folder belongs to a task, and is gone with its [`SecretFolder`] however the run ends. A worker that is killed leaves it;
//! as long as its maker lives, it is locked, so whoever finds one without a lock may remove it, or go on with it. So does a worker
//! that hands its job over, on purpose.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use common::id::TaskId;
use rustix::fs::{Access, OFlags};

const PREFIX: &str = "flotilla-secrets-";
/// statfs(2): what memory calls itself.
const TMPFS: u32 = 0x0102_1994;
const RAMFS: u32 = 0x8584_58f6;
/// Another process may take a new folder for one that was left, once or twice.
const TRIES: usize = 5;

/// None of the places will do.
#[derive(Debug, thiserror::Error)]
#[error(
    "there is no folder in memory for inline secrets: {tried} can be written to and is a tmpfs; mount one, and name it in secrets.dir"
)]
pub struct NoPlace {
    tried: String,
}

/// A private folder, locked as long as this lives and gone with it.
#[derive(Debug)]
pub(in super::super) struct SecretFolder(LockedFolder);

/// A private folder that was left. As long as this lives, nobody else takes it.
#[derive(Debug)]
pub(in super::super) struct LockedFolder {
    path: PathBuf,
    task: TaskId,
    _lock: File,
}

impl SecretFolder {
    /// Makes a new one for a task, in the first of these places that is in memory.
    pub(super) fn make(places: &[PathBuf], task: &TaskId) -> io::Result<Self> {
        let place = place(places).map_err(io::Error::other)?;
        for _ in 0..TRIES {
            let made = tempfile::Builder::new()
                .prefix(&format!("{PREFIX}{task}."))
                .permissions(Permissions::from_mode(0o700))
                .tempdir_in(place)?;
            if let Some(folder) = LockedFolder::lock(made.path(), task.clone())? {
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

    /// Leaves it to whoever goes on with its task. It stays locked for as long as this process lives.
    pub(in super::super) fn leave(self) {
        std::mem::forget(self);
    }

    /// Makes a folder that everybody in the container can look into; who is outside cannot reach it.
    pub(super) fn make_dir(path: &Path) -> io::Result<()> {
        DirBuilder::new().mode(0o755).create(path)
    }
}

impl LockedFolder {
    /// None where somebody else has the lock, or has removed it meanwhile.
    fn lock(path: &Path, task: TaskId) -> io::Result<Option<Self>> {
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
        Ok(is_there.then(|| Self { path: path.to_owned(), task, _lock: folder }))
    }

    /// The task that it was made for.
    pub(in super::super) fn task(&self) -> &TaskId {
        &self.task
    }

    /// Removes what nobody goes on with.
    pub(in super::super) fn remove(self) {
        tracing::warn!(task.id = %self.task, "the secrets of a task were left by a worker that is gone, and are removed");
        drop(self.own());
    }

    /// From here on it is ours to remove.
    pub(in super::super) fn own(self) -> SecretFolder {
        SecretFolder(self)
    }
}

impl Drop for SecretFolder {
    fn drop(&mut self) {
        let LockedFolder { path, .. } = &self.0;
        if let Err(error) = fs::remove_dir_all(path) {
            tracing::error!(folder = %path.display(), %error, "a folder of secrets could not be removed");
        }
    }
}

/// The first of these that is in memory, and that we can write to.
pub(in super::super) fn place(places: &[PathBuf]) -> Result<&Path, NoPlace> {
    let fits = |it: &&PathBuf| {
        is_memory(it) && rustix::fs::access(it.as_path(), Access::WRITE_OK | Access::EXEC_OK).is_ok()
    };
    places.iter().find(fits).map(PathBuf::as_path).ok_or_else(|| {
        let tried: Vec<_> = places.iter().map(|it| it.display().to_string()).collect();
        NoPlace { tried: format!("none of {}", tried.join(", ")) }
    })
}

fn is_memory(path: &Path) -> bool {
    let kind = rustix::fs::statfs(path).ok().and_then(|it| u32::try_from(it.f_type & 0xffff_ffff).ok());
    kind.is_some_and(|it| [TMPFS, RAMFS].contains(&it))
}

/// The folders that processes left that are gone.
pub(in super::super) fn abandoned(places: &[PathBuf]) -> Vec<LockedFolder> {
    let entries = places.iter().filter_map(|it| fs::read_dir(it).ok()).flatten().flatten();
    let left = entries.filter_map(|entry| {
        let task = task_of(entry.file_name().to_str()?)?;
        let (path, ours) = (entry.path(), rustix::process::geteuid().as_raw());
        let mine = fs::symlink_metadata(&path).is_ok_and(|it| it.is_dir() && it.uid() == ours);
        if mine { LockedFolder::lock(&path, task).ok().flatten() } else { None }
    });
    left.collect()
}

fn task_of(name: &str) -> Option<TaskId> {
    let (task, _random) = name.strip_prefix(PREFIX)?.rsplit_once('.')?;
    TaskId::new(task).ok()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A folder in memory for one test. Where there is none, such as on a Mac, there is nothing to test.
    pub(in super::super) fn memory() -> tempfile::TempDir {
        tempfile::Builder::new().prefix("flotilla-test-").tempdir_in("/dev/shm").unwrap()
    }

    fn task(id: &str) -> TaskId {
        TaskId::new(id).unwrap()
    }

    #[test]
    fn only_memory_will_do() {
        let (memory, disk) = (memory(), tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap());
        let places = [disk.path().to_owned(), "/nowhere".into(), memory.path().to_owned()];
        assert_eq!(place(&places).unwrap(), memory.path());
        let error = place(&places[..2]).unwrap_err().to_string();
        assert!(
            error.contains("none of ") && error.contains("/nowhere") && error.contains("secrets.dir"),
            "{error}"
        );
        let error = SecretFolder::make(&places[..2], &task("a")).unwrap_err().to_string();
        assert!(error.contains("secrets.dir"), "{error}");
        assert!(fs::read_dir(disk.path()).unwrap().next().is_none());
    }

    #[test]
    fn a_folder_is_private_and_goes_with_its_run() {
        let memory = memory();
        let places = [memory.path().to_owned()];
        let folder = SecretFolder::make(&places, &task("0199-a.b")).unwrap();
        let path = folder.path().to_owned();
        let mode = fs::metadata(&path).unwrap().mode();
        assert_eq!((mode & 0o777, folder.0.task().as_str()), (0o700, "0199-a.b"));
        fs::write(path.join("s"), "x").unwrap();
        assert!(abandoned(&places).is_empty(), "its maker lives");
        let panicked = std::thread::spawn(move || {
            let _folder = folder;
            panic!("as a handler may");
        });
        assert!(panicked.join().is_err());
        assert!(!path.exists());
    }

    #[test]
    fn what_a_process_left_that_is_gone_is_found_once() {
        let memory = memory();
        let places = [memory.path().to_owned()];
        // Without a lock, as when its maker was killed.
        let path = memory.path().join(format!("{PREFIX}t.1.x7Yz"));
        fs::create_dir(&path).unwrap();
        fs::write(path.join("secret"), "x").unwrap();
        fs::write(memory.path().join(format!("{PREFIX}t.file")), "no folder").unwrap();
        fs::create_dir(memory.path().join("other")).unwrap();
        std::os::unix::fs::symlink("/", memory.path().join(format!("{PREFIX}t.link"))).unwrap();
        let found = abandoned(&places);
        assert_eq!(found.iter().map(|it| it.task().as_str()).collect::<Vec<_>>(), ["t.1"]);
        assert!(abandoned(&places).is_empty(), "who found it has it");
        drop(found);
        assert!(path.exists(), "who looked need not be the one who removes it");
        abandoned(&places).into_iter().for_each(LockedFolder::remove);
        assert!(!path.exists());
        assert!(memory.path().join("other").exists());
    }
}
