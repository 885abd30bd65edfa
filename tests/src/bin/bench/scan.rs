//! The scanners, with a forge that takes its time.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ::tests::broker::{Broker, VirtualHost};
use ::tests::forge::{Access, Delivery, FakeForge, NewPull};
use ::tests::secrets::FORGE_TOKEN;
use anyhow::{Context, Result, ensure};
use common::Clock;
use common::broker::Broker as Connector;
use common::event::Envelope;
use common::id::{BranchName, CommitSha, RepoName};
use common::queue::{Queue, QueueNames};
use futures_util::StreamExt;

use super::Effort;
use super::amqp::Bare;
use super::load::Client;
use super::machine::machine;
use super::process::{self, Process, arguments, configure};
use super::table::{Row, Table, Target, Unit};

const REPOSITORIES: usize = 20;
const PULLS: usize = 30;
/// What each pull is tested with.
const CONTEXTS: [&str; 2] = ["fedora/devel", "rhel-10"];
/// How long each request to the forge takes.
const REQUEST: Duration = Duration::from_millis(50);
/// Events of one round; their median counts.
const EVENTS: usize = 11;
/// After which something is wrong.
const PATIENCE: Duration = Duration::from_mins(3);

/// What came of one round.
struct Round {
    cold: Sweep,
    warm: Sweep,
    /// From the message in the queue `webhook` to the first task, in milliseconds.
    event: f64,
}

/// One sweep by a process of its own.
struct Sweep {
    seconds: f64,
    requests: f64,
    /// How many requests cost something of a forge's rate limit: those that were not answered "not modified".
    costing: f64,
    tasks: f64,
}

pub(crate) async fn measure(effort: Effort) -> Result<Table> {
    let folder = tempfile::Builder::new().prefix("flotilla-bench-").tempdir()?;
    let broker = Broker::open().await?;
    let vhost = broker.vhost(&format!("bench-{}", uuid::Uuid::now_v7().simple())).await?;
    let mut rounds = Vec::new();
    for round in 0..effort.rounds {
        let folder = folder.path().join(round.to_string());
        std::fs::create_dir(&folder)?;
        rounds.push(Stand::start(&broker, &vhost, &folder).await?.round().await?);
    }
    let about = vec![
        machine(&broker).await?,
        format!(
            "{REPOSITORIES} repositories with {PULLS} open pulls of {} contexts each; {} ms a request; {} rounds",
            CONTEXTS.len(),
            REQUEST.as_millis(),
            effort.rounds
        ),
    ];
    vhost.remove().await?;
    broker.stop().await?;
    Ok(Table { about, rows: rows(&rounds) })
}

fn rows(rounds: &[Round]) -> Vec<Row> {
    let row =
        |name, unit, value: &dyn Fn(&Round) -> f64| Row::new(name, unit, rounds.iter().map(value).collect());
    let request = REQUEST.as_secs_f64() * 1000.0;
    vec![
        row("sweep, cold", Unit::Seconds, &|it| it.cold.seconds).target(Target::Under(20.0)),
        row("  requests", Unit::Count, &|it| it.cold.requests),
        row("  tasks", Unit::Count, &|it| it.cold.tasks),
        row("sweep, warm", Unit::Seconds, &|it| it.warm.seconds).target(Target::Under(5.0)),
        row("  requests", Unit::Count, &|it| it.warm.requests),
        row("  requests that cost of the rate limit", Unit::Count, &|it| it.warm.costing)
            .target(Target::AtMost(0.0)),
        row("  tasks", Unit::Count, &|it| it.warm.tasks).target(Target::AtMost(0.0)),
        row("event to its first task, median", Unit::Milliseconds, &|it| it.event),
        row("  in request times", Unit::Ratio, &|it| it.event / request).target(Target::AtMost(4.0)),
    ]
}

/// A forge full of pulls, and a broker.
struct Stand<'a> {
    forge: FakeForge,
    bare: Bare,
    folder: &'a Path,
    config: PathBuf,
    operators: std::net::SocketAddr,
}

impl<'a> Stand<'a> {
    async fn start(broker: &Broker, vhost: &VirtualHost, folder: &'a Path) -> Result<Self> {
        let forge = FakeForge::start(Access::Token(FORGE_TOKEN.to_owned())).await?;
        for repo in 0..REPOSITORIES {
            fill(&forge, repo)?;
        }
        forge.delay(REQUEST);
        let operators = process::address()?;
        std::fs::write(folder.join("forge-token"), FORGE_TOKEN)?;
        let table = format!(
            "[worker]\nservice-listen = \"{operators}\"\n[execute]\nqueues = []\n\
             [logs.local]\ndir = \"logs\"\nlink = \"http://{operators}\"\n\
             [forge.github]\napi-url = \"{}\"\ntoken = [{{file=\"forge-token\"}}]\ncache-dir = \"cache\"\n\
             [scan]\nallow-list = [\"alice\"]\n{}[scan.sweep]\nevery-minutes = 0\nat-start = false\n",
            forge.url(),
            (0..REPOSITORIES).map(listed).collect::<String>(),
        );
        let config = configure("scan", &table, broker, vhost, folder)?;
        declare(broker, vhost).await?;
        let bare = Bare::connect(broker, vhost.name()).await?;
        Ok(Self { forge, bare, folder, config, operators })
    }

