//! Whatever is done once is done once, also when the one who does it is killed between any two of its steps, or is asked twice.
//!
//! Each test here has something done undisturbed, and notes the steps that others see. Then it has the same done anew for each of
//! them, kills the program before that step has an effect or before it hears of it, starts a successor on the same host, and
//! holds what is there in the end beside what was there undisturbed. A run of all tests takes some of the points; all of them are
//! taken with `FLOTILLA_TEST_ALL=1`, and those that have a text in their names with that text instead of the 1.

mod command;
mod event;
mod hopeless;
mod job;
mod statistics;
mod sweep;
mod twice;

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use common::queue::Queue;
use serde_json::Value;
use tests::fleet::{Fleet, Setup, run_test_with};
use tests::mail::MailServer;
use tests::s3::S3Server;
use tests::settings;
use tests::steps::{Point, Steps, WatchedBroker, WatchedEngine};

/// So many fleets share the points: most of their time goes into waiting for an owner who does not come back.
const LANES: usize = 3;
/// Of a step that comes again and again, so many are points.
const MOST: usize = 2;
/// Without `FLOTILLA_TEST_ALL` each of so many points is taken.
const SOME: usize = 7;
/// Who cleans up after what others can see has a moment for it.
const CLEANING: Duration = Duration::from_secs(10);

/// What is done over and over.
trait Play {
    /// Where what comes of it stays, as nobody deals with it.
    const KEPT: &'static [Queue] = &[];
    /// Whether the claim stays, with nothing in it, whose owner is killed between acknowledging and giving it up. Only of jobs is there
    /// something on the host that tells the next one; the broker removes the others in time.
    const LEAVES_CLAIMS: bool = false;

    /// Prepares a fleet for it.
    async fn prepare(&self, fleet: &mut Fleet) -> Result<()>;
    /// Has it done, under this name.
    async fn ask(&self, fleet: &mut Fleet, around: &Around, run: &str) -> Result<()>;
    /// Waits until others see that it is done, or nearly.
    async fn ended(&self, fleet: &mut Fleet, around: &Around, run: &str) -> Result<()>;
    /// What others see of it in the end, a line each.
    async fn seen(&self, fleet: &mut Fleet, around: &Around, run: &str) -> Result<Vec<String>>;
}

/// What is around a fleet, and tells of each step.
struct Around {
    steps: Steps,
    engine: WatchedEngine,
    bucket: S3Server,
    mail: MailServer,
    /// The arguments of the worker.
    worker: Vec<String>,
}

impl Around {
    async fn start() -> Result<Self> {
        let steps = Steps::default();
        let (engine, bucket, mail) =
            (WatchedEngine::start(&steps).await?, S3Server::start().await?, MailServer::start().await?);
        bucket.watch(&steps);
        mail.watch(&steps);
        Ok(Self { steps, engine, bucket, mail, worker: Vec::new() })
    }

    async fn start_worker(&self, fleet: &mut Fleet) -> Result<()> {
        let arguments: Vec<_> = self.worker.iter().map(String::as_str).collect();
        fleet.start_worker(&arguments).await
    }

    fn setup(&self, setup: Setup) -> Setup {
        let text = |it: &str| Value::from(it).to_string();
        let mail = format!("[mail]\nserver = {}\nto = [\"ops@example.com\"]\n", text(&self.mail.address()));
        Setup {
            webhook: false,
            worker: false,
            config: format!(
                "{}\n{mail}\n{}",
                setup.config,
                self.bucket.config().replace("[logs]\n", "[logs]\nflush-seconds = 0.1\n")
            ),
            roles: "retry-seconds = 0.2\n".to_owned(),
            execute: "slots = 1\npoll-seconds = 5\nfence-seconds = 1\ntakeover-seconds = 4\n".to_owned(),
            container: format!("command = [{}]\n", text(&self.engine.program().display().to_string())),
            ..setup
        }
    }
}

/// Has it done undisturbed, and then killed at each point. A lane has a thread of its own, as it does much that blocks.
#[expect(clippy::unwrap_used, reason = "that is how a test fails")]
fn killed_at_each_step<P: Play + Sync>(setup: &Setup, worker: &[&str], play: &P) {
    common::crypto::install();
    std::thread::scope(|scope| {
        let lane = |lane| {
            let runtime =
                tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
            runtime.block_on(killed_in(lane, setup.clone(), worker, play));
        };
        let lanes: Vec<_> = (0..LANES).map(|number| scope.spawn(move || lane(number))).collect();
        for ended in lanes.into_iter().map(std::thread::ScopedJoinHandle::join).collect::<Vec<_>>() {
            ended.unwrap();
        }
    });
}

