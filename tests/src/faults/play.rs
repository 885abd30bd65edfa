//! A run: the fleet is made, the schedule is played, and when all is quiet the ledger is read.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use common::id::RepoName;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::Options;
use super::book;
use super::diary::{Diary, Echo};
use super::disk::Disk;
use super::field::{Done, Excuse, Field};
use super::judge::{Finding, Verdict};
use super::people::{Asked, End, People};
use super::quiet;
use super::schedule::{Act, Schedule, Step, Turn};
use super::send::Sent;
use super::site::Site;
use super::story;
use crate::broker::{self, Broker};
use crate::engine::Engine;
use crate::fleet::{DEADLINE, Fleet, Setup};
use crate::forge::StatusRecord;
use crate::proxy::Proxy;

/// How often workers that died are looked for.
const KEEP: Duration = Duration::from_millis(500);

/// Small times, so that faults are longer and shorter than them.
const EXECUTE: &str =
    "slots = 2\npoll-seconds = 0.5\nfence-seconds = 8\ntakeover-seconds = 11\nreport-patience-seconds = 5\n";

/// Runs it to its end.
///
/// An error is one of the harness or of this machine; what the fleet did wrong is in the verdict.
pub async fn run(options: &Options) -> Result<Verdict> {
    common::crypto::install();
    let diary = Arc::new(Diary::begin(Echo::On));
    let Options { seed, events, length, faults, workers } = options;
    diary.note(format_args!("seed {seed}, {events} events in {length:?}, {workers} workers, {faults:?}"));
    let disk = Disk::make()?;
    if disk.is_none() {
        diary.note("only root can make a small disk: no disk will be full");
    }
    let broker = Broker::private(&broker::Options::default()).await?;
    let engine = Engine::open().await?;
    let mut fleet = Fleet::start_on(setup(disk.as_ref()), broker, engine).await?;
    let webhook = Proxy::start(fleet.broker.address()).await?;
    fleet.start_webhook_with(&["--amqp", webhook.address()]).await?;
    let played = play(&mut fleet, &webhook, disk.as_ref(), options, &diary).await;
    let mut verdict = match played {
        Ok(played) => judge(&mut fleet, &played, &diary).await?,
        Err(error) => {
            fleet.leave(sleep(DEADLINE)).await?;
            return Err(error);
        }
    };
    let left = fleet.leave(sleep(DEADLINE)).await?;
    verdict.wrong(left.containers.iter().map(|it| format!("the container {} was left", it.name)));
    Ok(verdict)
}

fn setup(disk: Option<&Disk>) -> Setup {
    Setup {
        webhook: false,
        worker: false,
        execute: EXECUTE.to_owned(),
        receiver: "confirm-seconds = 3\n".to_owned(),
        // A worker's folder is the fleet's.
        scan: "allow-list = [\"alice\", \"cockpit-project\"]\n\
               merged-pull-command = \"echo merged %{sha} >> book\"\n\
               [scan.test-map.\"octo/app\"]\nmain = [\"debian\"]\n\
               [scan.test-map.\"octo/lib\"]\nmain = [\"debian\", \"rhel-9\"]\n"
            .to_owned(),
        logs: disk.map(|it| it.folder().join("logs")),
        ..Setup::default()
    }
}

/// What happened, for who judges.
struct Played {
    asked: Asked,
    done: Done,
    sent: Vec<Sent>,
    wrong: Vec<String>,
}

async fn play(
    fleet: &mut Fleet,
    webhook: &Proxy,
    disk: Option<&Disk>,
    options: &Options,
    diary: &Arc<Diary>,
) -> Result<Played> {
    let (config, hook, connector) = (fleet.config_file(), fleet.hook()?, fleet.connector()?);
    let vhost = fleet.vhost().to_owned();
    let Fleet { forge, git, engine, broker, .. } = fleet;
    let mut sites = Vec::new();
    for number in 0..options.workers {
        let proxy = Proxy::start(broker.address()).await?;
        sites.push(Site::new(number, &config, proxy, engine)?);
    }
    let context = |all: &[&str]| all.iter().map(ToString::to_string).collect::<Vec<_>>();
    let mut people = People {
        forge,
        git,
        hook,
        connector: connector.clone(),
        diary: Arc::clone(diary),
        repos: vec![
            (RepoName::new("octo/app")?, context(&["debian"])),
            (RepoName::new("octo/lib")?, context(&["debian", "rhel-9"])),
        ],
        book: config.with_file_name("book"),
        asked: Asked::default(),
        sending: JoinSet::new(),
    };
    people.settle_in().await?;
    let mut field = Field {
        broker,
        engine,
        forge,
        diary: Arc::clone(diary),
        connector,
        webhook,
        sites,
        disk,
        done: Done::default(),
    };
    for number in 0..options.workers {
        field.start_worker(super::fault::Place::Worker(number)).await?;
    }
    let Schedule { acts, turns } = Schedule::of(options);
    let begun = Instant::now();
    // Everything in it ends by itself; this is for what nobody thought of.
    let limit = options.length * 3 + Duration::from_mins(5);
    timeout(limit, async {
        tokio::try_join!(act(&mut people, &acts, begun, diary), strike(&mut field, &turns, begun, diary))
    })
    .await
    .context("the schedule did not come to its end")??;
    diary.note("nothing breaks any more");
    let mut sent = people.sending.join_all().await;
    sent.extend(std::mem::take(&mut field.done.putting).join_all().await);
    diary.note("everything is sent");
    let mut wrong = quiet::wait(&mut field, &vhost).await;
    diary.note(if wrong.is_empty() { "all is quiet" } else { "it does not become quiet" });
    wrong.extend(field.end().await?);
    wrong.append(&mut field.done.deaths);
    Ok(Played { asked: people.asked, done: field.done, sent, wrong })
}

