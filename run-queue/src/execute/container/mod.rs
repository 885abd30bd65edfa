//! Containers, through the command line of podman or of an engine that takes the same words.
//!
//! A container that runs here is detached: its monitor writes what it prints to a file of ours, the kernel says when it ends, and
//! what is needed to go on with it is in its labels. So it does not depend on the process that started it; another can take it over
//! ([`Engine::find`], [`Container::take_over`]). One that is elsewhere, behind a socket, has no file of ours, and a process of the
//! engine stays attached to it.

mod attached;
mod client;
mod copying;
mod ending;
mod engine;
mod entries;
mod error;
mod layers;
mod output;
mod owner;
mod shell;

use std::fs::{DirBuilder, File, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

pub use copying::Copying;
pub use ending::State;
pub use engine::Engine;
pub use error::EngineError;
pub use output::Output;
pub(super) use owner::remove_output;
pub use owner::{Found, Owner};
pub(super) use shell::Kept;

use self::client::Client;
use self::ending::Ending;
use self::engine::Place;

/// Between two looks at whether one that is elsewhere runs.
const LOOK: Duration = Duration::from_millis(50);

/// What a container is to be.
pub(super) struct Order<'a> {
    /// Whose it is.
    pub(super) owner: Owner,
    /// Options of `run`. What it needs to be ours comes after them, and wins.
    pub(super) options: &'a [String],
    /// The image, and the words that run in it.
    pub(super) command: &'a [String],
    /// The folder for the file of its output.
    pub(super) spool: &'a Path,
}

/// A container. It must be removed ([`Container::remove`]) or left to another process (`Container::leave`); one that is dropped instead,
/// in a panic or because a future was, is removed in the background.
pub struct Container {
    engine: Engine,
    name: String,
    means: Means,
    /// Removed or left.
    is_parted: bool,
}

enum Means {
    Here(Here),
    Elsewhere(Output),
}

/// A container on this machine.
struct Here {
    /// The engine's process that makes it, until that has done so.
    starting: Option<Client>,
    /// The folder of its output, which ends with it.
    folder: Option<PathBuf>,
    ending: Option<Ending>,
    /// The file, until it is followed.
    file: Option<File>,
    output: Option<Output>,
}

impl Container {
    /// Has the engine start one. It may have to fetch the image first; [`Container::started`] waits for that.
    pub(super) async fn start(engine: &Engine, order: Order<'_>) -> Result<Self, EngineError> {
        let place = engine.place().await?;
        let name = order.owner.container_name();
        let mut run = engine.command("run");
        run.arg("--init").args(order.options).arg(format!("--name={name}")).args(order.owner.labels());
        run.arg("--log-driver=k8s-file");
        let means = match place {
            Place::Here => Means::Here(Here::start(engine, run, &name, &order)?),
            Place::Elsewhere => {
                run.args(["--detach=false", "--sig-proxy=false"]).args(order.command);
                run.stdout(Stdio::piped());
                let client = Client::spawn(engine, run)?;
                Means::Elsewhere(attached::attach(engine.clone(), name.clone(), Some(client)))
            }
        };
        Ok(Self { engine: engine.clone(), name, means, is_parted: false })
    }

    /// Takes over one that another process has started; that process must be gone, or nothing of this is true for long. Its output
    /// comes from the first byte on, elsewhere when it has ended.
    pub async fn take_over(engine: &Engine, found: Found) -> Result<Self, EngineError> {
        let name = found.name;
        let means = match (engine.place().await?, found.output) {
            (Place::Here, Some(path)) => Means::Here(Here::take_over(&path, &name)?),
            (Place::Here, None) | (Place::Elsewhere, _) => {
                Means::Elsewhere(attached::attach(engine.clone(), name.clone(), None))
            }
        };
        Ok(Self { engine: engine.clone(), name, means, is_parted: false })
    }

    /// Waits until it runs. Where it can't, the engine's words say why. Dropping the future loses nothing.
    pub async fn started(&mut self) -> Result<(), EngineError> {
        let Means::Here(here) = &mut self.means else { return Ok(()) };
        if let Some(client) = &mut here.starting {
            let status = client.ended(&self.engine).await?;
            if let Some(client) = here.starting.take().filter(|_| !status.success()) {
                return Err(self.engine.refused("run", status, &client.words().await));
            }
        }
        if let Some(file) = here.file.take() {
            let ending = Ending::watch(self.engine.clone(), self.name.clone());
            here.output = Some(output::follow(file, ending.over.clone()));
            here.ending = Some(ending);
        }
        Ok(())
    }