#[expect(clippy::unwrap_used, reason = "that is how a test fails")]
async fn killed_in<P: Play>(lane: usize, setup: Setup, worker: &[&str], play: &P) {
    let mut around = Around::start().await.unwrap();
    run_test_with(around.setup(setup), async |fleet: &mut Fleet| -> Result<()> {
        let broker = WatchedBroker::start(&fleet.broker, &around.steps).await?;
        fleet.forge.watch(&around.steps);
        around.worker =
            [worker, &["--amqp", broker.address()]].concat().iter().map(ToString::to_string).collect();
        let session = fleet.session().await?;
        session.declare(&Queue::ALL).await?;
        session.close().await;
        play.prepare(fleet).await?;
        around.start_worker(fleet).await?;
        // The first has the worker's own start among its steps.
        let mut undisturbed = Vec::new();
        for run in ["run-001", "run-000"] {
            around.steps.begin();
            play.ask(fleet, &around, run).await?;
            play.ended(fleet, &around, run).await?;
            fleet.settle_but(P::KEPT).await?;
            undisturbed = play.seen(fleet, &around, run).await?;
        }
        let points: BTreeSet<_> = around.steps.points(MOST).into_iter().collect();
        ensure!(!undisturbed.is_empty(), "nothing was done");
        clean(fleet, false).await.context("undisturbed")?;
        let mine = chosen(points).into_iter().enumerate().filter(|(at, _)| at % LANES == lane);
        let mut wrong = Vec::new();
        for (at, point) in mine {
            let run = format!("run-{:03}", at + 2);
            let began = Instant::now();
            let met = killed_once(fleet, &around, play, &point, &run)
                .await
                .with_context(|| format!("{run} {point}"))?;
            let how = if met { "killed" } else { "not met" };
            let found = play.seen(fleet, &around, &run).await?;
            let mut problems = Vec::new();
            if found != undisturbed {
                problems.push(format!("{run} {point} ({how}):\n  {}", found.join("\n  ")));
            }
            if let Err(error) = clean(fleet, P::LEAVES_CLAIMS).await {
                problems.push(format!("{run} {point} ({how}): {error:#}"));
            }
            let seconds = began.elapsed().as_secs_f64();
            eprintln!("{run} {point}: {how} in {seconds:.1} s\n{}", problems.join("\n"));
            wrong.append(&mut problems);
        }
        ensure!(wrong.is_empty(), "undisturbed:\n  {}\nbut:\n{}", undisturbed.join("\n  "), wrong.join("\n"));
        Ok(())
    })
    .await;
}

/// Those that are taken.
fn chosen(points: BTreeSet<Point>) -> Vec<Point> {
    match settings::get(settings::ALL).as_deref() {
        None => points.into_iter().step_by(SOME).collect(),
        Some("1") => points.into_iter().collect(),
        Some(text) => points.into_iter().filter(|it| it.to_string().contains(text)).collect(),
    }
}

/// Has it done and the worker killed at this point, and another one go on. False if it never came there.
async fn killed_once<P: Play>(
    fleet: &mut Fleet,
    around: &Around,
    play: &P,
    point: &Point,
    run: &str,
) -> Result<bool> {
    around.steps.stop_at(point);
    play.ask(fleet, around, run).await?;
    let done = async {
        play.ended(fleet, around, run).await?;
        // What comes after the end may be the point.
        fleet.settle_but(P::KEPT).await
    };
    let met = tokio::select! {
        () = around.steps.reached() => true,
        done = done => {
            done?;
            false
        }
    };
    if met {
        fleet.kill_worker(0).await?;
        around.steps.cut();
        around.start_worker(fleet).await?;
        play.ended(fleet, around, run).await?;
        fleet.settle_but(P::KEPT).await?;
    }
    Ok(met)
}

/// Waits until nothing is left: a container, a file, a claim, a message, a record.
async fn clean(fleet: &mut Fleet, leaves_claims: bool) -> Result<()> {
    let end = Instant::now() + CLEANING;
    loop {
        let left = left(fleet, leaves_claims).await?;
        if left.is_empty() {
            return Ok(());
        }
        ensure!(Instant::now() < end, "left: {left:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn left(fleet: &mut Fleet, leaves_claims: bool) -> Result<Vec<String>> {
    let mut left = claims(fleet, leaves_claims).await?;
    left.extend(fleet.waiting().await?.iter().map(|(queue, count)| format!("{count} in {queue}")));
    left.extend(fleet.engine.containers().await?.into_iter().map(|it| it.name));
    left.extend(fleet.kept_reports()?);
    left.extend(fleet.secrets_in_memory()?.iter().map(|it| it.display().to_string()));
    for folder in [fleet.state_dir(), fleet.folders()[0].join("tmp")] {
        files(&folder, &mut left)?;
    }
    Ok(left)
}

async fn claims(fleet: &mut Fleet, leaves_claims: bool) -> Result<Vec<String>> {
    let mut claims = fleet.broker.queues(fleet.vhost()).await?;
    claims.retain(|it| it.starts_with("claim."));
    if leaves_claims {
        let session = fleet.session().await?;
        let mut full = Vec::new();
        for claim in claims {
            // One that an owner has is refused, or gone by now.
            if session.depth_of(&claim).await.is_ok_and(|it| it > 0) {
                full.push(claim);
            }
        }
        session.close().await;
        return Ok(full);
    }
    Ok(claims)
}

/// All below a folder, but for locks and for the folders of workers.
fn files(folder: &Path, found: &mut Vec<String>) -> Result<()> {
    if !folder.is_dir() {
        return Ok(());
    }
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            files(&path, found)?;
        } else if !path.ends_with(".lock") {
            found.push(path.display().to_string());
        }
    }
    Ok(())
}

/// Takes what is in a queue. The same message may be there twice, as one who is killed between publishing it and being told that it is
/// there publishes it again: whoever gets it does it once.
async fn take(fleet: &Fleet, queue: Queue) -> Result<Vec<Value>> {
    let session = fleet.session().await?;
    let (mut ids, mut messages) = (BTreeSet::new(), Vec::new());
    while let Some(received) = session.take(queue).await? {
        if ids.insert(received.headers().id.to_string()) {
            messages.push(serde_json::from_slice(received.body())?);
        }
        received.ack().await?;
    }
    session.close().await;
    Ok(messages)
}
