//! A run: the fleet is made, the schedule is played, and when all is quiet the ledger is read.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use common::id::RepoName;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::diary::{Diary, Echo};
use super::evidence::Evidence;
use super::fault::Place;
use super::field::{Disks, Done, Field};
use super::judge::{Claimable, Excuse, Excuses, Finding, LeftClaim, Verdict};
use super::older::Older;
use super::people::{Asked, People};
use super::quiet;
use super::receiver::Receiver;
use super::register::{Register, Signed};
use super::schedule::{Act, Schedule, Step, Turn};
use super::send::{Sender, Sent};
use super::shelf::Shelf;
use super::site::{Ground, Roles, Site};
use super::story;
use super::times::Times;
use super::{Logs, Options};
use crate::broker::{self, Broker};
use crate::engine::Engine;
use crate::fleet::{DEADLINE, Fleet, Setup};
use crate::proxy::Proxy;
use crate::s3::S3Server;

/// How often workers that died are looked for.
const KEEP: Duration = Duration::from_millis(500);

/// Runs it to its end.
///
/// An error is one of the harness or of this machine; what the fleet did wrong is in the verdict.
pub async fn run(options: &Options) -> Result<Verdict> {
    common::crypto::install();
    let diary = Arc::new(Diary::begin(Echo::On));
    let Options { seed, events, length, faults, workers, times } = options;
    let logs = options.logs();
    diary.note(format_args!(
        "seed {seed}, {events} events in {length:?}, {workers} workers, {times:?} times, logs in a {logs:?}, {faults:?}"
    ));
    let disks = Disks::make()?;
    if disks.is_none() {
        diary.note("only root can make a small disk: no disk will be full");
    }
    let mut bucket = match logs {
        Logs::Bucket => Some(S3Server::start().await?),
        Logs::Folder => None,
    };
    let broker = Broker::private(&broker::Options::default()).await?;
    let engine = Engine::open().await?;
    let setup = setup(disks.as_ref(), bucket.as_ref(), options);
    let mut fleet = Fleet::start_on(setup, broker, engine).await?;
    let shelf = match &bucket {
        Some(bucket) => Shelf { url: bucket.url(), folder: bucket.folder() },
        None => Shelf { url: fleet.logs_url().to_owned(), folder: fleet.logs_dir() },
    };
    let register = Register::open().await?;
    let ground = Around { disks: disks.as_ref(), bucket: bucket.as_mut(), register: &register };
    let played = play(&mut fleet, ground, options, &diary).await;
    let mut verdict = match played {
        Ok(played) => judge(&mut fleet, &played, &shelf, *times, &diary).await?,
        Err(error) => {
            fleet.leave(sleep(DEADLINE)).await?;
            return Err(error);
        }
    };
    let left = fleet.leave(sleep(DEADLINE)).await?;
    verdict.wrong(left.containers.iter().map(|it| format!("the container {} was left", it.name)));
    Ok(verdict)
}

fn setup(disks: Option<&Disks>, bucket: Option<&S3Server>, options: &Options) -> Setup {
    Setup {
        webhook: false,
        worker: false,
        roles: format!("retry-seconds = 0.2\nattempts = {}\n", options.attempts()),
        execute: format!("slots = 2\npoll-seconds = 0.5\n{}", options.times.settings()),
        receiver: "confirm-seconds = 3\n".to_owned(),
        // A worker's folder is the fleet's.
        scan: "allow-list = [\"alice\", \"cockpit-project\"]\n\
               merged-pull-command = \"echo merged %{sha} >> book\"\n\
               [scan.test-map.\"octo/app\"]\nmain = [\"debian\"]\n\
               [scan.test-map.\"octo/lib\"]\nmain = [\"debian\", \"rhel-9\"]\n"
            .to_owned(),
        config: bucket.map(S3Server::config).unwrap_or_default(),
        // As existing deployments call it, since a worker of theirs is here.
        internal_queue: "rhel",
        logs: disks.filter(|_| bucket.is_none()).map(|it| it.spool.folder().join("logs")),
        ..Setup::default()
    }
}

/// What is around a fleet.
struct Around<'a> {
    disks: Option<&'a Disks>,
    bucket: Option<&'a mut S3Server>,
    register: &'a Register,
}

/// What happened, for who judges.
struct Played {
    asked: Asked,
    done: Done,
    sent: Vec<Sent>,
    runs: Vec<Signed>,
    claims: Vec<LeftClaim>,
    /// Where temporary files were.
    scratch: PathBuf,
    wrong: Vec<String>,
}

