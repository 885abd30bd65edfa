//! The services of a whole run of tests, for `with-services`.

use std::hash::{BuildHasher, RandomState};
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};

use crate::broker::Broker;
use crate::engine::{self, Container, Engine};
use crate::{leftovers, settings};

/// How long a command that was asked to end may take.
const GRACE: Duration = Duration::from_secs(30);

/// A broker and an engine that every test of a run uses.
pub struct Services {
    run: String,
    broker: Broker,
    engine: Engine,
    vhosts: Vec<String>,
    containers: Vec<Container>,
}

impl Services {
    pub async fn start() -> Result<Self> {
        let (broker, engine) = tokio::try_join!(Broker::open(), Engine::open())?;
        let run = format!("run-{:016x}", RandomState::new().hash_one(std::process::id()));
        let vhosts = broker.vhosts().await?;
        let containers = leftovers::all_containers(&engine).await?;
        Ok(Self { run, broker, engine, vhosts, containers })
    }

    /// Runs a command with the services in its environment and gives its exit code; passes SIGINT
    /// and SIGTERM on to it.
    pub async fn run(&self, command: &[String]) -> Result<u8> {
        let (program, arguments) = command.split_first().context("no command")?;
        // Before the child exists, so that no signal is missed.
        let (mut interrupt, mut terminate) =
            (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        let mut child = Command::new(program)
            .args(arguments)
            .envs(self.environment())
            .spawn()
            .with_context(|| format!("{program} does not start"))?;
        let status = tokio::select! {
            status = child.wait() => status?,
            _ = interrupt.recv() => end(&mut child, Signal::INT).await?,
            _ = terminate.recv() => end(&mut child, Signal::TERM).await?,
        };
        Ok(code(status))
    }

    /// Takes everything down and tells what the command left behind; what is surely its own is removed too.
    pub async fn stop(self) -> Result<Vec<String>> {
        let containers = leftovers::containers(&self.engine, &self.run, &self.containers).await?;
        self.engine.remove(&containers.ours).await?;
        let processes = leftovers::processes(&self.run);
        for process in &processes {
            let _ = Pid::from_raw(process.id).map(|it| kill_process(it, Signal::KILL));
        }
        let vhosts = leftovers::vhosts(&self.broker, &self.vhosts).await?;
        self.broker.remove_vhosts(&vhosts).await?;
        let mut left: Vec<_> = containers.ours.iter().map(|it| format!("container {}", it.name)).collect();
        left.extend(containers.unclear.iter().map(|it| {
            format!(
                "container {} (not removed: it has no label {}, so it may be somebody else's)",
                it.name,
                engine::LABEL
            )
        }));
        left.extend(processes.iter().map(|it| format!("process {} ({})", it.id, it.command)));
        left.extend(vhosts.iter().map(|it| format!("virtual host {it}")));
        Ok(left)
    }

    fn environment(&self) -> Vec<(&'static str, String)> {
        let mut variables = self.broker.environment();
        variables.extend(self.engine.environment());
        variables.push((settings::IMAGE, self.engine.image().to_owned()));
        variables.push((settings::RUN, self.run.clone()));
        variables
    }
}

/// Passes a signal on and waits; a terminal has sent SIGINT to the child already, which is no harm.
async fn end(child: &mut Child, signal: Signal) -> Result<ExitStatus> {
    let id = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
    if let Some(id) = id {
        let _ = kill_process(id, signal);
    }
    if let Ok(status) = tokio::time::timeout(GRACE, child.wait()).await {
        return Ok(status?);
    }
    child.kill().await?;
    Ok(child.wait().await?)
}

/// As shells do: 128 and the signal's number for a command that a signal ended.
fn code(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
}
