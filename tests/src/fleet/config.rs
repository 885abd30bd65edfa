//! What the programs of a fleet are told.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};

use super::Fleet;
use crate::secrets;

/// What a fleet is to be like.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Start the receiver.
    pub webhook: bool,
    /// Start a worker that scans and executes.
    pub worker: bool,
    /// Tables of the configuration beside those that every fleet has, in TOML.
    pub config: String,
    /// Keys of `[worker]`, in TOML.
    pub roles: String,
    /// Keys of `[execute]`, in TOML.
    pub execute: String,
    /// Keys of `[container]` beside those that every fleet has, in TOML.
    pub container: String,
    /// Words for `container.run-args`, after those that every fleet has.
    pub run_args: Vec<String>,
    /// Leave containers the network that they have by default, in which nothing of the test can be reached.
    pub own_network: bool,
    /// Keys of `[webhook]`, in TOML.
    pub receiver: String,
    /// `[scan]`, in TOML.
    pub scan: String,
    /// `[scan.sweep]`, in TOML.
    pub sweep: String,
    /// What the internal queue is called on the broker.
    pub internal_queue: &'static str,
    /// The virtual host, if not one with a name of its own; it is removed with the fleet.
    pub vhost: Option<String>,
    /// The folder that logs go to, if not one that is removed with the fleet.
    pub logs: Option<PathBuf>,
}

impl Default for Setup {
    /// One receiver, one worker for all queues, quick to notice and to try again.
    fn default() -> Self {
        Self {
            webhook: true,
            worker: true,
            config: String::new(),
            roles: "retry-seconds = 0.2\n".to_owned(),
            execute: "slots = 2\npoll-seconds = 0.2\n".to_owned(),
            container: String::new(),
            run_args: Vec::new(),
            own_network: false,
            receiver: String::new(),
            scan: "allow-list = [\"alice\", \"cockpit-project\"]\n\
                   [scan.test-map.\"octo/app\"]\nmain = [\"debian\"]\n_manual = [\"debian/slow\", \"rhel-9\"]\n"
                .to_owned(),
            // A test that wants sweeps says so.
            sweep: "at-start = false\nevery-minutes = 0\n".to_owned(),
            internal_queue: "internal",
            vhost: None,
            logs: None,
        }
    }
}

impl Fleet {
    /// The configuration file of every program.
    pub fn config_file(&self) -> PathBuf {
        self.folder.path().join("flotilla.toml")
    }

    /// The folder that logs go to.
    pub fn logs_dir(&self) -> PathBuf {
        self.setup.logs.clone().unwrap_or_else(|| self.folder.path().join("logs"))
    }

    /// The folder for what workers keep.
    pub fn state_dir(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    /// The address under which that folder is served, without a slash at the end.
    pub fn logs_url(&self) -> &str {
        self.logs.url()
    }

    /// The temporary folders that end with the fleet.
    pub fn folders(&self) -> Vec<PathBuf> {
        let folders = [self.folder.path(), self.memory.path(), self.git.folder()]
            .into_iter()
            .chain(self.broker.folder());
        folders.chain(self.engine.folder()).map(PathBuf::from).collect()
    }

    /// The virtual host that the programs use.
    pub fn vhost(&self) -> &str {
        self.vhost.name()
    }

    /// What is in the folder that the secrets of jobs are in.
    pub fn secrets_in_memory(&self) -> Result<Vec<PathBuf>> {
        Ok(fs::read_dir(self.memory.path())?.map(|it| it.map(|it| it.path())).collect::<Result<_, _>>()?)
    }

    pub(super) fn write_config(&self) -> Result<()> {
        let file = self.config_file();
        fs::write(self.folder.path().join("forge-token"), secrets::FORGE_TOKEN)?;
        fs::write(&file, self.config()).with_context(|| format!("cannot write {}", file.display()))
    }

    fn config(&self) -> String {
        let Self { broker, setup, .. } = self;
        let text = |it: &str| serde_json::Value::from(it).to_string();
        let list = |it: &[String]| serde_json::Value::from(it).to_string();
        let mut run_args = self.engine.run_args();
        run_args.retain(|it| !(setup.own_network && it.starts_with("--network=")));
        format!(
            "[broker]\namqp = {}\nvhost = {}\nsecrets-dir = {}\ninternal-queue = {}\n\n\
             [webhook]\nlisten = \"127.0.0.1:0\"\nservice-listen = \"127.0.0.1:0\"\n{}\n\n\
             [worker]\nservice-listen = \"127.0.0.1:0\"\nstate-dir = {}\n{}\n\n[execute]\nqueues = [\"public\", \"internal\", \"statistics\"]\n{}\n\n\
             [scan]\n{}\n[scan.sweep]\n{}\n\n\
             [forge.github]\napi-url = {}\nclone-url = {}\ntoken = [{{file=\"forge-token\"}}]\n\n\
             [container]\n{}\nrun-args = {}\ndefault-image = {}\n\n\
             [secrets]\ndir = {}\n\n[logs.local]\ndir = {}\nlink = {}\n\n{}\n",
            text(broker.address()),
            text(self.vhost.name()),
            text(&broker.secrets_dir().display().to_string()),
            text(setup.internal_queue),
            setup.receiver,
            text(&self.state_dir().display().to_string()),
            setup.roles,
            setup.execute,
            setup.scan,
            setup.sweep,
            text(self.forge.url()),
            text(&self.git.url()),
            setup.container,
            list(&[run_args, setup.run_args.clone()].concat()),
            text(self.engine.image()),
            text(&self.memory.path().display().to_string()),
            text(&self.logs_dir().display().to_string()),
            text(self.logs.url()),
            setup.config,
        )
    }
}
