//! The fleet as its users see it.

mod adoption;
mod claims;
mod comeback;
mod configuration;
mod containers;
mod contract;
mod dead;
mod examples;
mod gate;
mod handover;
mod hostile;
mod inspect;
mod interop;
mod issues;
mod jobs;
mod local;
mod notices;
mod programs;
mod receiver;
mod reports;
mod room;
mod scanner;
mod secrets;
mod slice;
mod statistics;
mod steps;
mod superseded;
mod sweep;
mod worker;

use anyhow::Result;
use common::id::RepoName;
use tests::broker::{Broker, Options};
use tests::engine::Engine;
use tests::fleet::{Fleet, Setup};
use tests::git::File;

/// A repository whose tests are this shell script.
pub(super) async fn repo(fleet: &Fleet, script: &str) -> Result<RepoName> {
    let script = format!("#!/bin/sh\n{script}\n");
    fleet.create_repo("octo/app", &[File::new(".cockpit-ci/run", script).executable()]).await
}

/// A file that makes a pull differ.
pub(super) fn change() -> [File; 1] {
    [File::new("README", "a change\n")]
}

/// A fleet whose broker the test may break.
#[expect(clippy::unwrap_used, reason = "that is how a test fails")]
async fn with_own_broker(setup: Setup, test: impl AsyncFnOnce(&mut Fleet) -> Result<()>) {
    common::crypto::install();
    let run = async {
        let broker = Broker::private(&Options::default()).await?;
        let mut fleet = Fleet::start_on(setup, broker, Engine::open().await?).await?;
        test(&mut fleet).await?;
        fleet.finish().await
    };
    run.await.unwrap();
}
