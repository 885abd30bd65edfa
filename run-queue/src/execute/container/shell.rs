//! A look into a container that has ended: its files are kept as an image, and a shell is started in that.

use std::process::Stdio;

use tokio_util::sync::CancellationToken;

use super::{Container, Engine, EngineError};

/// In the checkout, where there is one; the better shell, where there is one.
const SHELL: &str = "cd make-checkout-workdir 2>/dev/null || cd /var/tmp/make-checkout-workdir 2>/dev/null; if command -v bash >/dev/null; then exec bash; fi; exec sh";

/// The files of a container as an image, which is gone with this value.
#[derive(Debug)]
pub(in super::super) struct Kept {
    engine: Engine,
    image: String,
    removed: bool,
}

impl Container {
    /// Keeps the files of a container that has ended. What is in its volumes and in memory is not among them.
    pub(in super::super) async fn keep(&mut self) -> Result<Kept, EngineError> {
        self.engine.cleaned_up(&self.name).await?;
        let mut commit = self.engine.command("commit");
        // The name is for people who find one that was left.
        let name = format!("localhost/flotilla-shell:{}", self.name);
        commit.args(["--quiet", &self.name, &name]);
        // Gigabytes take minutes.
        let output = commit.output().await.map_err(|it| self.engine.missing(it))?;
        if !output.status.success() {
            return Err(self.engine.refused("commit", output.status, &output.stderr));
        }
        let image = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        Ok(Kept { engine: self.engine.clone(), image, removed: false })
    }
}

impl Kept {
    /// Runs a shell on our own terminal until the person leaves it, or is made to; `options` are those of the container. Then
    /// the image is removed.
    pub(in super::super) async fn shell(
        mut self,
        options: &[String],
        cancelled: &CancellationToken,
    ) -> Result<(), EngineError> {
        let name = format!("flotilla-shell-{}", self.image.get(..12).unwrap_or("0"));
        let mut run = self.engine.foreground_command("run");
        run.args(["--init", "--interactive", "--tty", "--rm", "--name", &name]);
        run.args(options).args(["--pull=never", &self.image, "sh", "-c", SHELL]);
        let mut shell = run.spawn().map_err(|it| self.engine.missing(it))?;
        tokio::select! {
            // What the person's last command ended with is nobody's trouble.
            left = shell.wait() => left.map(drop).map_err(|it| self.engine.missing(it))?,
            () = cancelled.cancelled() => {
                let mut remove = self.engine.command("rm");
                remove.args(["--force", "--time", "0", "--ignore", &name]);
                self.engine.ask("rm", remove).await?;
                let ended = shell.wait().await;
                tracing::debug!(?ended, "the shell was ended");
            }
        }
        let removed = self.engine.ask("rmi", self.removal().into()).await;
        self.removed = removed.is_ok();
        removed.map(drop)
    }

    fn removal(&self) -> std::process::Command {
        let mut remove = self.engine.plain_command("rmi");
        remove.args(["--force", &self.image]);
        remove
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        if self.removed {
            return;
        }
        // Not waited for, as with containers.
        let spawned = self.removal().stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        tracing::warn!(
            ok = spawned.is_ok(),
            image = self.image,
            "the image of a failed container was left and is removed"
        );
    }
}
