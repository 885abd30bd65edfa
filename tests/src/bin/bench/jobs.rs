//! Jobs in containers: what a worker adds to what the engine takes for the same container by itself.

use std::fs;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ::tests::fleet::{DEADLINE, Fleet, Pull, Setup};
use ::tests::forge::StatusRecord;
use ::tests::git::File;
use ::tests::memory;
use anyhow::{Context, Result, ensure};
use common::Clock;
use common::broker::{Headers, Outgoing, Publisher};
use common::id::{CommitSha, RepoName};
use common::queue::{Queue, QueueNames};
use jiff::Timestamp;
use lapin::options::QueueDeclareOptions;
use lapin::types::FieldTable;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open};
use serde_json::{Value, json};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::Effort;
use super::machine::machine;
use super::process::busy;
use super::table::{Row, Table, Target, Unit, quantile};

/// Jobs of one round, one after the other; their median counts.
const JOBS: usize = 5;
/// What such a job runs: long enough to be looked up while it does.
const QUIET: &str = "echo quiet; sleep 1";
/// What a job runs that does not want to end.
const STUBBORN: &str = "trap '' TERM INT HUP; while :; do sleep 1; done";
/// How many jobs print a lot at once: ten times a second so many bytes, 10 MB/s.
const CHATTY: (usize, u32) = (8, 1_000_000);
/// From the start of a chatty job until it has its pace.
const WARM_UP: Duration = Duration::from_secs(2);
const POLL: Duration = Duration::from_millis(5);

/// One quiet job, in milliseconds.
struct Quiet {
    /// From the publishing of its message until the engine is called to run its container.
    begin: f64,
    /// From the end of its container until the forge has its last status.
    end: f64,
    /// From the publishing to the last status.
    whole: f64,
    /// The engine by itself, with the words that the worker had for it.
    engine: f64,
}

/// One round.
struct Round {
    quiet: Vec<Quiet>,
    /// From SIGTERM until the broker has no consumer of the worker any more, in milliseconds.
    intake: f64,
    /// From the closing of a stubborn job's pull until its container has ended, in milliseconds.
    stop: f64,
    chatty: Chatty,
}

/// Some chatty jobs at once.
struct Chatty {
    /// What one of them printed in a second, in megabytes.
    rate: f64,
    /// Of the worker, at most.
    memory: f64,
    /// How many the worker kept busy.
    processors: f64,
}

pub(super) async fn measure(effort: Effort) -> Result<Table> {
    let folder = tempfile::Builder::new().prefix("flotilla-bench-").tempdir()?;
    let engine = Recorder::make(folder.path())?;
    let setup = Setup {
        webhook: false,
        worker: false,
        execute: "slots = 8\npoll-seconds = 0.2\n".to_owned(),
        container: format!("command = [{:?}]\n", engine.program.display().to_string()),
        ..Setup::default()
    };
    let mut fleet = Fleet::start(setup).await?;
    let about = vec![
        machine(&fleet.broker).await?,
        format!("podman, logs in a folder; {} rounds, {JOBS} quiet jobs in each", effort.rounds),
    ];
    let measured = rounds(&mut fleet, &engine, effort).await;
    fleet.finish().await?;
    Ok(Table { about, rows: rows(&measured?) })
}

async fn rounds(fleet: &mut Fleet, engine: &Recorder, effort: Effort) -> Result<Vec<Round>> {
    let mut intakes = vec![];
    for _ in 0..effort.rounds {
        intakes.push(intake(fleet).await?);
    }
    fleet.start_worker(&["execute"]).await?;
    let session = fleet.session().await?;
    session.declare(&[Queue::Public]).await?;
    let worker = fleet.worker(0)?.id();
    let stand = Stand { fleet, engine, worker, publisher: session.publisher().await? };
    stand.quiet("bench/warm-up").await?;
    let mut rounds = vec![];
    for (round, intake) in intakes.into_iter().enumerate() {
        let mut quiet = vec![];
        for job in 0..JOBS {
            quiet.push(stand.quiet(&format!("bench/quiet-{round}-{job}")).await?);
        }
        let stop = stand.stop(&format!("bench/stubborn-{round}")).await?;
        let chatty = stand.chatty(&format!("bench/chatty-{round}"), effort.seconds.max(5)).await?;
        rounds.push(Round { quiet, intake, stop, chatty });
    }
    session.close().await;
    Ok(rounds)
}

