//! Our programs, as they run in production.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use ::tests::broker::{Broker, VirtualHost};
use ::tests::group::Group;
use ::tests::memory;
use anyhow::{Context, Result, bail, ensure};

const START: Duration = Duration::from_secs(20);
const STOP: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(20);

/// Builds these packages for release. The figures of old programs would be worth nothing.
pub(crate) async fn build(cargo: &str, packages: &[&str]) -> Result<()> {
    let packages = packages.iter().flat_map(|it| ["--package", it]);
    let mut command = tokio::process::Command::new(cargo);
    command.args(["build", "--release", "--quiet", "--bins"]).args(packages);
    let status = command.status().await.with_context(|| format!("{cargo} does not start"))?;
    ensure!(status.success(), "{cargo} build ended with {status}");
    Ok(())
}

/// A process of ours, with its log in a file.
pub(crate) struct Process {
    name: &'static str,
    group: Group,
    log: PathBuf,
}

impl Process {
    /// Starts it and returns when its operator's endpoints say that it would do its work now.
    pub(crate) async fn start(
        name: &'static str,
        arguments: &[String],
        operators: SocketAddr,
        folder: &Path,
    ) -> Result<Self> {
        let log = folder.join(format!("{name}.log"));
        let output = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
        let program = std::env::current_exe().context("where am I")?.with_file_name(name);
        let mut command = Command::new(program);
        command.args(arguments).args(["--log", "info"]);
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output).current_dir(folder);
        let mut process = Self { name, group: Group::spawn(&mut command, folder)?, log };
        process.ready(operators).await?;
        Ok(process)
    }

    async fn ready(&mut self, operators: SocketAddr) -> Result<()> {
        let url = format!("http://{operators}/readyz");
        let end = Instant::now() + START;
        while !reqwest::get(&url).await.is_ok_and(|it| it.status().is_success()) {
            let ended = self.group.exited()?;
            if ended.is_some() || Instant::now() > end {
                bail!("{} is not ready:\n{}", self.name, fs::read_to_string(&self.log)?);
            }
            tokio::time::sleep(POLL).await;
        }
        Ok(())
    }

    /// The memory that it has now.
    pub(crate) fn resident(&self) -> Result<f64> {
        memory::resident(self.id())
    }

    /// The most that it ever had.
    pub(crate) fn highest(&self) -> Result<f64> {
        memory::highest(self.id())
    }

    pub(crate) fn id(&self) -> i32 {
        self.group.id()
    }

    /// Ends it in good order.
    pub(crate) async fn stop(self) -> Result<()> {
        self.group.terminate(STOP).await
    }
}

/// The options of every program.
pub(crate) fn arguments(config: &Path) -> [String; 2] {
    ["--config".to_owned(), config.display().to_string()]
}

/// Writes a program's configuration: the broker, and these tables.
pub(crate) fn configure(
    name: &str,
    table: &str,
    broker: &Broker,
    vhost: &VirtualHost,
    folder: &Path,
) -> Result<PathBuf> {
    let file = folder.join(format!("{name}.toml"));
    let text = format!(
        "[broker]\namqp = {:?}\nvhost = {:?}\nsecrets-dir = {:?}\n{table}",
        broker.address(),
        vhost.name(),
        broker.secrets_dir().display().to_string(),
    );
    fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))?;
    Ok(file)
}

/// The processor time that the threads of some processes have had, in microseconds.
pub(crate) fn busy(processes: &[i32]) -> Result<f64> {
    let mut nanoseconds = 0.0;
    for process in processes {
        for thread in fs::read_dir(format!("/proc/{process}/task"))? {
            // A thread may end meanwhile.
            let times = fs::read_to_string(thread?.path().join("schedstat")).unwrap_or_default();
            nanoseconds += times.split(' ').next().and_then(|it| it.parse().ok()).unwrap_or(0.0);
        }
    }
    Ok(nanoseconds / 1000.0)
}

/// An address on the loopback interface that nobody listens on yet.
pub(crate) fn address() -> Result<SocketAddr> {
    Ok((Ipv4Addr::LOCALHOST, tests::ports::free()?).into())
}