    /// Waits until another process could go on with it. An error is that it never will run. Dropping the future loses nothing.
    pub(super) async fn begun(&mut self) -> Result<(), EngineError> {
        self.started().await?;
        // Only the engine knows of one that is elsewhere.
        while matches!(self.means, Means::Elsewhere(_))
            && !matches!(
                self.engine.state(&self.name).await,
                Ok(State::Running(_) | State::Ended(_) | State::Stopped(_))
            )
        {
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    }

    /// Leaves one that has [`Container::begun`] as it is, for another process that takes it over.
    pub(super) fn leave(mut self) {
        tracing::info!(name = self.name, "a container is left to another process");
        self.is_parted = true;
    }

    /// Its output: from the first byte, as it comes, to its end. Its standard error is in it, in order as far as its command
    /// put both into one. None where it was not [`Container::started`].
    pub const fn output(&mut self) -> Option<&mut Output> {
        match &mut self.means {
            Means::Here(here) => here.output.as_mut(),
            Means::Elsewhere(output) => Some(output),
        }
    }

    /// Whether there is such a container.
    pub(super) async fn is_there(&mut self) -> Result<bool, EngineError> {
        let mut exists = self.engine.command("container");
        exists.args(["exists", &self.name]);
        match self.engine.ask("container exists", exists).await {
            Ok(_) => Ok(true),
            Err(EngineError::Refused { status, .. }) if status.code() == Some(1) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Its exit code, when it has ended.
    pub async fn ended(&mut self) -> Result<i32, EngineError> {
        match &mut self.means {
            Means::Here(Here { ending: Some(ending), .. }) => ending.code().await,
            Means::Here(_) => Err(EngineError::NeverRan { name: self.name.clone() }),
            Means::Elsewhere(_) => attached::wait(&self.engine, &self.name).await,
        }
    }

    /// Ends it at once, whatever it does about signals, so that what it left can be copied out. One that is only about to run never
    /// does; whether it ran is the answer.
    pub async fn kill(&mut self) -> Result<bool, EngineError> {
        if let Means::Here(here) = &mut self.means
            && let Some(client) = here.starting.take()
        {
            client.stop().await;
            return Ok(false);
        }
        let mut kill = self.engine.command("kill");
        kill.arg(&self.name);
        match self.engine.ask("kill", kill).await {
            Ok(_) => Ok(true),
            // It has ended by itself, or there was none.
            Err(EngineError::Refused { .. }) => {
                Ok(self.engine.state(&self.name).await.is_ok_and(|it| it != State::Made))
            }
            Err(error) => Err(error),
        }
    }

    /// A folder in one that has ended, as a tar stream. Its end is the end of the stream; [`Copying::finish`] says whether all came.
    pub async fn copy_out(&mut self, path: &str) -> Result<Copying, EngineError> {
        self.engine.cleaned_up(&self.name).await?;
        let mut copy = self.engine.command("cp");
        copy.arg(format!("{}:{path}/.", self.name)).arg("-");
        copy.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = copy.spawn().map_err(|it| self.engine.missing(it))?;
        let stdout = child.stdout.take();
        Ok(Copying { engine: self.engine.clone(), child, stdout })
    }

    /// Removes it by force, with its volumes and the file of its output; also what is only about to be one.
    pub async fn remove(mut self) -> Result<(), EngineError> {
        if let Means::Here(here) = &mut self.means
            && let Some(client) = here.starting.take()
        {
            client.stop().await;
        }
        // The first try can fail for a container whose monitor is dead, and learns that it is.
        let mut removed = self.engine.ask("rm", self.removal().into()).await;
        if removed.is_err() {
            removed = self.engine.ask("rm", self.removal().into()).await;
        }
        self.is_parted = removed.is_ok();
        if self.is_parted {
            self.remove_folder();
        }
        removed.map(drop)
    }

    fn removal(&self) -> std::process::Command {
        let mut remove = self.engine.plain_command("rm");
        remove.args(["--force", "--time=0", "--volumes", "--ignore", &self.name]);
        remove
    }

    fn remove_folder(&self) {
        if let Means::Here(Here { folder: Some(folder), .. }) = &self.means
            && let Err(error) = std::fs::remove_dir_all(folder)
        {
            tracing::warn!(%error, folder = %folder.display(), "the output of a container is left");
        }
    }
}

impl Here {
    fn start(engine: &Engine, mut run: Command, name: &str, order: &Order<'_>) -> Result<Self, EngineError> {
        let failed = |source| EngineError::Io { what: "the folder for the container's output", source };
        // Its monitor has another working folder than we.
        let folder = std::path::absolute(order.spool).map_err(failed)?.join(name);
        DirBuilder::new().recursive(true).mode(0o700).create(&folder).map_err(failed)?;
        let started = || {
            let path = folder.join("output");
            // Ours before the engine opens it, which may be another user.
            let mut options = OpenOptions::new();
            let file = options.read(true).append(true).create_new(true).mode(0o600).open(&path);
            let file = file.map_err(failed)?;
            run.arg("--detach").arg(log_option(&path)).arg(owner::output_label(&path));
            run.args(order.command).stdout(Stdio::null());
            Ok((file, Client::spawn(engine, run)?))
        };
        match started() {
            Ok((file, client)) => Ok(Self {
                starting: Some(client),
                folder: Some(folder),
                ending: None,
                file: Some(file),
                output: None,
            }),
            Err(error) => {
                // Whatever is wrong with the folder is told already.
                let _ = std::fs::remove_dir_all(&folder);
                Err(error)
            }
        }
    }

    fn take_over(path: &Path, name: &str) -> Result<Self, EngineError> {
        let failed = |source| EngineError::Io { what: "the file of the container's output", source };
        let file = File::open(path).map_err(failed)?;
        // What is removed at the end is never more than such a folder, whatever a label says.
        let folder = path.parent().filter(|it| it.ends_with(name)).map(Path::to_owned);
        Ok(Self { starting: None, folder, ending: None, file: Some(file), output: None })
    }
}

/// The engine reads this option as a line of CSV.
fn log_option(path: &Path) -> String {
    format!("--log-opt=\"path={}\"", path.display().to_string().replace('"', "\"\""))
}

impl Drop for Container {
    fn drop(&mut self) {
        if self.is_parted {
            return;
        }
        // Not waited for: it is a last resort, and the engine needs no parent.
        let spawned = self.removal().stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        self.remove_folder();
        tracing::warn!(ok = spawned.is_ok(), name = self.name, "a container was left and is removed");
    }
}
