//! The end of a fleet: in good order, and with nothing left over.

use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::ExitStatus;

use anyhow::{Context, Result, ensure};

use super::{DEADLINE, Fleet};
use crate::engine::Container;

/// How a fleet went that was left.
#[derive(Debug, Default)]
pub struct Farewell {
    /// What each program ended with; one that is missing here was killed.
    pub programs: Vec<(String, ExitStatus)>,
    /// The containers that were left over, and have been removed.
    pub containers: Vec<Container>,
}

impl Fleet {
    /// Ends a fleet whatever it is doing: programs drop their work, and are killed where that is not done when `patience` ends.
    /// Then everything around them goes. Nothing is demanded of a fleet that is left, so messages may be in its queues.
    pub async fn leave(mut self, patience: impl Future<Output = ()>) -> Result<Farewell> {
        let mut farewell = Farewell::default();
        let orderly = async {
            for program in self.webhook.iter_mut().chain(&mut self.workers) {
                if let Ok(status) = program.leave(DEADLINE).await {
                    farewell.programs.push((program.name().to_owned(), status));
                }
            }
        };
        tokio::select! {
            () = orderly => {}
            () = patience => {}
        }
        (self.webhook, self.workers) = (None, Vec::new());
        farewell.containers = self.engine.remove_containers().await?;
        let Self { forge, .. } = self;
        // Until its connections are closed it holds the repositories. Whether it was asked for what it does not know is a test's business.
        let _ = forge.finish().await;
        Ok(farewell)
    }

    /// Ends the programs, then everything around them; fails when one did not end well or something is left.
    pub async fn finish(mut self) -> Result<()> {
        let problems = self.problems().await;
        let left = self.engine.remove_containers().await?;
        let Self { forge, vhost, broker, .. } = self;
        let forge = forge.finish().await;
        vhost.remove().await?;
        broker.stop().await?;
        ensure!(left.is_empty(), "containers: {left:?}");
        problems?;
        forge
    }

    async fn problems(&mut self) -> Result<()> {
        for program in self.webhook.iter_mut().chain(&mut self.workers) {
            let status = program.stop(DEADLINE).await?;
            ensure!(status.success(), "{} ended with {status}:\n{}", program.name(), program.said());
            ensure!(!program.said().contains("panicked"), "{} panicked:\n{}", program.name(), program.said());
        }
        // The connections are closed, so what was out with a worker is back.
        let waiting = self.waiting().await?;
        ensure!(waiting.is_empty(), "messages: {waiting:?}");
        let kept = self.kept_reports()?;
        ensure!(kept.is_empty(), "kept reports: {kept:?}");
        let scratch = self.folder.path().join("tmp");
        if scratch.is_dir() {
            let files: Vec<_> =
                std::fs::read_dir(&scratch)?.map(|it| it.map(|it| it.path())).collect::<Result<_, _>>()?;
            ensure!(files.is_empty(), "temporary files: {files:?}");
        }
        let secrets = self.secrets_in_memory()?;
        ensure!(secrets.is_empty(), "secrets: {secrets:?}");
        Ok(())
    }

    /// What the programs said, those that have ended too, for a test that failed.
    pub(super) fn story(&self) -> String {
        let files = std::fs::read_dir(self.folder.path()).into_iter().flatten().flatten().map(|it| it.path());
        let mut logs: Vec<_> = files.filter(|it| it.extension().is_some_and(|it| it == "log")).collect();
        logs.sort();
        let told = |it: &PathBuf| {
            format!("--- {}\n{}", it.display(), std::fs::read_to_string(it).unwrap_or_default())
        };
        logs.iter().map(told).collect::<Vec<_>>().join("\n")
    }

    /// Waits for the end of a worker that was asked to end; it must end well.
    pub async fn worker_ended(&mut self, number: usize) -> Result<()> {
        let worker = self.workers.get_mut(number).with_context(|| format!("no worker {number}"))?;
        let status = worker.ended(DEADLINE).await?;
        ensure!(status.success(), "{} ended with {status}:\n{}", worker.name(), worker.said());
        self.workers.remove(number);
        Ok(())
    }

    /// Waits for the end of a worker that something kills.
    pub async fn worker_dies(&mut self, number: usize) -> Result<()> {
        let mut worker = self.workers.remove(number);
        let status = worker.ended(DEADLINE).await?;
        ensure!(status.signal().is_some(), "{} ended with {status}:\n{}", worker.name(), worker.said());
        Ok(())
    }
}
