//! What a worker has begun, on its disk: the next one that starts on this host goes on with it, if nobody else has begun it since.
//!
//! Each worker has a folder of its own below `workers` in the folder for what it keeps, and holds the lock of a file in it for as long as
//! it lives. A folder whose lock can be had is that of a worker that is gone: its records come into the folder of the one who
//! looked, if that one serves the same queues. What is internal is not for everybody.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use common::Chain;
use common::broker::ClaimKey;
use common::id::{CommitSha, DeliveryId, SecretName, TaskId};
use common::queue::Queue;
use common::records::{RecordName, Records, RecordsError};
use serde::{Deserialize, Serialize};

/// Below the folder of what a worker keeps.
const FOLDER: &str = "workers";
/// Of the form of what is kept.
const VERSION: u32 = 1;
/// Its lock says that the worker lives, and what is in it which queues it serves, a line each.
const LOCK: &str = ".lock";

/// The records of this worker.
#[derive(Clone, Debug)]
pub(super) struct Journal(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// The name of the worker's folder, which is the worker's own.
    worker: String,
    /// Of all workers.
    all: PathBuf,
    folder: PathBuf,
    queues: Vec<&'static str>,
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
    /// How many workers are gone that had it, since one has handed it over.
    #[serde(default)]
    pub(super) deaths: u32,
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
    /// Makes one for this worker, which serves these queues.
    pub(super) fn open(state: &Path, host: &str, queues: &[Queue]) -> Result<Self, JournalError> {
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
        let queues: Vec<_> = queues.iter().map(|it| it.name()).collect();
        let mut lock = File::create_new(made.path().join(LOCK)).map_err(failed("locked"))?;
        lock.lock().and_then(|()| lock.write_all(queues.join("\n").as_bytes())).map_err(failed("locked"))?;
        fs::rename(made.keep(), &folder).map_err(failed("made"))?;
        let records = Records::new(folder.clone(), VERSION);
        Ok(Self(Arc::new(Inner { worker, all, folder, queues, records, _lock: lock })))
    }

    /// What is on the containers of this worker.
    pub(super) fn worker(&self) -> &str {
        &self.0.worker
    }

    /// Takes over what workers have left that are gone.
    pub(super) async fn inherit(&self) -> Result<Inheritance, JournalError> {
        let inner = Arc::clone(&self.0);
        on_disk(move || inner.inherit()).await
    }

    /// Whether some worker, alive or gone, has begun this and is not done with it. What cannot be read may have.
    pub(super) fn knows(&self, task: &TaskId) -> bool {
        let name = RecordName::of_task(task);
        let folders = fs::read_dir(&self.0.all).into_iter().flatten().flatten();
        folders
            .map(|it| Records::<Begun>::new(it.path(), VERSION))
            .any(|it| !matches!(it.get(&name), Ok(None)))
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

impl Inner {
    fn inherit(&self) -> Result<Inheritance, JournalError> {
        let mut inheritance = Inheritance::default();
        let entries = fs::read_dir(&self.all).map_err(|source| JournalError::Folder {
            path: self.all.clone(),
            doing: "listed",
            source,
        })?;
        for entry in entries.flatten() {
            let Ok(worker) = entry.file_name().into_string() else { continue };
            if worker == self.worker || worker.starts_with('.') {
                continue;
            }
            // Its lock is held to the end of this, so two that look at once do not both take it.
            let Some(_lock) = lock_of(&entry.path(), &self.queues) else { continue };
            if let Err(error) = self.take_in(&entry.path(), &mut inheritance.begun) {
                tracing::error!(error = %Chain(&error), worker, "what a worker has left cannot be taken over");
                continue;
            }
            inheritance.workers.push(worker);
        }
        Ok(inheritance)
    }

    /// Each record is in one of the two folders at any time, and only here when it is told.
    fn take_in(&self, folder: &Path, begun: &mut Vec<Begun>) -> Result<(), JournalError> {
        let theirs: Records<Begun> = Records::new(folder.to_owned(), VERSION);
        for (name, record) in theirs.all()? {
            let record = Begun { deaths: record.deaths.saturating_add(1), ..record };
            self.records.put(&name, &record)?;
            theirs.remove(&name)?;
            if !begun.iter().any(|it| it.task == record.task) {
                begun.push(record);
            }
        }
        let failed = |source| JournalError::Folder { path: folder.to_owned(), doing: "removed", source };
        fs::remove_dir_all(folder).map_err(failed)
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

async fn on_disk<T: Send + 'static>(
    doing: impl FnOnce() -> Result<T, JournalError> + Send + 'static,
) -> Result<T, JournalError> {
    let done = tokio::task::spawn_blocking(doing).await;
    done.unwrap_or_else(|error| {
        let (path, source) = (PathBuf::from(FOLDER), io::Error::other(error));
        Err(JournalError::Folder { path, doing: "written", source })
    })
}

/// The lock of a worker's folder, if that worker is gone and served no other queues than these.
fn lock_of(folder: &Path, queues: &[&str]) -> Option<File> {
    let mut lock = File::open(folder.join(LOCK)).ok()?;
    lock.try_lock().ok()?;
    let mut served = String::new();
    lock.read_to_string(&mut served).ok()?;
    served.lines().all(|it| queues.contains(&it)).then_some(lock)
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
            deaths: 0,
            state: State::Runs,
        }
    }

    #[tokio::test]
    async fn what_a_worker_leaves_is_the_next_ones() {
        let state = tempfile::tempdir().unwrap();
        let open = |queues: &[Queue]| Journal::open(state.path(), "host", queues).unwrap();
        let first = open(&[Queue::Public, Queue::Internal]);
        let nothing = first.inherit().await.unwrap();
        assert!(nothing.begun.is_empty() && nothing.workers.is_empty());
        first.put(begun("one")).await.unwrap();
        first.put(begun("two")).await.unwrap();
        first.remove(&"two".parse().unwrap()).await.unwrap();
        // While it lives, what it has begun is its own.
        let (second, other) = (open(&[Queue::Internal, Queue::Public]), open(&[Queue::Public]));
        assert!(second.inherit().await.unwrap().begun.is_empty());
        let gone = first.worker().to_owned();
        drop(first);
        // Not before it is gone, and not by who does not serve its queues.
        assert!(other.inherit().await.unwrap().workers.is_empty());
        let left = second.inherit().await.unwrap();
        assert_eq!(left.workers, [gone]);
        assert_eq!(left.begun.iter().map(|it| it.task.as_str()).collect::<Vec<_>>(), ["one"]);
        assert_eq!(left.begun[0].header, "a\nb\n");
        assert!(second.inherit().await.unwrap().workers.is_empty(), "once");
        drop(second);
        let left = open(&Queue::ALL).inherit().await.unwrap();
        assert_eq!(left.begun.len(), 1, "until it is done with");
        assert_eq!(left.begun[0].deaths, 2);
        assert!(other.knows(&"one".parse().unwrap()) && !other.knows(&"two".parse().unwrap()));
    }
}
