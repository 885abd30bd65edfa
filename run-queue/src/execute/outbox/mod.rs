//! Reports that a forge has not taken in time: kept on the disk, and sent when it takes them, also by a process that is started
//! later (design, law 2). Several workers of one machine can share the folder.

mod report;
mod sender;

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use common::id::TaskId;
use common::records::{RecordName, Records, RecordsError};
use common::task::WorkKey;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use tokio::sync::Notify;

pub(super) use self::report::{Mark, MarkedIssue, News, Report, is_in_progress};

/// Below the folder of what a worker keeps.
const FOLDER: &str = "reports";
/// Of the form of what is kept.
const VERSION: u32 = 1;
/// Whoever holds this file's lock says something in place of a kept report, or sends one.
const LOCK: &str = ".lock";
/// Between two looks at whether somebody else's turn is over.
const TURN_PAUSE: Duration = Duration::from_millis(20);

/// The reports that are kept. Clones are the same.
#[derive(Clone, Debug)]
pub struct Outbox(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    records: Records<Report>,
    lock: PathBuf,
    /// Something was kept.
    woken: Notify,
    waiting: Gauge,
}

/// The right to speak for what is kept, until it is dropped.
#[derive(Debug)]
struct Turn {
    _lock: File,
}

/// Why something cannot be kept, or is not known to be.
#[derive(Debug, thiserror::Error)]
pub enum OutboxError {
    /// The disk's, with the file.
    #[error(transparent)]
    Records(#[from] RecordsError),
    /// The lock's.
    #[error("{}: cannot be locked", path.display())]
    Lock {
        /// Its file.
        path: PathBuf,
        /// The disk's words.
        source: io::Error,
    },
    /// The process ends.
    #[error("the process ends")]
    Ending,
}

impl Outbox {
    /// Below a worker's folder for what it keeps. Does nothing yet.
    #[must_use]
    pub fn new(state: &Path) -> Self {
        let folder = state.join(FOLDER);
        let lock = folder.join(LOCK);
        let (woken, waiting) = (Notify::new(), Gauge::default());
        Self(Arc::new(Inner { records: Records::new(folder, VERSION), lock, woken, waiting }))
    }

    /// Where they are.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.0.records.folder()
    }

    /// Makes sure that reports can be kept.
    pub async fn prepare(&self) -> Result<(), OutboxError> {
        self.on_disk(Records::prepare).await
    }

    /// Shows operators how many wait.
    pub fn register(&self, registry: &mut Registry) {
        let help = "Reports about jobs that have ended, kept on the disk because the forge did not take them";
        registry.register("flotilla_reports_kept", help, self.0.waiting.clone());
    }

    /// Keeps a report. When this returns, it is durable and on its way.
    pub(super) async fn keep(&self, report: Report) -> Result<(), OutboxError> {
        let name = RecordName::fresh();
        self.on_disk(move |it| it.put(&name, &report)).await?;
        self.0.waiting.inc();
        self.0.woken.notify_one();
        Ok(())
    }

    /// The verdict of this work, where it waits here. Work that is done whenever it is asked for has none (no `key`), but for the
    /// very message that has asked.
    pub(super) async fn verdict(
        &self,
        task: &TaskId,
        key: Option<&WorkKey>,
    ) -> Result<Option<Report>, OutboxError> {
        let all = self.on_disk(Records::all).await?;
        let is_same = |it: &Report| it.task == *task || (key.is_some() && it.key().as_ref() == key);
        Ok(all.into_iter().map(|(_, it)| it).find(|it| it.is_verdict() && is_same(it)))
    }

    /// Forgets what is kept about this work: another attempt speaks from now on.
    pub(super) async fn supersede(&self, key: &WorkKey) -> Result<(), OutboxError> {
        let key = key.clone();
        let is_same = move |it: &Report| it.key().as_ref() == Some(&key);
        if !self.on_disk(Records::all).await?.iter().any(|(_, it)| is_same(it)) {
            return Ok(());
        }
        let _turn = self.turn().await?;
        let forget = move |records: &Records<Report>| {
            let all = records.all()?;
            all.iter().filter(|(_, it)| is_same(it)).try_for_each(|(name, it)| {
                tracing::info!(repo.name = %it.repo, task.id = %it.task, "a kept report is dropped: another attempt begins");
                records.remove(name)
            })
        };
        self.on_disk(forget).await
    }

    /// Waits for the right to speak.
    async fn turn(&self) -> Result<Turn, OutboxError> {
        let error = |source| OutboxError::Lock { path: self.0.lock.clone(), source };
        let lock = File::options().create(true).append(true).open(&self.0.lock).map_err(error)?;
        loop {
            match lock.try_lock() {
                Ok(()) => return Ok(Turn { _lock: lock }),
                Err(TryLockError::WouldBlock) => tokio::time::sleep(TURN_PAUSE).await,
                Err(TryLockError::Error(source)) => return Err(error(source)),
            }
        }
    }

    async fn on_disk<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Records<Report>) -> Result<T, RecordsError> + Send + 'static,
    ) -> Result<T, OutboxError> {
        let inner = Arc::clone(&self.0);
        let done = tokio::task::spawn_blocking(move || work(&inner.records)).await;
        Ok(done.map_err(|_| OutboxError::Ending)??)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(task: &str) -> Report {
        let report: Report = serde_json::from_str(include_str!("report.v1.json")).unwrap();
        Report { task: task.parse().unwrap(), ..report }
    }

    #[tokio::test]
    async fn a_verdict_that_is_kept_counts_for_all_who_ask_for_the_work() {
        let folder = tempfile::tempdir().unwrap();
        let outbox = Outbox::new(folder.path());
        let (report, key) = (report("t"), report("t").key().unwrap());
        let (same, other): (TaskId, TaskId) = ("t".parse().unwrap(), "u".parse().unwrap());
        let kept = async |task: &TaskId, key| outbox.verdict(task, key).await.unwrap().is_some();
        assert!(!kept(&same, Some(&key)).await);
        outbox.keep(report.clone()).await.unwrap();
        assert!(kept(&other, Some(&key)).await);
        assert!(kept(&same, None).await, "the message itself is done, whatever it asks for");
        assert!(!kept(&other, None).await);
        outbox.supersede(&key).await.unwrap();
        assert!(!kept(&same, Some(&key)).await);
        let mut trouble = report;
        trouble.issue = None;
        if let Some(status) = &mut trouble.status {
            status.state = common::forge::StatusState::Error;
        }
        outbox.keep(trouble).await.unwrap();
        assert!(!kept(&same, Some(&key)).await, "an error is tried again");
    }

    #[tokio::test]
    async fn one_speaks_at_a_time_in_whatever_process() {
        let folder = tempfile::tempdir().unwrap();
        let (one, other) = (Outbox::new(folder.path()), Outbox::new(folder.path()));
        one.prepare().await.unwrap();
        let turn = one.turn().await.unwrap();
        let mut waiting = Box::pin(other.turn());
        assert!(futures_util::poll!(&mut waiting).is_pending());
        drop(turn);
        waiting.await.unwrap();
    }
}
