//! A host with a worker on it, behind a network of its own.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use anyhow::{Context as _, Result};
use rustix::process::{Pid, Signal, kill_process};

use crate::engine::Engine;
use crate::fleet::{DEADLINE, Program};
use crate::proxy::Proxy;

/// A host: its worker, and all that the worker starts.
pub(super) struct Site {
    number: usize,
    /// How many workers this host has had.
    starts: usize,
    folder: PathBuf,
    config: PathBuf,
    environment: Vec<(&'static str, String)>,
    proxy: Proxy,
    worker: Option<Program>,
    /// Predecessors that end what they have begun.
    leaving: Vec<Program>,
}

impl Site {
    /// With what its programs are told: those of the fleet in `config`, but for the folder of what it keeps.
    pub(super) fn new(number: usize, config: &Path, proxy: Proxy, engine: &Engine) -> Result<Self> {
        let folder = config.parent().context("a folder")?.to_owned();
        let state = folder.join("state");
        let text = fs::read_to_string(config)?
            .replace(&state.display().to_string(), &format!("{}-{number}", state.display()));
        let config = folder.join(format!("worker-{number}.toml"));
        fs::write(&config, text)?;
        let environment = engine.environment();
        Ok(Self { number, starts: 0, folder, config, environment, proxy, worker: None, leaving: Vec::new() })
    }

    /// Where its workers keep what they must not forget.
    pub(super) fn state(&self) -> PathBuf {
        self.folder.join(format!("state-{}", self.number))
    }

    /// The temporary files of the worker that was started last.
    fn scratch(&self) -> PathBuf {
        self.folder.join(format!("tmp-{}-{}", self.number, self.starts))
    }

    pub(super) fn name(&self) -> String {
        format!("worker {}", self.number)
    }

    pub(super) const fn proxy(&self) -> &Proxy {
        &self.proxy
    }

    /// The process of its worker.
    pub(super) fn id(&self) -> Option<i32> {
        self.worker.as_ref().map(Program::id)
    }

    /// Its worker, where there is one.
    pub(super) fn workers(&mut self) -> impl Iterator<Item = &mut Program> {
        self.worker.iter_mut().chain(&mut self.leaving)
    }

    pub(super) async fn start(&mut self) -> Result<()> {
        if self.worker.is_some() {
            return Ok(());
        }
        self.starts += 1;
        let number = self.number * 1000 + self.starts;
        let scratch = self.scratch();
        fs::create_dir_all(&scratch)?;
        let mut environment = self.environment.clone();
        environment.push(("TMPDIR", scratch.display().to_string()));
        let arguments = ["--config".to_owned(), self.config.display().to_string()];
        let amqp = ["--amqp".to_owned(), self.proxy.address().to_owned()];
        let arguments = [arguments, amqp].concat();
        let mut worker = Program::start("run-queue", number, &self.folder, &arguments, &environment)?;
        worker.listening("operator endpoints").await?;
        self.worker = Some(worker);
        Ok(())
    }

    /// With all that belongs to it.
    pub(super) async fn kill(&mut self) -> Result<()> {
        let Some(mut worker) = self.worker.take() else { return Ok(()) };
        for process in tree(worker.id()) {
            let _ = kill_process(process, Signal::KILL);
        }
        // Its container runs on: the next worker of this host goes on with it, or removes it.
        worker.ended(DEADLINE).await?;
        Ok(())
    }

    /// Everything that it started gets it too, as the freezer of a machine would have it.
    pub(super) fn signal_tree(&self, signal: Signal) {
        for process in self.id().map(tree).unwrap_or_default() {
            // It may have ended by itself.
            let _ = kill_process(process, signal);
        }
    }

    /// Asks the worker to end, and starts its successor.
    pub(super) async fn replace(&mut self) -> Result<()> {
        if let Some(worker) = self.worker.take() {
            worker.signal(Signal::TERM)?;
            self.leaving.push(worker);
        }
        self.start().await
    }

    /// How its worker ended, if nobody asked it to.
    pub(super) fn died(&mut self) -> Result<Option<ExitStatus>> {
        match &mut self.worker {
            Some(worker) => worker.exited(),
            None => Ok(None),
        }
    }

    /// Ends all that is there in good order, and says what did not end well.
    pub(super) async fn end(&mut self, deadline: Duration) -> Result<Vec<String>> {
        let mut wrong = Vec::new();
        for worker in self.worker.iter_mut().chain(&mut self.leaving) {
            let status = worker.stop(deadline).await?;
            if !status.success() || status.signal().is_some() {
                wrong.push(format!("{} ended with {status}", worker.name()));
            }
            if worker.said().contains("panicked") {
                wrong.push(format!("{} panicked", worker.name()));
            }
        }
        Ok(wrong)
    }
}

/// A process and all that it started and that still belongs to it, parents first.
fn tree(root: i32) -> Vec<Pid> {
    let children = |id: i32| {
        let threads = fs::read_dir(format!("/proc/{id}/task")).into_iter().flatten().flatten();
        let texts = threads.filter_map(|it| fs::read_to_string(it.path().join("children")).ok());
        texts.flat_map(|it| it.split_whitespace().filter_map(|id| id.parse().ok()).collect::<Vec<i32>>())
    };
    let mut found = vec![root];
    let mut next = 0;
    while let Some(id) = found.get(next).copied() {
        found.extend(children(id));
        next += 1;
    }
    found.into_iter().filter_map(Pid::from_raw).collect()
}