async fn act(people: &mut People<'_>, acts: &[Step<Act>], begun: Instant, diary: &Diary) -> Result<()> {
    for Step { at, what } in acts {
        sleep_until(begun + *at).await;
        diary.note(format_args!("{what:?}"));
        people.act(*what).await.with_context(|| format!("{what:?}"))?;
    }
    Ok(())
}

async fn strike(field: &mut Field<'_>, turns: &[Step<Turn>], begun: Instant, diary: &Diary) -> Result<()> {
    for Step { at, what } in turns {
        while Instant::now() < begun + *at {
            sleep_until((Instant::now() + KEEP).min(begun + *at)).await;
            field.keep().await?;
        }
        diary.note(format_args!("{what:?}"));
        match what {
            Turn::Begin(fault, place) => fault.begin(*place, field).await,
            Turn::End(fault, place) => fault.end(*place, field).await,
        }
        .with_context(|| format!("{what:?}"))?;
    }
    Ok(())
}

async fn judge(fleet: &mut Fleet, played: &Played, diary: &Diary) -> Result<Verdict> {
    let Played { asked, done, sent, wrong } = played;
    let mut verdict = Verdict::default();
    verdict.wrong(wrong.iter().cloned());
    verdict.sent(sent);
    let folder = compare(fleet, asked, sent, &done.excuses, &mut verdict)?;
    dead(fleet, &done.poison, &mut verdict).await?;
    left(fleet, &folder, &mut verdict).await?;
    for finding in verdict.findings_mut() {
        finding.story.extend(story::about(&finding.about, diary, &folder));
    }
    Ok(verdict)
}

/// Holds what was asked for against what came of it: statuses, logs, and the book in the fleet's folder, which it gives.
pub(super) fn compare(
    fleet: &Fleet,
    asked: &Asked,
    sent: &[Sent],
    excuses: &[Excuse],
    verdict: &mut Verdict,
) -> Result<PathBuf> {
    let log_has = |status: &StatusRecord, line: &str| {
        let text = fleet.log_folder(status).and_then(|it| Ok(fs::read_to_string(it.join("log"))?));
        text.is_ok_and(|it| it.lines().any(|it| it == line))
    };
    for pull in &asked.pulls {
        let statuses = |head: &super::people::Head| {
            let mut all = fleet.forge.statuses(&pull.repo, &head.sha);
            all.reverse();
            all
        };
        verdict.pull(pull, statuses, log_has, excuses);
    }
    let folder = fleet.config_file().parent().context("a folder")?.to_owned();
    let text = fs::read_to_string(folder.join("book")).unwrap_or_default();
    let (runs, others) = book::read(&text);
    verdict.commands(asked, &runs, sent, excuses);
    for pull in asked.pulls.iter().filter(|it| it.end == End::Merged) {
        let sha = pull.heads.last().map(|it| it.sha.to_string()).unwrap_or_default();
        if !others.contains(&format!("merged {sha}")) {
            verdict.lost.push(Finding::new(format!("the merge of {pull} led to nothing"), &[&sha]));
        }
    }
    Ok(folder)
}

/// What is dead is poison, and all poison is dead.
pub(super) async fn dead(fleet: &Fleet, poison: &[String], verdict: &mut Verdict) -> Result<()> {
    let dead = fleet.take_dead().await?;
    for it in dead.iter().filter(|it| !poison.contains(&it.body)) {
        let what = format!("dead, and no poison: {} at attempt {}: {}", it.body, it.attempt, it.reason);
        // A job says which commit it is about.
        let body: serde_json::Value = serde_json::from_str(&it.body).unwrap_or_default();
        let about = body["job"]["sha"].as_str().unwrap_or(&it.body).to_owned();
        verdict.wrong.push(Finding::new(what, &[&about]));
    }
    for it in poison.iter().filter(|it| !dead.iter().any(|dead| dead.body == **it)) {
        verdict.wrong.push(Finding::new(format!("poison, and not dead: {it}"), &[it]));
    }
    Ok(())
}

/// What the fleet has left behind.
async fn left(fleet: &mut Fleet, folder: &Path, verdict: &mut Verdict) -> Result<()> {
    let webhook = fleet.webhook()?;
    let status = webhook.stop(DEADLINE).await?;
    if !status.success() || webhook.said().contains("panicked") {
        verdict.wrong([format!("the receiver ended with {status}:\n{}", webhook.said())]);
    }
    let secrets = fleet.secrets_in_memory()?;
    verdict.wrong(secrets.iter().map(|it| format!("a secret was left: {}", it.display())));
    let waiting = fleet.waiting().await?;
    verdict.wrong(waiting.iter().map(|it| format!("in the queues, with nobody at work: {it:?}")));
    for entry in fs::read_dir(folder)?.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with("tmp-") {
            let files = fs::read_dir(entry.path())?.flatten();
            verdict.wrong(files.map(|it| format!("a temporary file was left: {}", it.path().display())));
        }
    }
    Ok(())
}
