//! The end of a fleet: in good order, and with nothing left over.

use anyhow::{Context, Result, ensure};

use super::{DEADLINE, Fleet};

impl Fleet {
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
        let scratch = self.folder.path().join("tmp");
        if scratch.is_dir() {
            let files: Vec<_> =
                std::fs::read_dir(&scratch)?.map(|it| it.map(|it| it.path())).collect::<Result<_, _>>()?;
            ensure!(files.is_empty(), "temporary files: {files:?}");
        }
        Ok(())
    }

    /// What the programs said, for a test that failed.
    pub(super) fn story(&self) -> String {
        let programs = self.webhook.iter().chain(&self.workers);
        programs.map(|it| format!("--- {}\n{}", it.name(), it.said())).collect::<Vec<_>>().join("\n")
    }

    /// Ends one worker in good order.
    pub async fn stop_worker(&mut self, number: usize) -> Result<()> {
        let worker = self.workers.get_mut(number).with_context(|| format!("no worker {number}"))?;
        let status = worker.stop(DEADLINE).await?;
        ensure!(status.success(), "{} ended with {status}:\n{}", worker.name(), worker.said());
        self.workers.remove(number);
        Ok(())
    }
}
