//! The image that jobs of tests run in: a shell and git, made of what this machine has.
//!
//! No registry is asked. It takes a second, and only when the content has changed since the last
//! time, as the tag is a digest of the content.

mod archive;
mod libraries;

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, bail};
use aws_lc_rs::digest::{SHA256, digest};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use self::archive::Archive;
use crate::engine::Engine;

const NAME: &str = "localhost/flotilla-test";
/// Where the shell and its friends are; git is where it is on this machine.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// Rebasing needs to know who does it.
const GIT_CONFIG: &str = "[init]\n\tdefaultBranch = main\n\ttemplateDir = /usr/share/git-core/templates\n\
    [advice]\n\tdetachedHead = false\n";

/// Makes the image, if it is not there yet, and gives its name.
pub async fn make(engine: &Engine) -> Result<String> {
    let content = content().await.context("the test image")?;
    let digest = digest(&SHA256, &content);
    let name = format!("{NAME}:{:.12}", hex::encode(digest));
    if engine.run(&["image", "exists", &name]).await.is_err() {
        import(engine, &name, &content).await?;
    }
    Ok(name)
}

async fn import(engine: &Engine, name: &str, content: &[u8]) -> Result<()> {
    let mut child = engine
        .podman()
        .args(["import", "--quiet"])
        .arg(format!("--change=ENV PATH={PATH}"))
        .arg("--change=ENV GIT_CONFIG_SYSTEM=/etc/gitconfig")
        .args(["-", name])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .context("podman does not start; tests/install-packages.sh installs it")?;
    let mut pipe = child.stdin.take().context("podman has no standard input")?;
    // When podman ends early its own words say more than our broken pipe.
    let written = pipe.write_all(content).await;
    drop(pipe);
    let output = child.wait_with_output().await?;
    if output.status.success() {
        return written.context("podman import");
    }
    bail!("podman import: {}", String::from_utf8_lossy(&output.stderr).trim())
}

async fn content() -> Result<Vec<u8>> {
    let mut archive = Archive::default();
    for folder in ["dev", "proc", "sys", "run", "root", "home", "var", "usr/share/git-core/templates"] {
        archive.folder(folder, 0o755)?;
    }
    archive.folder("tmp", 0o1777)?;
    archive.folder("var/tmp", 0o1777)?;
    archive.text("etc/passwd", "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n")?;
    archive.text("etc/group", "root:x:0:\nnobody:x:65534:\n")?;
    archive.text("etc/gitconfig", GIT_CONFIG)?;
    let mut libraries = Vec::new();
    libraries.extend(add_busybox(&mut archive).await?);
    libraries.extend(add_git(&mut archive).await?);
    libraries::add(&mut archive, libraries)?;
    archive.finish()
}

async fn add_busybox(archive: &mut Archive) -> Result<Vec<PathBuf>> {
    let busybox = in_path("busybox").next().context("busybox is not installed")?;
    let libraries = libraries::of(&busybox).await?;
    archive.file("bin/busybox", &busybox)?;
    for applet in output(Command::new(&busybox).arg("--list")).await?.lines() {
        if applet != "busybox" {
            archive.link(&format!("bin/{applet}"), "/bin/busybox")?;
        }
    }
    archive.link("usr/bin/env", "/bin/busybox")?;
    Ok(libraries)
}

/// Adds the first git whose libraries are all there: a machine can have an older or a broken one too.
async fn add_git(archive: &mut Archive) -> Result<Vec<PathBuf>> {
    let mut reasons = String::new();
    for git in in_path("git") {
        match libraries::of(&git).await {
            Ok(libraries) => {
                archive.file("usr/bin/git", &git)?;
                // Where git looks for its parts; all that jobs need are built into it.
                let parts = output(Command::new(&git).arg("--exec-path")).await?;
                archive.link(&format!("{}/git", parts.trim()), "/usr/bin/git")?;
                return Ok(libraries);
            }
            Err(error) => reasons = format!("{reasons}; {error:#}"),
        }
    }
    bail!("no git that could be copied{reasons}")
}

fn in_path(program: &str) -> impl Iterator<Item = PathBuf> {
    PATH.split(':').map(move |folder| Path::new(folder).join(program)).filter(|path| path.is_file())
}

/// The standard output of a command that succeeds.
async fn output(command: &mut Command) -> Result<String> {
    let output = command.output().await.with_context(|| format!("{command:?}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    bail!("{command:?}: {}", String::from_utf8_lossy(&output.stderr).trim())
}