fn rows(rounds: &[Round]) -> Vec<Row> {
    let all = |value: &dyn Fn(&Round) -> f64| rounds.iter().map(value).collect();
    let job = |name, value: fn(&Quiet) -> f64| {
        let median = |it: &Round| quantile(&it.quiet.iter().map(value).collect::<Vec<_>>(), 0.5);
        Row::new(name, Unit::Milliseconds, all(&median))
    };
    vec![
        job("podman run of the same container", |it| it.engine),
        job("job, from its message to its last status", |it| it.whole),
        job("  above podman run", |it| it.whole - it.engine),
        job("message to the engine's call", |it| it.begin).target(Target::Under(20.0)),
        job("end of the container to the last status", |it| it.end).target(Target::Under(200.0)),
        Row::new("pull closed to the end of the container", Unit::Milliseconds, all(&|it| it.stop))
            .target(Target::Under(2000.0)),
        Row::new("SIGTERM to the end of the intake", Unit::Milliseconds, all(&|it| it.intake))
            .target(Target::Under(100.0)),
        Row::new("8 chatty jobs, MB/s of each", Unit::Ratio, all(&|it| it.chatty.rate)),
        Row::new("  memory of the worker", Unit::Megabytes, all(&|it| it.chatty.memory))
            .target(Target::Under(50.0)),
        Row::new("  processors of the worker", Unit::Ratio, all(&|it| it.chatty.processors))
            .target(Target::Under(1.0)),
    ]
}

/// Has a worker with one busy slot end, and looks how soon it is out of its queue.
async fn intake(fleet: &mut Fleet) -> Result<f64> {
    fleet.start_worker(&["execute", "--queue", "internal"]).await?;
    let queue = QueueNames::default().of(Queue::Internal).to_owned();
    let channel = fleet.bare_client().await?.create_channel().await?;
    let look = async || {
        let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        channel.queue_declare(queue.as_str().into(), passive, FieldTable::default()).await
    };
    let session = fleet.session().await?;
    session.declare(&[Queue::Internal]).await?;
    let body = json!({"command": "sleep 1"}).to_string().into();
    let message = Outgoing { queue: Queue::Internal, body, headers: Headers::fresh(), priority: None };
    session.publisher().await?.publish(&message).await?;
    session.close().await;
    while look().await?.message_count() > 0 {
        tokio::time::sleep(POLL).await;
    }
    ensure!(look().await?.consumer_count() > 0, "the worker does not consume");
    let asked = Instant::now();
    fleet.worker(0)?.signal(Signal::TERM)?;
    while look().await?.consumer_count() > 0 {}
    let took = asked.elapsed().as_secs_f64() * 1000.0;
    fleet.worker_ended(0).await?;
    Ok(took)
}

/// An engine that writes down when it is called to run a container, and with which words.
struct Recorder {
    program: PathBuf,
    called: PathBuf,
    words: PathBuf,
}

