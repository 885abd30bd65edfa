//! What a worker has begun, on its disk: the next one that starts on this host goes on with it, if nobody else has begun it since.
//!
//! Each worker has a folder of its own below `workers` in the folder for what it keeps, and holds the lock of a file in it for as long as
//! it lives. A folder whose lock can be had is that of a worker that is gone: its records come into the folder of the one who
//! looked.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use common::broker::ClaimKey;
use common::id::{CommitSha, DeliveryId, SecretName, TaskId};
use common::records::{RecordName, Records, RecordsError};
use serde::{Deserialize, Serialize};

/// Below the folder of what a worker keeps.
const FOLDER: &str = "workers";
/// Of the form of what is kept.
const VERSION: u32 = 1;
/// Its lock says that the worker lives.
const LOCK: &str = ".lock";

/// The records of this worker.
#[derive(Clone, Debug)]
pub(super) struct Journal(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// The name of the worker's folder, which is the worker's own.
    worker: String,
    folder: PathBuf,
    records: Records<Begun>,
    _lock: File,
}

/// A job whose container was about to be started, with all that is needed to go on with it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Begun {
    /// Which task it is.
    pub(super) task: TaskId,
    /// The worker that started it, as its container says, however many have gone on with it since.
    pub(super) worker: String,
    /// The number of the attempt.
    pub(super) attempt: u32,
    /// The queue that its message came from, by our name for it.
    pub(super) queue: String,
    /// The event that all this began with.
    pub(super) delivery: Option<DeliveryId>,
    /// The trace that it belongs to.
    pub(super) trace: String,
    /// Its message.
    pub(super) body: String,
    /// The claim on it.
    pub(super) claim: ClaimKey,
    /// The commit that it reports on.
    pub(super) sha: CommitSha,
    /// What its log says before what the container prints.
    pub(super) header: String,
    /// The secrets that it was given.
    pub(super) given: Vec<SecretName>,
    /// When, in seconds since 1970.
    pub(super) since: i64,
    pub(super) state: State,
}

/// How far it has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum State {
    /// It may have a container.
    Runs,
    /// The forge knows how it ended; its message may not be settled.
    Told,
}

