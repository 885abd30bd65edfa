//! A program of ours as a process, with its log.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::group::Group;

const POLL: Duration = Duration::from_millis(10);

/// A process that we started, and what it says.
pub struct Program {
    name: String,
    log: PathBuf,
    group: Group,
}

/// Where cargo has put a program of the workspace: beside the tests, or one folder above them.
pub fn binary(name: &str) -> Result<PathBuf> {
    let own = std::env::current_exe().context("where am I")?;
    let places = own.ancestors().skip(1).take(2).map(|folder| folder.join(name));
    let found = places.into_iter().find(|it| it.is_file());
    found.with_context(|| {
        format!("there is no program `{name}` beside {}: cargo build --workspace", own.display())
    })
}

impl Program {
    /// Starts it with its log, as JSON, in the folder.
    pub fn start(
        name: &str,
        number: usize,
        folder: &Path,
        arguments: &[String],
        environment: &[(&str, String)],
    ) -> Result<Self> {
        let log = folder.join(format!("{name}-{number}.log"));
        let output = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
        let mut command = Command::new(binary(name)?);
        command
            .args(arguments)
            .arg("--log-json")
            .args(["--log", "info,common=debug,run_queue=debug,webhook=debug"])
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output);
        let group = Group::spawn(&mut command, folder)?;
        Ok(Self { name: format!("{name} {number}"), log, group })
    }

    /// How it is called in stories.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its process id.
    pub fn id(&self) -> i32 {
        self.group.id()
    }

    /// The file that it writes its log to.
    pub fn log_file(&self) -> &Path {
        &self.log
    }

    /// How it ended, if it has.
    pub fn exited(&mut self) -> Result<Option<ExitStatus>> {
        self.group.exited()
    }

    /// Everything that it has said. Commands say what they like beside it.
    pub fn said(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// The lines of its log that are JSON objects.
    pub fn events(&self) -> Vec<Value> {
        self.said().lines().filter_map(|it| serde_json::from_str(it).ok()).collect()
    }

    /// Waits until it has said something for which `find` gives an answer; fails at once when it ends.
    pub async fn wait_until<T>(
        &mut self,
        what: &str,
        deadline: Duration,
        find: impl Fn(&Value) -> Option<T>,
    ) -> Result<T> {
        let end = Instant::now() + deadline;
        loop {
            let exited = self.group.exited()?;
            if let Some(found) = self.events().iter().find_map(&find) {
                return Ok(found);
            }
            if let Some(status) = exited {
                bail!("{} ended with {status} before {what}:\n{}", self.name, self.said());
            }
            if Instant::now() > end {
                bail!("{} has not said {what} within {deadline:?}:\n{}", self.name, self.said());
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// The address that it says it listens on.
    pub async fn listening(&mut self, for_what: &str) -> Result<String> {
        let message = format!("listening for {for_what}");
        let address = |event: &Value| {
            (event["message"] == *message).then(|| event["address"].as_str().map(str::to_owned)).flatten()
        };
        self.wait_until(&format!("\"{message}\""), super::DEADLINE, address).await
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let id = Pid::from_raw(self.id()).context("a process id")?;
        kill_process(id, signal).with_context(|| format!("signal {}", self.name))
    }

    /// Waits for its end.
    pub async fn ended(&mut self, deadline: Duration) -> Result<ExitStatus> {
        let end = Instant::now() + deadline;
        while Instant::now() < end {
            if let Some(status) = self.group.exited()? {
                return Ok(status);
            }
            tokio::time::sleep(POLL).await;
        }
        bail!("{} has not ended within {deadline:?}:\n{}", self.name, self.said())
    }

    /// Asks it to end, and says what it ended with.
    pub async fn stop(&mut self, deadline: Duration) -> Result<ExitStatus> {
        if self.group.exited()?.is_none() {
            self.signal(Signal::TERM)?;
        }
        self.ended(deadline).await
    }

    /// Asks it to end without an end to what it does, and says what it ended with.
    pub async fn leave(&mut self, deadline: Duration) -> Result<ExitStatus> {
        if self.group.exited()?.is_none() {
            // The first signal and the second, which are different ones: two of a kind can arrive as one.
            self.signal(Signal::TERM)?;
            self.signal(Signal::INT)?;
        }
        self.ended(deadline).await
    }
}
