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

/// Between the two requests to end: long enough to be two.
const BREATH: Duration = Duration::from_millis(200);

/// What a host is made on.
pub(super) struct Ground<'a> {
    pub(super) number: usize,
    pub(super) roles: Roles,
    /// The file of the fleet.
    pub(super) config: &'a Path,
    /// A disk of their own for these, if there is one.
    pub(super) state: Option<&'a Path>,
    pub(super) scratch: Option<&'a Path>,
}

/// What a worker does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Roles {
    /// It scans events and executes tasks.
    All,
    Scan,
}

/// A host: its worker, and all that the worker starts.
pub(super) struct Site {
    number: usize,
    roles: Roles,
    /// How many workers this host has had.
    starts: usize,
    folder: PathBuf,
    /// Where its workers keep what they must not forget.
    state: PathBuf,
    /// What temporary files are below.
    scratch: PathBuf,
    config: PathBuf,
    environment: Vec<(&'static str, String)>,
    proxy: Proxy,
    worker: Option<Program>,
    /// Predecessors that end what they have begun.
    leaving: Vec<Program>,
}

impl Site {
    /// With what its programs are told: those of the fleet in `config`, but for the folder of what it keeps.
    pub(super) fn new(ground: &Ground<'_>, proxy: Proxy, engine: &Engine) -> Result<Self> {
        let Ground { number, roles, config, state, scratch } = *ground;
        let folder = config.parent().context("a folder")?.to_owned();
        let state = state.unwrap_or(&folder).join(format!("state-{number}"));
        let scratch = scratch.unwrap_or(&folder).to_owned();
        let common = folder.join("state").display().to_string();
        let text = fs::read_to_string(config)?.replace(&common, &state.display().to_string());
        let config = folder.join(format!("worker-{number}.toml"));
        fs::write(&config, text)?;
        let environment = engine.environment();
        let (worker, leaving) = (None, Vec::new());
        Ok(Self {
            number,
            roles,
            starts: 0,
            folder,
            state,
            scratch,
            config,
            environment,
            proxy,
            worker,
            leaving,
        })
    }

    /// Where its workers keep what they must not forget.
    pub(super) fn state(&self) -> &Path {
        &self.state
    }

    /// The temporary files of the worker that was started last.
    fn scratch(&self) -> PathBuf {
        self.scratch.join(format!("tmp-{}-{}", self.number, self.starts))
    }

    pub(super) fn name(&self) -> String {
        match self.roles {
            Roles::All => format!("worker {}", self.number),
            Roles::Scan => "the scanner".to_owned(),
        }
    }

    pub(super) const fn proxy(&self) -> &Proxy {
        &self.proxy
    }

    /// The process of its worker.
    pub(super) fn id(&self) -> Option<i32> {
        self.worker.as_ref().map(Program::id)
    }

    /// Whether its workers leave their jobs to their successors. Each second host's do; the others end what they have begun.
    pub(super) fn hands_over(&self) -> bool {
        self.roles == Roles::All && self.number % 2 == 1
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
        let role = match self.roles {
            Roles::All => None,
            Roles::Scan => Some("scan".to_owned()),
        };
        let handover = self.hands_over().then(|| "--handover".to_owned());
        let arguments: Vec<_> = role.into_iter().chain(arguments).chain(amqp).chain(handover).collect();
        let mut worker = Program::start("run-queue", number, &self.folder, &arguments, &environment)?;
        let listens = worker.listening("operator endpoints").await;
        // One that has ended is seen by who looks after it.
        let has_ended = worker.exited()?.is_some();
        self.worker = Some(worker);
        if has_ended { Ok(()) } else { listens.map(drop) }
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

    /// Asks the worker to end, and again before it can have ended what it does, and starts its successor.
    pub(super) async fn hurry(&mut self) -> Result<()> {
        if let Some(worker) = self.worker.take() {
            worker.signal(Signal::TERM)?;
            tokio::time::sleep(BREATH).await;
            // It may have had nothing to do.
            let _ = worker.signal(Signal::TERM);
            self.leaving.push(worker);
        }
        self.start().await
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