async fn play(
    fleet: &mut Fleet,
    around: Around<'_>,
    options: &Options,
    diary: &Arc<Diary>,
) -> Result<Played> {
    let Around { disks, bucket, register } = around;
    let (config, connector) = (fleet.config_file(), fleet.connector()?);
    let (vhost, older) = (fleet.vhost().to_owned(), Older::find(fleet, &config)?);
    if older.is_none() {
        diary.note("no python has pika (tests/interop/python.sh): no older worker");
    }
    let folder = config.parent().context("a folder")?;
    let scratch = disks.map_or(folder, |it| it.spool.folder()).to_owned();
    let Fleet { forge, git, engine, broker, .. } = fleet;
    let mut sites = Vec::new();
    for number in 0..=options.workers {
        let roles = if number < options.workers { Roles::All } else { Roles::Scan };
        let state = disks.map(|it| it.state.folder());
        let ground = Ground { number, roles, config: &config, state, scratch: Some(&scratch) };
        sites.push(Site::new(&ground, Proxy::start(broker.address()).await?, engine)?);
    }
    let receiver = Receiver::start(&config, Proxy::start(broker.address()).await?).await?;
    let sender = Sender {
        hook: receiver.hook()?,
        connector,
        client: broker.client(&vhost),
        diary: Arc::clone(diary),
        patience: options.times.patience(),
    };
    let context = |all: &[&str]| all.iter().map(ToString::to_string).collect::<Vec<_>>();
    let mut people = People {
        forge,
        git,
        sender: sender.clone(),
        register,
        repos: vec![
            (RepoName::new("octo/app")?, context(&["debian"])),
            (RepoName::new("octo/lib")?, context(&["debian", "rhel-9"])),
        ],
        book: config.with_file_name("book"),
        asked: Asked::default(),
        sending: JoinSet::new(),
    };
    people.settle_in().await?;
    let diary_of_field = Arc::clone(diary);
    let done = Done::default();
    let mut field = Field {
        broker,
        engine,
        forge,
        diary: diary_of_field,
        sender,
        receiver,
        sites,
        older,
        bucket,
        disks,
        done,
    };
    for number in 0..options.workers {
        field.start_worker(Place::Worker(number)).await?;
    }
    field.start_worker(Place::Scanner).await?;
    field.start_older()?;
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
    let quiet::End { mut wrong, claims } = quiet::wait(&mut field, &vhost, options.quiet()).await;
    diary.note(if wrong.is_empty() { "all is quiet" } else { "it does not become quiet" });
    wrong.extend(field.end().await?);
    wrong.append(&mut field.done.deaths);
    let runs = register.runs();
    Ok(Played { asked: people.asked, done: field.done, sent, runs, claims, scratch, wrong })
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

/// How many findings are told with their story; each is looked for in all logs of all programs.
const STORIES: usize = 20;

async fn judge(
    fleet: &mut Fleet,
    played: &Played,
    shelf: &Shelf,
    times: Times,
    diary: &Diary,
) -> Result<Verdict> {
    let Played { asked, done, sent, runs: signed, claims, scratch, wrong } = played;
    let excuses = Excuses::new(&done.excuses, times);
    let mut verdict = Verdict::default();
    verdict.wrong(wrong.iter().cloned());
    verdict.sent(sent, &excuses);
    let evidence = Evidence { fleet, shelf, signed, excuses: &excuses };
    let (folder, runs) = (evidence.folder()?, evidence.compare(asked, sent, &mut verdict)?);
    let mut claimable = Vec::new();
    for pull in &asked.pulls {
        for head in &pull.heads {
            let all = evidence.statuses(pull, head);
            for context in &pull.contexts {
                claimable.push(Claimable::job(pull, head, context, &all, signed)?);
            }
        }
    }
    claimable.extend(sent.iter().filter_map(|it| Claimable::command(it, &runs, &done.older)));
    claimable.extend(story::settled(&folder).iter().map(|(id, at)| Claimable::message(id, *at)));
    verdict.claims(claims, &claimable, &excuses);
    dead(fleet, &done.poison, &mut verdict).await?;
    left(fleet, scratch, &done.excuses, &mut verdict).await?;
    for finding in verdict.findings_mut().take(STORIES) {
        finding.story.extend(story::about(&finding.about, diary, &folder));
    }
    Ok(verdict)
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
async fn left(fleet: &mut Fleet, scratch: &Path, excuses: &[Excuse], verdict: &mut Verdict) -> Result<()> {
    let was_full = excuses.iter().any(|it| it.place == Place::Disk);
    let secrets = fleet.secrets_in_memory()?;
    verdict.wrong(secrets.iter().map(|it| format!("a secret was left: {}", it.display())));
    let waiting = fleet.waiting().await?;
    verdict.wrong(waiting.iter().map(|it| format!("in the queues, with nobody at work: {it:?}")));
    for entry in fs::read_dir(scratch)?.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with("tmp-") {
            let files = fs::read_dir(entry.path())?.flatten();
            verdict.wrong(files.filter_map(|it| temporary(&it.path(), was_full)));
        }
    }
    Ok(())
}

/// A temporary file that was left; whose it is, its beginning may say. An empty one with a number for a name is podman's, which does not
/// remove what it finds no room for.
fn temporary(path: &Path, was_full: bool) -> Option<String> {
    let text = fs::read(path).unwrap_or_default();
    let is_numbered = path.file_name().and_then(|it| it.to_str()?.parse::<u32>().ok()).is_some();
    if was_full && is_numbered && text.is_empty() {
        return None;
    }
    let begin = String::from_utf8_lossy(text.get(..200).unwrap_or(&text)).into_owned();
    Some(format!("a temporary file was left: {} of {} bytes, {begin:?}", path.display(), text.len()))
}
