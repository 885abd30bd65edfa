//! Small disks that can be full. Only root can make one.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use tempfile::TempDir;

/// As much as all logs of a long run, and a little more.
const SIZE: &str = "size=256m";

/// A file system in memory, which is gone when it is dropped.
#[derive(Debug)]
pub struct Disk {
    folder: TempDir,
}

impl Disk {
    /// None where this user may not.
    pub fn make() -> Result<Option<Self>> {
        let folder = tempfile::Builder::new().prefix("flotilla-disk-").tempdir()?;
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", SIZE, "flotilla-faults"]).arg(folder.path());
        let output = mount.output().context("mount does not start")?;
        Ok(output.status.success().then_some(Self { folder }))
    }

    /// Where it is.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Leaves not a byte.
    pub fn fill(&self) -> Result<()> {
        let mut fill = Command::new("dd");
        fill.args(["if=/dev/zero", "bs=64k"]).arg(format!("of={}", self.ballast().display()));
        let output = fill.output().context("dd does not start")?;
        ensure!(!output.status.success(), "the disk has room for all");
        Ok(())
    }

    /// Leaves all of what it had.
    pub fn clear(&self) -> Result<()> {
        fs::remove_file(self.ballast()).context("the disk was not full")
    }

    fn ballast(&self) -> PathBuf {
        self.folder.path().join("ballast")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: somebody may still have a file open.
        let _ = Command::new("umount").arg("--lazy").arg(self.folder.path()).output();
    }
}