/// Why there is no journal.
#[derive(Debug, thiserror::Error)]
pub(super) enum JournalError {
    #[error("{}: cannot be {doing}", path.display())]
    Folder { path: PathBuf, doing: &'static str, source: io::Error },
    #[error(transparent)]
    Records(#[from] RecordsError),
}

/// What workers have left that are gone.
#[derive(Debug, Default)]
pub(super) struct Inheritance {
    /// Their names, which are on their containers.
    pub(super) workers: Vec<String>,
    /// What they had begun.
    pub(super) begun: Vec<Begun>,
}

impl Journal {
    /// Makes one for this worker, and takes over what others have left.
    pub(super) fn open(state: &Path, host: &str) -> Result<(Self, Inheritance), JournalError> {
        let all = state.join(FOLDER);
        let worker = format!("{host}.{:016x}", fastrand::u64(..));
        let folder = all.join(&worker);
        let failed = |doing| {
            let path = folder.clone();
            move |source| JournalError::Folder { path, doing, source }
        };
        // Locked before it has its name: who looks meanwhile must not take it for one that was left.
        DirBuilder::new().recursive(true).mode(0o700).create(&all).map_err(failed("made"))?;
        let made = tempfile::Builder::new().prefix(".").tempdir_in(&all).map_err(failed("made"))?;
        let lock = File::create_new(made.path().join(LOCK)).map_err(failed("locked"))?;
        lock.lock().map_err(failed("locked"))?;
        fs::rename(made.keep(), &folder).map_err(failed("made"))?;
        let records = Records::new(folder.clone(), VERSION);
        let journal = Self(Arc::new(Inner { worker, folder, records, _lock: lock }));
        let inheritance = journal.inherit(&all)?;
        Ok((journal, inheritance))
    }

    /// What is on the containers of this worker.
    pub(super) fn worker(&self) -> &str {
        &self.0.worker
    }

    fn inherit(&self, all: &Path) -> Result<Inheritance, JournalError> {
        let mut inheritance = Inheritance::default();
        let entries = fs::read_dir(all).map_err(|source| JournalError::Folder {
            path: all.to_owned(),
            doing: "listed",
            source,
        })?;
        for entry in entries.flatten() {
            let Ok(worker) = entry.file_name().into_string() else { continue };
            if worker == self.0.worker || worker.starts_with('.') {
                continue;
            }
            // Its lock is held to the end of this, so two that start together do not both take it.
            let Some(_lock) = lock_of(&entry.path()) else { continue };
            let theirs: Records<Begun> = Records::new(entry.path(), VERSION);
            for (name, begun) in theirs.all()? {
                self.0.records.put(&name, &begun)?;
                inheritance.begun.push(begun);
            }
            if let Err(error) = fs::remove_dir_all(entry.path()) {
                tracing::warn!(%error, worker, "the folder of a worker that is gone is left");
            }
            inheritance.workers.push(worker);
        }
        Ok(inheritance)
    }

    /// Writes down how far a job is.
    pub(super) async fn put(&self, begun: Begun) -> Result<(), JournalError> {
        let inner = Arc::clone(&self.0);
        on_disk(move || Ok(inner.records.put(&RecordName::of_task(&begun.task), &begun)?)).await
    }

    /// The forge knows how this one has ended.
    pub(super) async fn told(&self, task: &TaskId) -> Result<(), JournalError> {
        let (inner, name) = (Arc::clone(&self.0), RecordName::of_task(task));
        on_disk(move || match inner.records.get(&name)? {
            Some(begun) => Ok(inner.records.put(&name, &Begun { state: State::Told, ..begun })?),
            None => Ok(()),
        })
        .await
    }

    /// Forgets one: there is nothing left to go on with.
    pub(super) async fn remove(&self, task: &TaskId) -> Result<(), JournalError> {
        let (inner, name) = (Arc::clone(&self.0), RecordName::of_task(task));
        on_disk(move || Ok(inner.records.remove(&name)?)).await
    }
}

impl Drop for Inner {
    /// Nothing is left of a worker that has nothing to leave.
    fn drop(&mut self) {
        if self.records.all().is_ok_and(|it| it.is_empty()) {
            let _ = fs::remove_dir_all(&self.folder);
        }
    }
}

async fn on_disk(
    doing: impl FnOnce() -> Result<(), JournalError> + Send + 'static,
) -> Result<(), JournalError> {
    let done = tokio::task::spawn_blocking(doing).await;
    done.unwrap_or_else(|error| {
        let (path, source) = (PathBuf::from(FOLDER), io::Error::other(error));
        Err(JournalError::Folder { path, doing: "written", source })
    })
}

/// The lock of a worker's folder, if that worker is gone.
fn lock_of(folder: &Path) -> Option<File> {
    let lock = File::open(folder.join(LOCK)).ok()?;
    lock.try_lock().ok()?;
    Some(lock)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begun(task: &str) -> Begun {
        Begun {
            task: task.parse().unwrap(),
            worker: "host.1".to_owned(),
            attempt: 1,
            queue: "public".to_owned(),
            delivery: None,
            trace: String::new(),
            body: "{}".to_owned(),
            claim: ClaimKey::of_message(&task.parse().unwrap()),
            sha: "abcdef".parse().unwrap(),
            header: "a\nb\n".to_owned(),
            given: Vec::new(),
            since: 0,
            state: State::Runs,
        }
    }

    #[tokio::test]
    async fn what_a_worker_leaves_is_the_next_ones() {
        let state = tempfile::tempdir().unwrap();
        let (first, nothing) = Journal::open(state.path(), "host").unwrap();
        assert!(nothing.begun.is_empty() && nothing.workers.is_empty());
        first.put(begun("one")).await.unwrap();
        first.put(begun("two")).await.unwrap();
        first.remove(&"two".parse().unwrap()).await.unwrap();
        // While it lives, what it has begun is its own.
        let (second, nothing) = Journal::open(state.path(), "host").unwrap();
        assert!(nothing.begun.is_empty());
        let gone = first.worker().to_owned();
        drop((first, second));
        let (third, left) = Journal::open(state.path(), "host").unwrap();
        assert_eq!(left.workers, [gone]);
        assert_eq!(left.begun.iter().map(|it| it.task.as_str()).collect::<Vec<_>>(), ["one"]);
        assert_eq!(left.begun[0].header, "a\nb\n");
        drop(third);
        let (_fourth, left) = Journal::open(state.path(), "host").unwrap();
        assert_eq!(left.begun.len(), 1, "until it is done with");
    }
}