impl Recorder {
    fn make(folder: &Path) -> Result<Self> {
        use std::os::unix::fs::PermissionsExt;
        let [program, called, words] = ["engine", "called", "words"].map(|it| folder.join(it));
        // In the folder that it is in itself.
        let script = "#!/bin/sh\nhere=${0%/*}\n\
                      if [ \"$1\" = run ]; then date +%s.%N >\"$here/called\"; printf '%s\\0' \"$@\" >\"$here/words\"; fi\n\
                      exec podman \"$@\"\n";
        fs::write(&program, script)?;
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755))?;
        Ok(Self { program, called, words })
    }

    /// The next call is the one that counts.
    fn forget(&self) -> Result<()> {
        match fs::remove_file(&self.called) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// When it was called. Looking at a file, unlike asking the engine, takes no processor from who is measured.
    async fn called(&self) -> Result<Timestamp> {
        let end = Instant::now() + DEADLINE;
        let text = loop {
            match fs::read_to_string(&self.called) {
                Ok(text) if text.ends_with('\n') => break text,
                _ => ensure!(Instant::now() < end, "the engine is not called within {DEADLINE:?}"),
            }
            tokio::time::sleep(POLL).await;
        };
        let (seconds, nanoseconds) = text.trim().split_once('.').context("no time of a call")?;
        Ok(Timestamp::new(seconds.parse()?, nanoseconds.parse()?)?)
    }

    /// The words of the last call for a container that nobody follows and that is no worker's.
    fn plain(&self) -> Result<Vec<String>> {
        const WORKERS: [&str; 4] = ["--detach", "--name=", "--log-driver=", "--log-opt="];
        let words = fs::read_to_string(&self.words)?;
        let is_workers = |word: &str| {
            let label = word.strip_prefix("--label=flotilla.");
            WORKERS.iter().any(|it| word.starts_with(it)) || label.is_some_and(|it| !it.starts_with("test="))
        };
        Ok(words.split_terminator('\0').filter(|it| !is_workers(it)).map(str::to_owned).collect())
    }
}

struct Stand<'a> {
    fleet: &'a Fleet,
    engine: &'a Recorder,
    worker: i32,
    publisher: Publisher,
}

