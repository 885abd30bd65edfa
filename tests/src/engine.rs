//! podman as it works on this machine.
//!
//! A user's normal podman needs nothing. On the machines of our CI it starts no container as it is:
//! crun refuses hybrid control groups, and podman's default limits cannot be raised there. So a
//! container is really run, first with the settings that are there, then with ours.
//!
//! Containers go into the normal storage: a private one would have wrong `SELinux` labels on Fedora,
//! cannot be deleted without a user namespace when rootless, and would be filled anew for each run.
//! The label of the run tells our containers from others.

use std::fs;
use std::hash::{BuildHasher, RandomState};
use std::path::{Path, PathBuf};
use std::process::Output;

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Resource, Signal, getrlimit, kill_process};
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;

use crate::{image, settings};

/// The label that every container of a test has; its value is the run and the engine of the test.
pub const LABEL: &str = "flotilla.test";
/// The label that our programs give to a task's container.
pub const TASK_LABEL: &str = "flotilla.task";

/// A podman that runs containers, and the image to run.
#[derive(Debug)]
pub struct Engine {
    settings: Option<Settings>,
    image: String,
    label: String,
}

/// podman's settings, where it needs others than the user's.
#[derive(Debug)]
struct Settings {
    path: PathBuf,
    _folder: TempDir,
}

/// A container of ours, running or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Container {
    pub id: String,
    pub name: String,
    pub label: String,
}

impl Engine {
    /// Finds out what podman needs here and makes the image; takes over both from `with-services`.
    pub async fn open() -> Result<Self> {
        let mut engine = Self { settings: None, image: String::new(), label: new_label() };
        if let Some(image) = settings::get(settings::IMAGE) {
            engine.image = image;
            return Ok(engine);
        }
        engine.image = image::make(&engine).await?;
        engine.adapt().await?;
        Ok(engine)
    }

    /// The image with a shell and git.
    pub fn image(&self) -> &str {
        &self.image
    }

    /// The address under which a container reaches the servers of this process.
    ///
    /// With the host's network that is the loopback interface: it needs no bridge, no firewall
    /// program and no helper, is the same with and without root, and exposes nothing.
    pub fn host_address(&self) -> &'static str {
        "127.0.0.1"
    }

    /// The words for `container.run-args`.
    pub fn run_args(&self) -> Vec<String> {
        vec!["--network=host".into(), "--pull=never".into(), format!("--label={LABEL}={}", self.label)]
    }

    /// The label, `NAME=VALUE`, that tells the containers of this engine from all others.
    pub fn label(&self) -> String {
        format!("{LABEL}={}", self.label)
    }

    /// What our programs need in their environment for their podman to work.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        self.settings.iter().map(|it| (settings::CONTAINERS_CONF, it.path.display().to_string())).collect()
    }

    /// The temporary folder with podman's settings, where it needs one.
    pub fn folder(&self) -> Option<&Path> {
        self.settings.as_ref()?.path.parent()
    }

    /// `podman`, ready for arguments.
    pub fn podman(&self) -> Command {
        let mut command = Command::new("podman");
        command.envs(self.environment()).kill_on_drop(true);
        command
    }

    /// Runs `podman` and gives its standard output; a failure has podman's words.
    pub async fn run(&self, arguments: &[&str]) -> Result<String> {
        let output = self.podman().args(arguments).output().await.context(NOT_INSTALLED)?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        bail!("podman {}: {}", arguments.join(" "), words(&output))
    }

    /// The containers that were started with [`Self::run_args`] of this engine and are still there.
    pub async fn containers(&self) -> Result<Vec<Container>> {
        let filter = format!("--filter=label={LABEL}={}", self.label);
        containers(&self.run(&["ps", "--all", "--format=json", &filter]).await?)
    }

    /// As [`Self::containers`], without those that have ended.
    pub async fn running_containers(&self) -> Result<Vec<Container>> {
        let filter = format!("--filter=label={LABEL}={}", self.label);
        containers(&self.run(&["ps", "--format=json", &filter]).await?)
    }

    /// The processes of podman that are attached to containers of this engine.
    pub fn attached_clients(&self) -> Result<Vec<Pid>> {
        let mut clients = Vec::new();
        for entry in fs::read_dir("/proc")? {
            let path = entry?.path();
            let Some(id) = path.file_name().and_then(|it| it.to_str()?.parse().ok()) else { continue };
            let command = fs::read_to_string(path.join("cmdline")).unwrap_or_default();
            let is_ours =
                self.run_args().iter().any(|it| it.contains("flotilla.test") && command.contains(it));
            if is_ours && command.starts_with("podman\0") && command.contains("\0run\0") {
                clients.extend(Pid::from_raw(id));
            }
        }
        Ok(clients)
    }

    /// Kills what runs in the containers of this engine, and those that would write down how it has ended.
    pub async fn kill_with_monitors(&self) -> Result<()> {
        for container in self.containers().await? {
            let format = "--format={{.State.ConmonPid}} {{.State.Pid}}";
            for id in self.run(&["inspect", format, &container.id]).await?.split_whitespace() {
                kill_process(Pid::from_raw(id.parse()?).context("not running")?, Signal::KILL)?;
            }
        }
        Ok(())
    }

    /// Removes the containers of this engine by force and tells which there were.
    pub async fn remove_containers(&self) -> Result<Vec<Container>> {
        let containers = self.containers().await?;
        self.remove(&containers).await?;
        Ok(containers)
    }

    /// Removes these containers by force.
    pub async fn remove(&self, containers: &[Container]) -> Result<()> {
        let mut arguments = vec!["rm", "--force", "--time=0", "--ignore"];
        arguments.extend(containers.iter().map(|it| it.id.as_str()));
        if containers.is_empty() {
            return Ok(());
        }
        // Not to be interrupted by Ctrl-C on a terminal, which everything in our own process group gets.
        let output = self.podman().args(&arguments).process_group(0).output().await.context(NOT_INSTALLED)?;
        ensure!(output.status.success(), "podman rm: {}", words(&output));
        Ok(())
    }

    /// Runs a container; if that fails, once more with settings for restricted machines.
    async fn adapt(&mut self) -> Result<()> {
        let Err(plain) = self.probe().await else { return Ok(()) };
        self.settings = Some(Settings::write()?);
        let Err(adapted) = self.probe().await else { return Ok(()) };
        let tried = self.settings.as_ref().map(Settings::text).unwrap_or_default();
        bail!("podman runs no container here.\nAs it is: {plain:#}\nWith\n{tried}{adapted:#}")
    }

    async fn probe(&self) -> Result<()> {
        let mut arguments = vec!["run".to_owned(), "--rm".to_owned()];
        arguments.extend(self.run_args());
        arguments.extend([self.image.clone(), "true".to_owned()]);
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        self.run(&arguments).await.map(drop)
    }
}