    async fn round(self) -> Result<Round> {
        let cold = self.sweep().await?;
        let warm = self.sweep().await?;
        self.empty().await?;
        let event = self.event().await?;
        self.empty().await?;
        self.forge.finish().await?;
        Ok(Round { cold, warm, event })
    }

    async fn empty(&self) -> Result<()> {
        for queue in [Queue::Public, Queue::Internal] {
            self.bare.purge_queue(queue).await?;
        }
        Ok(())
    }

    /// One sweep, from the start of its process to its end.
    async fn sweep(&self) -> Result<Sweep> {
        let before = self.forge.requests().len();
        let tasks = self.waiting().await?;
        let program = std::env::current_exe()?.with_file_name("run-queue");
        let begun = Instant::now();
        let mut command = tokio::process::Command::new(program);
        command.arg("sweep").args(arguments(&self.config)).current_dir(self.folder).kill_on_drop(true);
        let output =
            tokio::time::timeout(PATIENCE, command.output()).await.context("the sweep does not end")??;
        let seconds = begun.elapsed().as_secs_f64();
        ensure!(output.status.success(), "the sweep failed: {}", String::from_utf8_lossy(&output.stderr));
        let requests = self.forge.requests();
        let new = requests.get(before..).unwrap_or_default();
        let costing = new.iter().filter(|it| it.status != Some(304)).count();
        Ok(Sweep {
            seconds,
            requests: count(new.len()),
            costing: count(costing),
            tasks: f64::from(self.waiting().await? - tasks),
        })
    }

    async fn waiting(&self) -> Result<u32> {
        Ok(self.bare.depth(Queue::Public).await? + self.bare.depth(Queue::Internal).await?)
    }

    /// New pulls, one after the other, each with its event.
    async fn event(&self) -> Result<f64> {
        let arguments = [&["scan".to_owned()], arguments(&self.config).as_slice()].concat();
        let scanner = Process::start("run-queue", &arguments, self.operators, self.folder).await?;
        let mut tasks = self.bare.consume(Queue::Public).await?;
        let mut took = Vec::new();
        for number in 0..EVENTS {
            let event = open_pull(&self.forge, 0, PULLS + number)?;
            let envelope = Envelope::encode(&event.event, event.payload.as_bytes());
            let mut publisher = self.bare.publishers(1, &envelope).await?;
            let begun = Instant::now();
            publisher.first_mut().context("a publisher")?.once().await?;
            let task = tokio::time::timeout(PATIENCE, tasks.next()).await.context("no task comes")?;
            task.context("the queue is gone")??;
            took.push(begun.elapsed().as_secs_f64() * 1000.0);
        }
        scanner.stop().await?;
        Ok(super::table::quantile(&took, 0.5))
    }
}

async fn declare(broker: &Broker, vhost: &VirtualHost) -> Result<()> {
    let connector = Connector {
        address: broker.address().parse()?,
        vhost: vhost.name().to_owned(),
        secrets: broker.secrets_dir().to_owned(),
        server_name: None,
        queues: QueueNames::default(),
        clock: Clock::system(),
    };
    let session = connector.connect("bench").await?;
    session.declare(&Queue::ALL).await?;
    session.close().await;
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "a count of requests")]
fn count(of: usize) -> f64 {
    of as f64
}

fn name(repo: usize) -> String {
    format!("octo/app-{repo}")
}

/// A repository in the test map.
fn listed(repo: usize) -> String {
    format!("[scan.test-map.\"{}\"]\nmain = {CONTEXTS:?}\n", name(repo))
}

fn fill(forge: &FakeForge, repo: usize) -> Result<()> {
    forge.add_repo(&RepoName::new(name(repo))?, &BranchName::new("main")?, &sha(repo, 0)?);
    for pull in 0..PULLS {
        open_pull(forge, repo, pull)?;
    }
    Ok(())
}

fn open_pull(forge: &FakeForge, repo: usize, pull: usize) -> Result<Delivery> {
    let new = NewPull::new("A change", "alice", sha(repo, pull + 1)?, BranchName::new("main")?);
    Ok(forge.open_pull(&RepoName::new(name(repo))?, new)?.1)
}

fn sha(repo: usize, commit: usize) -> Result<CommitSha> {
    Ok(CommitSha::new(format!("{:040x}", repo * 1000 + commit + 1))?)
}
