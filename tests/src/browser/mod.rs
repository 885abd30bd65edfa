//! A real browser without a screen, for the pages of logs: Chromium of the distribution.
//!
//! It is spoken to in its own protocol (Chrome `DevTools`) over a pair of pipes, so there is no port to guess, no
//! driver to install, and when we end it reads the end of its pipe and ends too.

mod page;
mod protocol;
pub mod sample;
mod site;

pub use page::{Complaint, Page, Scheme};
pub use site::{Fault, Ranges, Request, Site};

use std::fs::File;
use std::process::{Command, Stdio};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use serde_json::json;
use tempfile::TempDir;

use crate::group::{self, Group};
use protocol::Protocol;

/// What distributions call it.
const NAMES: [&str; 2] = ["chromium", "chromium-browser"];

/// The browser reads commands from file 3 and answers on file 4.
const SCRIPT: &str = r#"exec "$@" 3<&0 4>&1 </dev/null >/dev/null"#;

const OPTIONS: [&str; 13] = [
    "--headless=new",
    "--remote-debugging-pipe",
    "--no-sandbox", // tests run as root, and the pages are ours
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-breakpad",
    "--no-first-run",
    "--hide-scrollbars",
    "--force-color-profile=srgb",
];

/// A running browser with a profile of its own. Both are gone when it is dropped.
pub struct Browser {
    protocol: Arc<Protocol>,
    group: Group,
    _profile: TempDir,
}

impl Browser {
    /// Starts one.
    pub async fn start() -> Result<Self> {
        let Some(program) = NAMES.into_iter().find(|it| is_installed(it)) else {
            bail!("no program {}: tests/install-packages.sh installs it", NAMES.join(" or "));
        };
        let profile = tempfile::Builder::new().prefix("flotilla-browser-").tempdir()?;
        let said = profile.path().join("stderr");
        let (commands, to_browser) = std::io::pipe()?;
        let (from_browser, answers) = std::io::pipe()?;
        let mut command = Command::new("sh");
        command
            .args(["-c", SCRIPT, "sh", program])
            .args(OPTIONS)
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .env("HOME", profile.path()) // caches and settings of the desktop
            .stdin(commands)
            .stdout(answers)
            .stderr(Stdio::from(File::create(&said)?));
        let group = Group::spawn(&mut command, profile.path())?;
        drop(command); // it holds the browser's ends of the pipes
        let protocol = Protocol::start(from_browser, to_browser);
        protocol.call(None, "Browser.getVersion", json!({})).await.with_context(|| {
            format!("{program} does not answer: {}", std::fs::read_to_string(&said).unwrap_or_default())
        })?;
        Ok(Self { protocol, group, _profile: profile })
    }

    /// The bytes of memory that its tabs take: not those that processes share.
    pub fn memory(&self) -> u64 {
        let of = |pid: i32| -> Option<u64> {
            let command = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).ok()?;
            let memory = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
            let line = memory.lines().find(|it| it.starts_with("Pss:"))?;
            let kilobytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
            command.contains("--type=renderer").then_some(kilobytes * 1024)
        };
        group::members(self.group.id()).into_iter().filter_map(of).sum()
    }

    /// A tab of the given size, in pixels, with nothing in it yet.
    pub async fn tab(&self, width: u32, height: u32) -> Result<Page> {
        Page::open(Arc::clone(&self.protocol), width, height).await
    }
}

fn is_installed(program: &str) -> bool {
    Command::new(program)
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}