const NOT_INSTALLED: &str = "podman does not start; tests/install-packages.sh installs it";

impl Settings {
    fn write() -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("flotilla-podman-").tempdir()?;
        let path = folder.path().join("containers.conf");
        let runc = ["/usr/bin/runc", "/usr/sbin/runc"].iter().any(|it| Path::new(it).exists());
        fs::write(&path, adapted(runc, &limits())).context("cannot write containers.conf")?;
        Ok(Self { path, _folder: folder })
    }

    fn text(&self) -> String {
        fs::read_to_string(&self.path).unwrap_or_default()
    }
}

fn adapted(runc: bool, limits: &str) -> String {
    let runtime = if runc { "runtime = \"runc\"\n" } else { "" };
    format!(
        "[containers]\ndefault_ulimits = [{limits}]\nlog_driver = \"k8s-file\"\n\
         [engine]\n{runtime}cgroup_manager = \"cgroupfs\"\nevents_logger = \"file\"\n"
    )
}

/// The limits of this very process: nobody may have more without `CAP_SYS_RESOURCE`.
fn limits() -> String {
    let hard = |resource| getrlimit(resource).maximum.unwrap_or(u64::MAX);
    // podman lowers its own limit of processes to the kernel's, so its containers can have no more.
    let processes = fs::read_to_string("/proc/sys/kernel/pid_max")
        .ok()
        .and_then(|text| text.trim().parse().ok())
        .unwrap_or(u64::MAX)
        .min(hard(Resource::Nproc));
    let files = hard(Resource::Nofile).min(1_048_576);
    format!("\"nofile={files}:{files}\", \"nproc={processes}:{processes}\"")
}

fn new_label() -> String {
    format!("{}/{:016x}", settings::run(), RandomState::new().hash_one(std::process::id()))
}

/// Reads what `podman ps --format=json` prints.
pub fn containers(json: &str) -> Result<Vec<Container>> {
    let list: Vec<Value> = serde_json::from_str(json).context("podman ps: not JSON")?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let container = |it: &Value| Container {
        id: text(&it["Id"]),
        name: text(&it["Names"][0]),
        label: text(&it["Labels"][LABEL]),
    };
    Ok(list.iter().map(container).collect())
}

fn words(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr);
    format!("{} ({})", text.trim(), output.status)
}
