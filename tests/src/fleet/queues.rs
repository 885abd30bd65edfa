//! The fleet's queues, through the programs that operators use.

use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use common::Clock;
use common::broker::{Broker as Connector, BrokerError, Session};
use common::queue::{Queue, QueueNames};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use super::program::binary;
use super::{DEADLINE, Fleet};
use crate::broker::Identity;
use crate::wait::until;

const POLL: Duration = Duration::from_millis(20);
/// How many looks in a row must find nothing: between two of them a message may be on its way.
const QUIET: u32 = 4;

/// What one of our programs said and how it ended.
#[derive(Clone, Debug)]
pub struct Said {
    /// Its exit code.
    pub code: Option<i32>,
    /// Its standard output.
    pub out: String,
    /// Its standard error.
    pub err: String,
}

/// A message that could not be dealt with.
#[derive(Clone, Debug)]
pub struct Dead {
    /// What it says.
    pub body: String,
    /// Why it is there.
    pub reason: String,
    /// Where it came from.
    pub queue: String,
    /// How often it was tried.
    pub attempt: u32,
    /// What became of the attempts before, a line each.
    pub history: Vec<String>,
}

impl Fleet {
    /// Runs a program of ours to its end, with this fleet's configuration.
    pub async fn run_program(&self, name: &str, arguments: &[&str], input: &str) -> Result<Said> {
        let mut child = Command::new(binary(name)?)
            .args(arguments)
            .arg("--config")
            .arg(self.config_file())
            .envs(self.engine.environment())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let mut stdin = child.stdin.take().context("stdin")?;
        stdin.write_all(input.as_bytes()).await?;
        drop(stdin);
        let output = tokio::time::timeout(DEADLINE, child.wait_with_output()).await;
        let output = output.with_context(|| format!("{name} did not end"))??;
        let text = |it: &[u8]| String::from_utf8_lossy(it).into_owned();
        Ok(Said { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) })
    }

    /// Puts a message into a queue, as an operator does.
    pub async fn publish(&self, queue: &str, body: &str) -> Result<()> {
        self.publish_with(queue, body, &["--create"]).await
    }

    /// The same without a check of the body.
    pub async fn publish_raw(&self, queue: &str, body: &str) -> Result<()> {
        self.publish_with(queue, body, &["--create", "--raw"]).await
    }

    async fn publish_with(&self, queue: &str, body: &str, options: &[&str]) -> Result<()> {
        let said = self.run_program("publish-queue", &[&["--queue", queue], options].concat(), body).await?;
        ensure!(said.code == Some(0), "publish-queue ended with {:?}: {}", said.code, said.err);
        Ok(())
    }

    /// What `inspect-queue` prints.
    pub async fn inspect(&self, arguments: &[&str]) -> Result<String> {
        let said = self.run_program("inspect-queue", arguments, "").await?;
        ensure!(said.code == Some(0), "inspect-queue ended with {:?}: {}", said.code, said.err);
        Ok(said.out)
    }

    /// A session of the test's own with the broker.
    pub async fn session(&self) -> Result<Session> {
        Ok(self.connector()?.connect("test").await?)
    }

    /// The client library by itself, for what our own programs would never say.
    pub async fn bare_client(&self) -> Result<lapin::Connection> {
        self.broker.connect(self.vhost.name(), Identity::Client).await
    }

    /// How programs of this fleet connect.
    pub fn connector(&self) -> Result<Connector> {
        Ok(Connector {
            address: self.broker.address().parse()?,
            vhost: self.vhost.name().to_owned(),
            secrets: self.broker.secrets_dir().to_owned(),
            server_name: None,
            queues: QueueNames::with_internal(self.setup.internal_queue).context("internal queue")?,
            clock: Clock::system(),
        })
    }

    /// How many messages wait in each queue that has any.
    pub async fn waiting(&self) -> Result<Vec<(Queue, u32)>> {
        let session = self.session().await?;
        let waiting = waiting(&session).await;
        session.close().await;
        waiting
    }

    /// Waits until nothing is in the queues and nothing is being dealt with (what is dead stays there).
    pub async fn settle(&mut self) -> Result<()> {
        self.settle_but(&[]).await
    }

    /// The same where nobody is to deal with what is in some queues.
    pub async fn settle_but(&mut self, others: &[Queue]) -> Result<()> {
        let session = self.session().await?;
        let end = Instant::now() + DEADLINE;
        let mut quiet = 0;
        while quiet < QUIET {
            let mut waiting = waiting(&session).await?;
            waiting.retain(|(queue, _)| *queue != Queue::Dead && !others.contains(queue));
            let (busy, later) = (self.busy().await?, self.later(&session).await?);
            quiet = if waiting.is_empty() && busy + later == 0 { quiet + 1 } else { 0 };
            if Instant::now() > end {
                bail!(
                    "not settled within {DEADLINE:?}: waiting {waiting:?}, {later} to be tried again, {busy} busy"
                );
            }
            tokio::time::sleep(POLL).await;
        }
        session.close().await;
        Ok(())
    }

    /// Takes everything out of some queues, and says how much there was.
    pub async fn empty(&self, queues: &[Queue]) -> Result<usize> {
        let session = self.session().await?;
        session.declare(queues).await?;
        let mut taken = 0;
        for queue in queues {
            while let Some(received) = session.take(*queue).await? {
                received.ack().await?;
                taken += 1;
            }
        }
        session.close().await;
        Ok(taken)
    }

    /// Waits until a message is dead, and takes it.
    pub async fn wait_for_dead(&self) -> Result<Dead> {
        let end = Instant::now() + DEADLINE;
        loop {
            if let Some(dead) = self.take_dead().await?.pop() {
                return Ok(dead);
            }
            ensure!(Instant::now() < end, "nothing is dead within {DEADLINE:?}");
            tokio::time::sleep(POLL).await;
        }
    }

    /// Waits until a container runs.
    pub async fn wait_for_container(&self) -> Result<()> {
        until("a container", async || Ok(!self.engine.containers().await?.is_empty())).await
    }

    /// Takes everything out of `dead`.
    pub async fn take_dead(&self) -> Result<Vec<Dead>> {
        let session = self.session().await?;
        let mut dead = Vec::new();
        session.declare(&[Queue::Dead]).await?;
        while let Some(received) = session.take(Queue::Dead).await? {
            let burial = received.burial().context("a dead message without its story")?;
            dead.push(Dead {
                body: String::from_utf8_lossy(received.body()).into_owned(),
                history: received.history(),
                reason: burial.reason,
                queue: burial.from.unwrap_or_default(),
                attempt: received.headers().attempt.number(),
            });
            received.ack().await?;
        }
        session.close().await;
        Ok(dead)
    }

    /// How many messages wait to be tried again, or for the owner of a claim.
    async fn later(&self, session: &Session) -> Result<u32> {
        let mut later = 0;
        let queues = self.broker.queues(self.vhost.name()).await?;
        for name in queues.iter().filter(|it| it.starts_with("retry.") || it.starts_with("claim.")) {
            later += match session.depth_of(name).await {
                // Given up meanwhile; or a worker's own, that looks whether the broker fits.
                Err(BrokerError::Missing(_) | BrokerError::Refused { .. }) => 0,
                depth => depth?,
            };
        }
        Ok(later)
    }

    /// How many deliveries the workers are dealing with.
    pub async fn busy(&mut self) -> Result<u32> {
        let mut busy = 0;
        for worker in &mut self.workers {
            let address = worker.listening("operator endpoints").await?;
            let metrics = reqwest::get(format!("http://{address}/metrics")).await?.text().await?;
            let lines = metrics.lines().filter(|it| it.starts_with("flotilla_deliveries_running{"));
            busy += lines.filter_map(|it| it.rsplit(' ').next()?.parse::<u32>().ok()).sum::<u32>();
        }
        Ok(busy)
    }
}

async fn waiting(session: &Session) -> Result<Vec<(Queue, u32)>> {
    let mut waiting = Vec::new();
    for queue in Queue::ALL {
        match session.depth(queue).await {
            Ok(0) | Err(BrokerError::Missing(_)) => {}
            Ok(count) => waiting.push((queue, count)),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(waiting)
}