impl Stand<'_> {
    /// A repository whose tests are this script, and its only commit.
    async fn repo(&self, name: &str, script: &str) -> Result<(RepoName, CommitSha)> {
        let script = File::new(".cockpit-ci/run", format!("#!/bin/sh\n{script}\n")).executable();
        let repo = self.fleet.create_repo(name, &[script]).await?;
        let tip = self.fleet.git.resolve(name, "main").await?;
        Ok((repo, CommitSha::new(tip)?))
    }

    async fn publish(&self, repo: &RepoName, sha: &CommitSha, context: &str) -> Result<()> {
        self.publish_job(&json!({"repo": repo, "sha": sha, "context": context})).await
    }

    async fn publish_job(&self, job: &Value) -> Result<()> {
        let body = json!({"job": job}).to_string().into();
        let message = Outgoing { queue: Queue::Public, body, headers: Headers::fresh(), priority: None };
        Ok(self.publisher.publish(&message).await?)
    }

    async fn ended(&self, repo: &RepoName, sha: &CommitSha, context: &str) -> Result<StatusRecord> {
        self.fleet.forge.wait_for_status(repo, sha, context, DEADLINE, StatusRecord::is_final).await
    }

    async fn quiet(&self, repo: &str) -> Result<Quiet> {
        let (repo, sha) = self.repo(repo, QUIET).await?;
        self.engine.forget()?;
        let begun = Clock::system().now();
        self.publish(&repo, &sha, "quiet").await?;
        let called = self.engine.called().await?;
        let container = self.container().await?;
        exit(container).await?;
        let exited = Clock::system().now();
        let told = self.ended(&repo, &sha, "quiet").await?.at;
        self.gone().await?;
        let engine = self.plain_run().await?;
        Ok(Quiet {
            begin: milliseconds(begun, called),
            end: milliseconds(exited, told),
            whole: milliseconds(begun, told),
            engine,
        })
    }

    async fn stop(&self, repo: &str) -> Result<f64> {
        let (repo, _) = self.repo(repo, STUBBORN).await?;
        let change = [File::new("README", "a change\n")];
        let (Pull { number, sha, .. }, _) = self.fleet.draft_pull("alice", &repo, &change).await?;
        let job = json!({"repo": repo, "pull": number, "sha": sha, "context": "stubborn"});
        self.publish_job(&job).await?;
        let container = self.container().await?;
        let closed = Instant::now();
        self.fleet.forge.close(&repo, number)?;
        exit(container).await?;
        let took = closed.elapsed().as_secs_f64() * 1000.0;
        self.ended(&repo, &sha, "stubborn").await?;
        self.gone().await?;
        Ok(took)
    }

    /// The first process of the container that runs.
    async fn container(&self) -> Result<OwnedFd> {
        let end = Instant::now() + DEADLINE;
        while Instant::now() < end {
            if let Some(container) = self.fleet.engine.containers().await?.pop() {
                let id =
                    self.fleet.engine.run(&["inspect", "--format={{.State.Pid}}", &container.id]).await?;
                if let Some(id) = Pid::from_raw(id.trim().parse()?) {
                    return Ok(pidfd_open(id, PidfdFlags::NONBLOCK)?);
                }
            }
            tokio::time::sleep(POLL).await;
        }
        anyhow::bail!("no container within {DEADLINE:?}")
    }

    /// Waits until the worker has removed all of its containers.
    async fn gone(&self) -> Result<()> {
        let end = Instant::now() + DEADLINE;
        while !self.fleet.engine.containers().await?.is_empty() {
            ensure!(Instant::now() < end, "a container is not removed within {DEADLINE:?}");
            tokio::time::sleep(POLL).await;
        }
        Ok(())
    }

    /// The same container by the engine alone, from start to end, in milliseconds.
    async fn plain_run(&self) -> Result<f64> {
        let words = self.engine.plain()?;
        let begun = Instant::now();
        self.fleet.engine.run(&words.iter().map(String::as_str).collect::<Vec<_>>()).await?;
        let took = begun.elapsed().as_secs_f64() * 1000.0;
        self.fleet.engine.remove_containers().await?;
        Ok(took)
    }

    async fn chatty(&self, repo: &str, seconds: u32) -> Result<Chatty> {
        let (jobs, block) = CHATTY;
        // Ten times a second; what making the processes takes is off the pause.
        let script = format!(
            "head -c {block} /dev/zero | tr '\\0' x | fold -w 99 >/tmp/block\n\
             while ! git ls-remote --exit-code origin refs/heads/go >/dev/null; do sleep 0.2; done\n\
             now() {{ cut -d. -f1 /proc/uptime; }}\n\
             end=$(($(now) + {seconds} + {}))\n\
             while [ $(now) -lt $end ]; do cat /tmp/block; sleep 0.09; done",
            2 * WARM_UP.as_secs(),
        );
        let (repo, sha) = self.repo(repo, &script).await?;
        let contexts: Vec<_> = (0..jobs).map(|it| format!("chatty/{it}")).collect();
        for context in &contexts {
            self.publish(&repo, &sha, context).await?;
        }
        while self.fleet.engine.containers().await?.len() < jobs {
            tokio::time::sleep(POLL).await;
        }
        self.fleet.git.branch(repo.as_str(), "go", "main").await?;
        tokio::time::sleep(WARM_UP).await;
        let (before, begun) = (busy(&[self.worker])?, Instant::now());
        tokio::time::sleep(Duration::from_secs(seconds.into())).await;
        let processors = (busy(&[self.worker])? - before) / 1e6 / begun.elapsed().as_secs_f64();
        let mut bytes = 0;
        for context in &contexts {
            let status = self.ended(&repo, &sha, context).await?;
            bytes += fs::metadata(self.fleet.log_folder(&status)?.join("log"))?.len();
        }
        self.gone().await?;
        let printing = f64::from(seconds) + 2.0 * WARM_UP.as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "a number of bytes, and of jobs")]
        let rate = bytes as f64 / 1e6 / printing / jobs as f64;
        Ok(Chatty { rate, memory: memory::highest(self.worker)?, processors })
    }
}

/// Waits for the end of a process.
async fn exit(process: OwnedFd) -> Result<()> {
    #[expect(deprecated, reason = "the new form is unsafe code; an `OwnedFd` can't change its descriptor")]
    let process = AsyncFd::with_interest(process, Interest::READABLE)?;
    let readable = tokio::time::timeout(DEADLINE, process.readable()).await;
    readable.context("the container does not end")?.map(drop).map_err(Into::into)
}

fn milliseconds(from: Timestamp, to: Timestamp) -> f64 {
    to.duration_since(from).as_secs_f64() * 1000.0
}
