//! A broker of our own: private node, ports, data and certificates, in a temporary folder.

use std::fs::{self, File};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use tempfile::TempDir;
use tokio::net::TcpStream;

use super::api::Api;
use super::config::{self, Layout, Ports};
use super::options::Options;
use super::{API_PASSWORD, API_USER};
use crate::group::Group;
use crate::secrets;

/// A start takes four seconds on two idle cores; a machine that compiles at the same time is slow.
const START: Duration = Duration::from_secs(90);
const STOP: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(20);

/// Starts Erlang's port mapper, then the server in place of the shell.
///
/// The server wants a mapper and looks once a minute whether it is there. Left to itself it starts
/// one as a daemon, which leaves every process group and would outlive us.
const START_BOTH: &str = r#"epmd -address 127.0.0.1 -port "$1" & exec "$2""#;

/// A `RabbitMQ` node that we started.
pub(super) struct Node {
    // In this order: the processes end before their folder goes.
    group: Option<Group>,
    layout: Layout,
    ports: Ports,
    api: Api,
    /// How long the log was before this start.
    log_start: usize,
    _folder: TempDir,
}

impl Node {
    pub(super) async fn start(options: &Options) -> Result<Self> {
        config::with_free_ports(async || Self::start_once(options).await).await
    }

    async fn start_once(options: &Options) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("flotilla-broker-").tempdir()?;
        let layout = Layout { root: folder.path().to_owned() };
        let ports = Ports::find(options.plain)?;
        secrets::write(&layout.secrets())?;
        layout.write(&ports, options)?;
        let api = Api::new(&format!("http://{API_USER}:{API_PASSWORD}@127.0.0.1:{}", ports.api))?;
        let mut node = Self { group: None, layout, ports, api, log_start: 0, _folder: folder };
        node.run().await?;
        Ok(node)
    }

    /// Starts the server on whatever data there is and returns when it answers.
    pub(super) async fn run(&mut self) -> Result<()> {
        let mut command = command(&self.layout, &self.ports)?;
        self.log_start = fs::read(self.layout.log()).map_or(0, |log| log.len());
        self.group = Some(Group::spawn(&mut command, &self.layout.root)?);
        let end = Instant::now() + START;
        while !self.answers().await {
            if self.has_exited()? {
                bail!("RabbitMQ ended at its start:\n{}", self.complaint());
            }
            if Instant::now() > end {
                bail!("RabbitMQ did not start within {START:?}:\n{}", self.complaint());
            }
            tokio::time::sleep(POLL).await;
        }
        Ok(())
    }

    /// Kills the server, as a power cut would.
    pub(super) fn kill(&mut self) {
        self.group = None;
    }

    /// Lets the server end in its own way.
    pub(super) async fn stop(&mut self) -> Result<()> {
        match self.group.take() {
            Some(group) => group.terminate(STOP).await,
            None => Ok(()),
        }
    }

    pub(super) fn api(&self) -> &Api {
        &self.api
    }

    pub(super) fn ports(&self) -> &Ports {
        &self.ports
    }

    pub(super) fn secrets_dir(&self) -> PathBuf {
        self.layout.secrets()
    }

    pub(super) fn folder(&self) -> &Path {
        &self.layout.root
    }

    pub(super) fn group(&self) -> Option<i32> {
        self.group.as_ref().map(Group::id)
    }

    /// Writes out what the broker knows of its queues. `RabbitMQ` 3.10 does so before it answers a declaration, except that now and
    /// then, on a busy machine, a queue that was declared within a second before a kill was gone afterwards (seen twice in about
    /// forty kills; never of a queue that was older).
    pub(super) async fn sync(&self) -> Result<()> {
        self.control(&["eval", "mnesia:sync_log()."]).await
    }

    /// Has `rabbitmqctl` do something.
    pub(super) async fn control(&self, arguments: &[&str]) -> Result<()> {
        let node = node(&self.ports);
        let control = program()?.with_file_name("rabbitmqctl");
        let output = tokio::process::Command::new(control)
            .args(["--node", &node])
            .args(arguments)
            .env("HOME", self.layout.home())
            .env("RABBITMQ_CONF_ENV_FILE", "/dev/null")
            .env("ERL_EPMD_PORT", self.ports.names.to_string())
            .output()
            .await
            .context("rabbitmqctl")?;
        ensure!(output.status.success(), "rabbitmqctl: {}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    }

    fn has_exited(&mut self) -> Result<bool> {
        match &mut self.group {
            Some(group) => Ok(group.exited()?.is_some()),
            None => Ok(true),
        }
    }

    pub(super) fn last_words(&mut self) -> Result<Option<String>> {
        Ok(self.has_exited()?.then(|| self.complaint()))
    }

    async fn answers(&self) -> bool {
        let listens = TcpStream::connect((Ipv4Addr::LOCALHOST, self.ports.tls)).await.is_ok();
        listens && self.api.ping().await.is_ok()
    }

    fn complaint(&self) -> String {
        let log = fs::read(self.layout.log()).unwrap_or_default();
        complaint(&String::from_utf8_lossy(&log[self.log_start.min(log.len())..]))
    }
}

/// What the log of a start has to say: from its first error on, or else its end.
pub(super) fn complaint(log: &str) -> String {
    const LINES: usize = 40;
    let lines: Vec<_> = log.lines().collect();
    let error = lines.iter().position(|line| line.contains("[error]"));
    let start = error.unwrap_or(lines.len().saturating_sub(LINES));
    lines[start..].iter().take(LINES).copied().collect::<Vec<_>>().join("\n")
}

fn command(layout: &Layout, ports: &Ports) -> Result<Command> {
    let log = File::options().create(true).append(true).open(layout.log()).context("the broker's log")?;
    let node = node(ports);
    let mut command = Command::new("sh");
    command
        .args(["-c", START_BOTH, "broker", &ports.names.to_string()])
        .arg(program()?)
        .env("HOME", layout.home())
        .env("RABBITMQ_NODENAME", &node)
        .env("RABBITMQ_CONFIG_FILE", layout.config().with_extension(""))
        .env("RABBITMQ_ADVANCED_CONFIG_FILE", layout.root.join("none"))
        // The machine's own rabbitmq-env.conf is not for us.
        .env("RABBITMQ_CONF_ENV_FILE", "/dev/null")
        .env("RABBITMQ_MNESIA_BASE", layout.data())
        .env("RABBITMQ_LOG_BASE", layout.root.join("log"))
        .env("RABBITMQ_ENABLED_PLUGINS_FILE", layout.plugins())
        .env("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", erlang(&node, ports.distribution))
        .env("ERL_EPMD_PORT", ports.names.to_string())
        .current_dir(&layout.root)
        .stdin(Stdio::null())
        .stdout(log.try_clone().context("the broker's log")?)
        .stderr(log);
    Ok(command)
}

fn node(ports: &Ports) -> String {
    format!("flotilla-{}@localhost", ports.distribution)
}

/// Words for the Erlang machine. It gets its name before `RabbitMQ` runs, which then does not look for
/// a port mapper with a second Erlang machine.
fn erlang(node: &str, port: u16) -> String {
    format!(
        "-sname {node} -start_epmd false -kernel inet_dist_use_interface {{127,0,0,1}} \
         -kernel inet_dist_listen_min {port} -kernel inet_dist_listen_max {port}"
    )
}

/// Finds the server itself: what is in the path is, in the packages of distributions, a wrapper
/// that changes to the user `rabbitmq` and forgets the environment.
fn program() -> Result<PathBuf> {
    let mut candidates = vec![PathBuf::from("/usr/lib/rabbitmq/bin/rabbitmq-server")];
    for library in ["/usr/lib/rabbitmq/lib", "/usr/lib64/rabbitmq/lib", "/opt/rabbitmq"] {
        candidates.push(Path::new(library).join("sbin/rabbitmq-server"));
        let versions = fs::read_dir(library).into_iter().flatten().flatten();
        candidates.extend(versions.map(|version| version.path().join("sbin/rabbitmq-server")));
    }
    candidates
        .into_iter()
        .find(|path| path.is_file())
        .context("RabbitMQ is not installed: tests/install-packages.sh installs it")
}
