//! The folder of secrets that every program of a fleet reads: the certificates of one authority
//! and the tokens of a forge.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use common::Clock;
use credentials::FleetOptions;

/// The common name of the client certificate, and so the broker's user.
pub const BROKER_USER: &str = "cockpit-amqp";
/// What forges sign deliveries with in tests.
pub const WEBHOOK_TOKEN: &str = "test-webhook-token";
/// What the stand-in for a forge takes as the right to write.
pub const FORGE_TOKEN: &str = "test-github-token";

/// Fills `folder` with everything that a program of a fleet looks for there.
pub fn write(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    credentials::fleet(folder, &FleetOptions::default(), Clock::system().now()).context("certificates")?;
    file(folder, ".config--github-webhook-token", WEBHOOK_TOKEN)?;
    file(folder, ".config--github-token", FORGE_TOKEN)
}

fn file(folder: &Path, name: &str, text: &str) -> Result<()> {
    fs::write(folder.join(name), text).with_context(|| format!("cannot write {name}"))
}
