//! Sends what is kept, in the order in which it was kept.

use std::collections::HashSet;
use std::time::Duration;

use common::Chain;
use common::config::Forges;
use common::forge::ForgeError;
use common::id::{ForgeName, RepoName};
use common::pauses;
use common::records::{RecordName, Records};
use tokio_util::sync::CancellationToken;

use super::{Outbox, OutboxError, Report};

const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LAST_PAUSE: Duration = Duration::from_mins(1);
/// Between two looks into an empty folder: another process may have kept something and ended.
const IDLE: Duration = Duration::from_secs(30);

/// What is left after all was tried once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Left {
    Nothing,
    /// Something; a forge may want to be left alone for so long.
    Some(Duration),
}

/// Who is not asked any more in this pass, so that nothing overtakes what waits for them.
#[derive(Debug, Default)]
struct Away {
    forges: HashSet<ForgeName>,
    repos: HashSet<(ForgeName, RepoName)>,
    left_alone: Duration,
}

impl Away {
    fn has(&self, report: &Report) -> bool {
        let repo = (report.forge.clone(), report.repo.clone());
        self.forges.contains(&report.forge) || self.repos.contains(&repo)
    }

    /// A forge that is away is away for all; what else it says is said of one repository.
    fn note(&mut self, report: &Report, error: Option<&ForgeError>) {
        if error.is_some_and(ForgeError::is_transient) {
            self.forges.insert(report.forge.clone());
        } else {
            self.repos.insert((report.forge.clone(), report.repo.clone()));
        }
        if let Some(ForgeError::RateLimited { retry_after: Some(wait), .. }) = error {
            self.left_alone = self.left_alone.max(*wait);
        }
    }
}

impl Outbox {
    /// Sends what is kept, now and whenever something is kept, until the process is to end.
    pub(crate) async fn run(&self, forges: &Forges, stopping: &CancellationToken) {
        let _ = stopping.run_until_cancelled(self.send_for_ever(forges)).await;
    }

    async fn send_for_ever(&self, forges: &Forges) {
        let mut pauses = pauses::growing(FIRST_PAUSE, LAST_PAUSE);
        loop {
            let pause = match self.pass(forges).await {
                Left::Nothing => {
                    pauses = pauses::growing(FIRST_PAUSE, LAST_PAUSE);
                    IDLE
                }
                Left::Some(left_alone) => pauses.next().unwrap_or(LAST_PAUSE).max(left_alone),
            };
            tokio::select! {
                () = self.0.woken.notified() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Tries everything once, for a process that takes one message and ends.
    pub(crate) async fn send_once(&self, forges: &Forges) {
        self.pass(forges).await;
    }

    async fn pass(&self, forges: &Forges) -> Left {
        let all = match self.on_disk(Records::all).await {
            Ok(all) => all,
            Err(error) => {
                tracing::error!(error = %Chain(&error), "kept reports cannot be read");
                return Left::Some(LAST_PAUSE);
            }
        };
        self.count(all.len());
        if all.is_empty() {
            return Left::Nothing;
        }
        tracing::info!(waiting = all.len(), "reports are kept for a forge to take");
        let (mut away, mut waiting) = (Away::default(), 0);
        for (name, report) in all {
            if away.has(&report) || !self.send(&name, report, forges, &mut away).await {
                waiting += 1;
            }
        }
        self.count(waiting);
        if waiting == 0 { Left::Nothing } else { Left::Some(away.left_alone) }
    }

    /// Whether this report waits no more.
    async fn send(&self, name: &RecordName, report: Report, forges: &Forges, away: &mut Away) -> bool {
        let Some(forge) = forges.get(Some(&report.forge)) else {
            tracing::error!(forge = %report.forge, repo.name = %report.repo, "a report is kept for a forge that the configuration does not have");
            away.note(&report, None);
            return false;
        };
        match self.tell(name, forge).await {
            Ok(()) => true,
            Err(Unsent::Forge(error)) => {
                tracing::warn!(error = %Chain(&error), repo.name = %report.repo, task.id = %report.task, "a kept report has to wait");
                away.note(&report, Some(&error));
                false
            }
            Err(Unsent::Disk(error)) => {
                tracing::error!(error = %Chain(&error), "kept reports cannot be dealt with");
                away.note(&report, None);
                false
            }
        }
    }

    async fn tell(&self, name: &RecordName, forge: &common::forge::Forge) -> Result<(), Unsent> {
        let _turn = self.turn().await?;
        let wanted = name.clone();
        // While the turn was waited for, another attempt or another process may have dealt with it.
        let Some(mut report) = self.on_disk(move |it| it.get(&wanted)).await? else { return Ok(()) };
        let kept = report.clone();
        let told = report.tell_late(forge).await;
        let Report { repo, sha, task, .. } = &kept;
        match told {
            Ok(None) => {
                tracing::info!(repo.name = %repo, %sha, task.id = %task, "the forge has taken a kept report");
            }
            Ok(Some(reason)) => {
                tracing::warn!(repo.name = %repo, %sha, task.id = %task, reason, "a kept report comes too late and is dropped");
            }
            Err(error) if error.is_final() => {
                tracing::error!(error = %Chain(&error), repo.name = %repo, %sha, task.id = %task, "the forge refuses a kept report, which is dropped");
            }
            Err(error) => {
                if report != kept {
                    let name = name.clone();
                    self.on_disk(move |it| it.put(&name, &report)).await?;
                }
                return Err(Unsent::Forge(error));
            }
        }
        let name = name.clone();
        Ok(self.on_disk(move |it| it.remove(&name)).await?)
    }

    fn count(&self, waiting: usize) {
        self.0.waiting.set(i64::try_from(waiting).unwrap_or(i64::MAX));
    }
}

/// Why a report is still there.
enum Unsent {
    Forge(ForgeError),
    Disk(OutboxError),
}

impl From<OutboxError> for Unsent {
    fn from(error: OutboxError) -> Self {
        Self::Disk(error)
    }
}
