//! `git daemon`, on a port of its own.

use std::fs::{self, File};
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tokio::net::TcpStream;

use crate::group::Group;
use crate::ports;

const START: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(5);
/// How often to look for another port when somebody else was faster.
const TRIES: usize = 3;

pub(super) struct Daemon {
    group: Group,
    port: u16,
}

impl Daemon {
    pub(super) async fn start(folder: &Path) -> Result<Self> {
        for _ in 1..TRIES {
            if let Ok(daemon) = Self::start_once(folder).await {
                return Ok(daemon);
            }
        }
        Self::start_once(folder).await
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    async fn start_once(folder: &Path) -> Result<Self> {
        let port = ports::free()?;
        let log = folder.join("daemon.log");
        let group = Group::spawn(command(folder, port).stderr(File::create(&log)?), folder)?;
        let mut daemon = Self { group, port };
        let end = Instant::now() + START;
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.is_err() {
            if daemon.group.exited()?.is_some() || Instant::now() > end {
                let log = fs::read_to_string(&log).context("the log of git daemon")?;
                bail!("git daemon does not start (Fedora: package git-daemon): {}", log.trim());
            }
            tokio::time::sleep(POLL).await;
        }
        Ok(daemon)
    }
}

fn command(folder: &Path, port: u16) -> Command {
    let mut command = Command::new("git");
    command
        .arg("daemon")
        .arg(format!("--base-path={}", folder.join("repositories").display()))
        .args(["--export-all", "--reuseaddr", "--informative-errors", "--listen=127.0.0.1"])
        .arg(format!("--port={port}"))
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    for (name, value) in super::environment(folder) {
        command.env(name, value);
    }
    command
}
