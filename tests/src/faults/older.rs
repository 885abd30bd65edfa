//! A worker of an existing deployment beside ours (`interop/old_client.py`): it asks for messages, does them and acknowledges at the end,
//! makes no claims, and looks at nothing before it begins.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result};

use crate::fleet::Fleet;
use crate::forge::StatusRecord;
use crate::group::Group;
use crate::settings;

/// How it signs what it posts.
const HOST: &str = "[older]";
/// A file that is there while it has a message.
const BUSY: &str = "older.busy";

/// Whether a worker of an existing deployment has posted it.
pub(super) fn is_theirs(status: &StatusRecord) -> bool {
    status.description.as_deref().is_some_and(|it| it.ends_with(HOST))
}

/// See the module.
pub(super) struct Older {
    python: String,
    folder: PathBuf,
    arguments: Vec<String>,
    starts: usize,
    process: Option<Group>,
}

impl Older {
    /// None where nobody has said which python has pika.
    pub(super) fn find(fleet: &Fleet, config: &Path) -> Result<Option<Self>> {
        let Some(python) = settings::get(settings::PYTHON) else { return Ok(None) };
        let folder = config.parent().context("a folder")?.to_owned();
        let secrets = fleet.broker.secrets_dir().display().to_string();
        let token = folder.join("forge-token").display().to_string();
        let (address, vhost, api) = (fleet.broker.address(), fleet.vhost(), fleet.forge.url());
        let arguments = [address, vhost, &secrets, "work", api, &token].map(str::to_owned).to_vec();
        Ok(Some(Self { python, folder, arguments, starts: 0, process: None }))
    }

    /// Starts it, if it is not there.
    pub(super) fn start(&mut self) -> Result<()> {
        if self.process.is_some() {
            return Ok(());
        }
        self.starts += 1;
        let said = File::create(self.folder.join(format!("older-{}.log", self.starts)))?;
        let mut command = Command::new(&self.python);
        command
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/interop/old_client.py"))
            .args(&self.arguments)
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .stdout(said.try_clone()?)
            .stderr(said);
        self.process = Some(Group::spawn(&mut command, &self.folder)?);
        Ok(())
    }

    /// With all that it has started.
    pub(super) fn kill(&mut self) {
        self.process = None;
        // There is none where it had nothing to do.
        let _ = fs::remove_file(self.folder.join(BUSY));
    }

    /// Whether it has a message.
    pub(super) fn is_busy(&self) -> bool {
        self.folder.join(BUSY).exists()
    }

    /// Its process.
    pub(super) fn id(&self) -> Option<i32> {
        self.process.as_ref().map(Group::id)
    }

    /// Whether it has ended, as it does when it loses the broker or does not understand a message.
    pub(super) fn has_ended(&mut self) -> Result<bool> {
        Ok(match &mut self.process {
            Some(process) => process.exited()?.is_some(),
            None => false,
        })
    }
}
