//! Commits without a working tree: one `git fast-import` for each.

use std::fmt::Write;
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result, bail};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

/// A file of a commit.
#[derive(Clone, Debug)]
pub struct File {
    path: String,
    content: Vec<u8>,
    mode: &'static str,
}

impl File {
    pub fn new(path: &str, content: impl Into<Vec<u8>>) -> Self {
        Self { path: path.to_owned(), content: content.into(), mode: "100644" }
    }

    #[must_use]
    pub fn executable(self) -> Self {
        Self { mode: "100755", ..self }
    }
}

pub(super) struct Commit<'a> {
    pub(super) reference: &'a str,
    pub(super) parent: Option<&'a str>,
    pub(super) message: &'a str,
    pub(super) files: &'a [File],
}

/// Seconds since 2023-11-14: later commits get later times, and none the real one.
static CLOCK: AtomicU64 = AtomicU64::new(1_700_000_000);

impl Commit<'_> {
    /// Writes the commit into the repository that `git` runs in and gives its id.
    pub(super) async fn import(&self, mut git: Command) -> Result<String> {
        let mut child = git
            .args(["fast-import", "--quiet", "--force", "--date-format=raw"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("git does not start")?;
        let mut pipe = child.stdin.take().context("git has no standard input")?;
        // When git ends early its own words say more than our broken pipe.
        let written = pipe.write_all(&self.stream()).await;
        drop(pipe);
        let output = child.wait_with_output().await?;
        if !output.status.success() {
            bail!("git fast-import: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        written.context("git fast-import")?;
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    fn stream(&self) -> Vec<u8> {
        let time = CLOCK.fetch_add(1, Ordering::Relaxed);
        let mut head = format!("commit {}\nmark :1\n", self.reference);
        let _ = writeln!(head, "committer Harness <harness@example.com> {time} +0000");
        let _ = writeln!(head, "data {}\n{}", self.message.len(), self.message);
        if let Some(parent) = self.parent {
            let _ = writeln!(head, "from {parent}");
        }
        let mut stream = head.into_bytes();
        for file in self.files {
            let head = format!("M {} inline {}\ndata {}\n", file.mode, file.path, file.content.len());
            stream.extend(head.into_bytes());
            stream.extend(&file.content);
            stream.push(b'\n');
        }
        stream.extend(b"get-mark :1\n");
        stream
    }
}
