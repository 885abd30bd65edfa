//! Where inline secrets are for a run: a private folder in memory, which nothing writes to a disk. It belongs to a task, so whoever
//! goes on with a job that was left finds what its container was given.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use common::id::TaskId;
use rustix::fs::Access;

use super::super::folder::{LockedFolder, OwnFolder};

const PREFIX: &str = "flotilla-secrets-";
/// statfs(2): what memory calls itself.
const TMPFS: u32 = 0x0102_1994;
const RAMFS: u32 = 0x8584_58f6;

/// None of the places will do.
#[derive(Debug, thiserror::Error)]
#[error(
    "there is no folder in memory for inline secrets: {tried} can be written to and is a tmpfs; mount one, and name it in secrets.dir"
)]
pub struct NoPlace {
    tried: String,
}

/// The folder of a task's secrets, gone with this.
#[derive(Debug)]
pub(in super::super) struct SecretFolder(OwnFolder);

/// One that a worker left that is gone.
#[derive(Debug)]
pub(in super::super) struct LeftSecrets {
    folder: LockedFolder,
    task: TaskId,
}

impl SecretFolder {
    /// Makes a new one for a task, in the first of these places that is in memory.
    pub(super) fn make(places: &[PathBuf], task: &TaskId) -> io::Result<Self> {
        let place = place(places).map_err(io::Error::other)?;
        OwnFolder::make(place, &format!("{PREFIX}{task}.")).map(Self)
    }

    pub(super) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Leaves it to whoever goes on with its task. It stays locked for as long as this process lives.
    pub(in super::super) fn leave(self) {
        self.0.leave();
    }

    /// Makes a folder that everybody in the container can look into; who is outside cannot reach it.
    pub(super) fn make_dir(path: &Path) -> io::Result<()> {
        DirBuilder::new().mode(0o755).create(path)
    }
}

impl LeftSecrets {
    /// The task that they were for.
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
        SecretFolder(self.folder.own())
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
pub(in super::super) fn abandoned(places: &[PathBuf]) -> Vec<LeftSecrets> {
    let left = places.iter().flat_map(|it| LockedFolder::abandoned(it, PREFIX));
    left.filter_map(|folder| {
        let (task, _random) = folder.name_after(PREFIX)?.rsplit_once('.')?;
        Some(LeftSecrets { task: TaskId::new(task).ok()?, folder })
    })
    .collect()
}

#[cfg(test)]
pub(super) mod tests {
    use std::fs;
    use std::os::unix::fs::MetadataExt;

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
        assert_eq!(mode & 0o777, 0o700);
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
        abandoned(&places).into_iter().for_each(LeftSecrets::remove);
        assert!(!path.exists());
        assert!(memory.path().join("other").exists());
    }
}
