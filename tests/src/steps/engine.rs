//! Podman, with a word to the test before and after each command.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::Result;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::Steps;

/// A command that is cut off does nothing, or has done what it does and says nothing of how it went.
const SCRIPT: &str = r#"#!/usr/bin/env bash
exec 3<>"/dev/tcp/127.0.0.1/PORT" || exit 125
printf '%s\n' "$1" >&3
read -r _ <&3 || exit 125
podman "$@" 3>&-
code=$?
echo >&3
read -r _ <&3 || exit 125
exit "$code"
"#;

/// Until it is dropped.
pub struct WatchedEngine {
    folder: TempDir,
    _stop: DropGuard,
}

impl WatchedEngine {
    pub async fn start(steps: &Steps) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let folder = tempfile::Builder::new().prefix("flotilla-engine-").tempdir()?;
        let script = folder.path().join("podman");
        fs::write(&script, SCRIPT.replace("PORT", &listener.local_addr()?.port().to_string()))?;
        fs::set_permissions(&script, Permissions::from_mode(0o755))?;
        let (stop, steps) = (CancellationToken::new(), steps.clone());
        tokio::spawn(stop.clone().run_until_cancelled_owned(async move {
            while let Ok((client, _)) = listener.accept().await {
                let steps = steps.clone();
                // One that ends before its answer is killed.
                tokio::spawn(async move { command(client, &steps).await.ok() });
            }
        }));
        Ok(Self { folder, _stop: stop.drop_guard() })
    }

    /// The program, for `container.command`.
    pub fn program(&self) -> std::path::PathBuf {
        self.folder.path().join("podman")
    }

    /// What it is in.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}

async fn command(client: TcpStream, steps: &Steps) -> Result<()> {
    let (from, mut to) = client.into_split();
    let mut lines = BufReader::new(from).lines();
    let Some(verb) = lines.next_line().await? else { return Ok(()) };
    let Ok(step) = steps.before(&format!("engine {verb}")).await else { return Ok(()) };
    to.write_all(b"go on\n").await?;
    if lines.next_line().await?.is_some() && step.after().await.is_ok() {
        to.write_all(b"go on\n").await?;
    }
    Ok(())
}
