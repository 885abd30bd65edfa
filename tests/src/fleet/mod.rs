//! A whole fleet, for a test or for a look: broker, forge, repositories, and our own programs as processes.
//!
//! Tests say what people do ([`verbs`](Fleet)) and wait for what people see; [`run_test`] makes the fleet, and fails the test
//! when something is left over at the end: a message in a queue, a container, an unread request, a program that did not end well.

mod config;
mod finish;
mod program;
mod queues;
mod verbs;
mod web;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use common::id::{CommitSha, PullNumber, RepoName};
use futures_util::FutureExt;
use tempfile::TempDir;

pub use self::config::Setup;
pub use self::finish::Farewell;
pub use self::program::{Program, binary};
pub use self::queues::Dead;
use self::web::LogServer;
use crate::broker::{Broker, VirtualHost};
use crate::engine::Engine;
use crate::forge::{Access, FakeForge, Hook};
use crate::git::GitServer;
use crate::secrets;

/// Longer than anything takes on a busy machine; a test that waits this long has failed.
pub const DEADLINE: Duration = Duration::from_mins(1);

/// Everything that works together.
pub struct Fleet {
    /// The forge that people work on.
    pub forge: FakeForge,
    /// Their repositories.
    pub git: Arc<GitServer>,
    /// What runs containers.
    pub engine: Engine,
    /// Between all programs; this fleet has a virtual host of its own in it.
    pub broker: Broker,
    vhost: VirtualHost,
    folder: TempDir,
    /// Where the secrets of jobs are.
    memory: TempDir,
    logs: LogServer,
    setup: Setup,
    webhook: Option<Program>,
    workers: Vec<Program>,
    hook: Option<Hook>,
}

/// A pull request of a fleet's forge.
#[derive(Clone, Debug)]
pub struct Pull {
    /// Where it is.
    pub repo: RepoName,
    /// Its number.
    pub number: PullNumber,
    /// Its head.
    pub sha: CommitSha,
}

impl Fleet {
    /// Makes the fleet around our programs, and starts those that the setup wants.
    pub async fn start(setup: Setup) -> Result<Self> {
        let (broker, engine) = tokio::try_join!(Broker::open(), Engine::open())?;
        Self::start_on(setup, broker, engine).await
    }

    /// The same with a broker of the caller's.
    pub async fn start_on(setup: Setup, broker: Broker, engine: Engine) -> Result<Self> {
        let git = Arc::new(GitServer::start().await?);
        let forge = FakeForge::start(Access::Token(secrets::FORGE_TOKEN.to_owned())).await?;
        serve_contents(&forge, &git);
        let folder = tempfile::Builder::new().prefix("flotilla-fleet-").tempdir()?;
        let memory = tempfile::Builder::new().prefix("flotilla-fleet-").tempdir_in("/dev/shm")?;
        let logs_dir = setup.logs.clone().unwrap_or_else(|| folder.path().join("logs"));
        let logs = LogServer::start(&logs_dir).await?;
        let own_name = || format!("fleet-{}", uuid::Uuid::now_v7().simple());
        let vhost = broker.vhost(&setup.vhost.clone().unwrap_or_else(own_name)).await?;
        let mut fleet = Self {
            forge,
            git,
            engine,
            broker,
            vhost,
            folder,
            memory,
            logs,
            webhook: None,
            workers: Vec::new(),
            hook: None,
            setup: setup.clone(),
        };
        fleet.write_config()?;
        if setup.webhook {
            fleet.start_webhook().await?;
        }
        if setup.worker {
            fleet.start_worker(&[]).await?;
        }
        Ok(fleet)
    }
}

/// Runs a test with a fleet, and fails it when something is left over.
///
/// # Panics
///
/// That is how a test fails.
pub async fn run_test(test: impl AsyncFnOnce(&mut Fleet) -> Result<()>) {
    run_test_with(Setup::default(), test).await;
}

/// The same with another setup.
///
/// # Panics
///
/// That is how a test fails.
#[expect(clippy::panic, reason = "the one place where a test fails")]
pub async fn run_test_with(setup: Setup, test: impl AsyncFnOnce(&mut Fleet) -> Result<()>) {
    common::crypto::install();
    let done = async {
        let mut fleet = Fleet::start(setup).await.context("the fleet did not start")?;
        // A failed assertion is told with the same story as an error, and the fleet ends in order.
        let tested = AssertUnwindSafe(test(&mut fleet)).catch_unwind().await;
        let tested = tested.unwrap_or_else(|_| Err(anyhow::anyhow!("an assertion failed, see above")));
        let story = if tested.is_err() { fleet.story() } else { String::new() };
        let finished = fleet.finish().await;
        tested.with_context(|| format!("the test failed; what the programs said:\n{story}"))?;
        finished.context("left over at the end of the test")
    };
    if let Err(error) = done.await {
        panic!("{error:?}");
    }
}

/// The forge's contents are those of the repositories.
fn serve_contents(forge: &FakeForge, git: &Arc<GitServer>) {
    let git = Arc::clone(git);
    let runtime = tokio::runtime::Handle::current();
    forge.serve_contents(move |repo, path, sha| {
        runtime.block_on(git.read(repo.as_str(), sha.as_str(), path)).ok().flatten()
    });
}
