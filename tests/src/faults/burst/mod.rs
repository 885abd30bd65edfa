//! A burst: thousands of events within a minute. Nothing breaks, there is just too much of everything, and it has to be dealt with once
//! each, the urgent first, with no more memory than a few events need. docs/PERFORMANCE.md says how to run it.

mod crowd;
mod ledger;
mod mix;
mod watch;

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use common::queue::Queue;
use fastrand::Rng;
use jiff::Timestamp;
use tokio::time::{Instant, sleep};

use self::crowd::{Crowd, Fate, Order, REPOS};
use self::ledger::Said;
pub use self::watch::Memory;
use self::watch::{Watch, Watched, Whose};
use super::diary::{Diary, Echo, now};
use super::evidence::Evidence;
use super::judge::{Excuses, Finding, Verdict};
use super::people::{Asked, PullStory};
use super::register::{Register, Signed};
use super::send::Sender;
use super::shelf::Shelf;
use super::times::Times;
use super::{judge, play, story};
use crate::broker::Broker;
use crate::engine::Engine;
use crate::fleet::{Fleet, Setup};

/// What a burst is to be like.
#[derive(Clone, Debug)]
pub struct Options {
    /// What the order of events comes from.
    pub seed: u64,
    /// How many events there are.
    pub events: usize,
    /// In how much time they are sent.
    pub length: Duration,
    /// How long all may take that comes of them.
    pub patience: Duration,
}

/// What a burst came to.
#[derive(Debug)]
pub struct Outcome {
    /// Whether all laws were kept.
    pub verdict: Verdict,
    /// What began before something more urgent.
    pub out_of_order: Vec<Finding>,
    /// From the first event on: until all were accepted, until all were scanned, until all was done.
    pub times: [Duration; 3],
    /// How many were not accepted at once.
    pub refused: usize,
    /// How many events were to be scanned.
    pub wanted: usize,
    /// How many tasks there were.
    pub tasks: usize,
    /// How many containers ran to a verdict of their own.
    pub containers: usize,
    /// Those of ours first.
    pub memory: Vec<Memory>,
}

impl Outcome {
    /// Whether all laws were kept.
    pub fn is_good(&self) -> bool {
        self.verdict.is_good() && self.out_of_order.is_empty() && self.memory.iter().all(Memory::is_flat)
    }

    /// What is not as it must be, with its story, line by line.
    pub fn told(&self) -> Vec<String> {
        let disorder = self.out_of_order.iter().map(|it| ("out of order", it));
        let findings = self.verdict.findings().chain(disorder);
        let line = |(kind, finding): (&str, &Finding)| {
            let story = finding.story.iter().map(|it| format!("    {it}"));
            std::iter::once(format!("{kind}: {}", finding.what)).chain(story).collect::<Vec<_>>()
        };
        findings.flat_map(line).collect()
    }
}

/// The workers of the fleet, each a process.
const ROLES: [&str; 3] = ["scan", "execute", "execute"];
/// By how much a program may grow for what it deals with at once, in megabytes: 64 events of 30 KB on their way through the receiver, with
/// the buffers of 64 connections; some answers of a forge, and the log of a job, in each slot of a worker.
const AT_ONCE: f64 = 10.0;
/// What a worker keeps of a forge's answers, so that it need not read them again: the pull, by itself and in the list of all, 20 KB each,
/// and 7 KB for each of its heads. The bound of that is the client's (64 MB). An event that is kept has 30 KB, and there are forty to a
/// pull: more than ten times as much.
const KEPT_OF_A_PULL: f64 = 0.04 + 0.007 * 5.0;
/// How many findings get their stories: each is a search through all logs.
const STORIES: usize = 5;
/// An operator has one command run for so many events.
const EVENTS_A_COMMAND: usize = 100;
/// What a delivery can be on its way into a slot, on a machine that has too much to do.
const SLACK: Duration = Duration::from_secs(1);
/// How often the queues are looked at.
const LOOK: Duration = Duration::from_millis(500);
/// After which a program that has started has nothing to do.
const REST: Duration = Duration::from_millis(500);

/// Runs it to its end. An error is one of the harness or of this machine.
pub async fn run(options: &Options) -> Result<Outcome> {
    common::crypto::install();
    let (broker, engine) = tokio::try_join!(Broker::open(), Engine::open())?;
    let mut fleet = Fleet::start_on(setup()?, broker, engine).await?;
    for role in ROLES {
        fleet.start_worker(&[role]).await?;
    }
    let diary = Arc::new(Diary::begin(Echo::Off));
    let outcome = Box::pin(burst(&mut fleet, options, &diary)).await;
    match outcome {
        Ok(mut outcome) => {
            // Nothing is left over: no message, no container, no file.
            if let Err(error) = fleet.finish().await {
                outcome.verdict.wrong([format!("left over: {error:#}")]);
            }
            Ok(outcome)
        }
        Err(error) => {
            fleet.leave(sleep(crate::fleet::DEADLINE)).await?;
            Err(error)
        }
    }
}

fn setup() -> Result<Setup> {
    let mut scan =
        "allow-list = [\"alice\"]\nmerged-pull-command = \"echo merged %{sha} >> book\"\n".to_owned();
    for (repo, context) in REPOS {
        write!(scan, "[scan.test-map.{repo:?}]\nmain = [{context:?}]\n")?;
    }
    Ok(Setup { worker: false, execute: "slots = 2\n".to_owned(), scan, ..Setup::default() })
}

async fn burst(fleet: &mut Fleet, options: &Options, diary: &Arc<Diary>) -> Result<Outcome> {
    let Options { seed, events, length, patience } = *options;
    let acts = mix::mix(events, &mut Rng::with_seed(seed));
    let pulls = mix::pulls(events);
    let programs = programs(fleet, f64::from(u32::try_from(pulls)?))?;
    let register = Register::open().await?;
    let sender = Sender {
        hook: fleet.hook()?,
        connector: fleet.connector()?,
        client: fleet.broker.client(fleet.vhost()),
        diary: Arc::clone(diary),
        patience,
    };
    let mut crowd = Crowd::gather(fleet, pulls, &register, sender).await?;
    let names: Vec<_> = (0..events / EVENTS_A_COMMAND).map(|it| format!("command-{it}")).collect();
    let book = fleet.config_file().with_file_name("book");
    sleep(REST).await;
    let watches: Vec<_> = programs.into_iter().map(Watch::begin).collect::<Result<_>>()?;
    let begun = now();
    let commands = crowd::command(fleet.connector()?, &names, book, length);
    let (letters, puts) = tokio::try_join!(crowd.send(&acts, length), commands)?;
    let accepted = now();
    let asked = Asked { pulls: crowd.stories(), commands: names };
    let order = Order { asked, letters, puts, begun, accepted };
    let unrest = quiet(fleet, patience).await?;
    let mut memory = Vec::new();
    for watch in watches {
        memory.push(watch.end().await?);
    }
    let mut outcome = judge(fleet, order, &register.runs(), diary).await?;
    outcome.verdict.wrong(unrest);
    outcome.memory = memory;
    Ok(outcome)
}

/// Those whose memory is watched.
fn programs(fleet: &mut Fleet, pulls: f64) -> Result<Vec<Watched>> {
    let ours = |name, id, growth| Watched { name, whose: Whose::Process(id), growth: Some(growth) };
    let mut programs = vec![ours("webhook", fleet.webhook()?.id(), AT_ONCE)];
    for (number, role) in ROLES.into_iter().enumerate() {
        let growth = AT_ONCE + KEPT_OF_A_PULL * pulls;
        programs.push(ours(role, fleet.worker(number)?.id(), growth));
    }
    let broker = fleet.broker.group().map(Whose::Group);
    programs.extend(broker.map(|whose| Watched { name: "broker", whose, growth: None }));
    Ok(programs)
}

/// Waits until nothing waits and nothing is dealt with. What is still going on when patience ends is wrong.
async fn quiet(fleet: &mut Fleet, patience: Duration) -> Result<Vec<String>> {
    let end = Instant::now() + patience;
    loop {
        let mut waiting = fleet.waiting().await?;
        waiting.retain(|(queue, _)| *queue != Queue::Dead);
        if waiting.is_empty() {
            break;
        }
        if Instant::now() > end {
            return Ok(vec![format!("not done in the end: {waiting:?}")]);
        }
        sleep(LOOK).await;
    }
    // Messages may still be with workers.
    Ok(fleet.settle().await.err().map(|it| format!("{it:#}")).into_iter().collect())
}

async fn judge(fleet: &mut Fleet, order: Order, signed: &[Signed], diary: &Diary) -> Result<Outcome> {
    let Order { asked, letters, puts, begun, accepted } = order;
    let mut said = Said::default();
    for number in 0..ROLES.len() {
        said.read(fleet.worker(number)?.log_file())?;
    }
    let mut verdict = Verdict::default();
    said.judge(&letters, &mut verdict);
    let mut out_of_order = said.out_of_order(&letters, &puts, SLACK);
    let wanted = letters.iter().filter(|it| it.fate == Fate::Queued).count();
    let sent = letters.into_iter().map(|it| it.sent).chain(puts.into_iter().map(|it| it.sent));
    let sent: Vec<_> = sent.collect();
    let excuses = Excuses::new(&[], Times::default());
    verdict.sent(&sent, &excuses);
    let shelf = Shelf { url: fleet.logs_url().to_owned(), folder: fleet.logs_dir() };
    let evidence = Evidence { fleet, shelf: &shelf, signed, excuses: &excuses };
    evidence.compare(&asked, &sent, &mut verdict)?;
    let folder = evidence.folder()?;
    play::dead(fleet, &[], &mut verdict).await?;
    verdict.lost.extend(asked.pulls.iter().flat_map(|it| untold(fleet, it)));
    for finding in verdict.findings_mut().chain(&mut out_of_order).take(STORIES) {
        finding.story.extend(story::about(&finding.about, diary, &folder));
    }
    let since = |it: Option<Timestamp>| {
        it.and_then(|it| Duration::try_from(it.duration_since(begun)).ok()).unwrap_or_default()
    };
    let (scanned, done) = said.ends();
    Ok(Outcome {
        verdict,
        out_of_order,
        times: [Some(accepted), scanned, done].map(since),
        refused: sent.iter().filter(|it| it.tries > 1).count(),
        wanted,
        tasks: said.tasks().count(),
        containers: begun_runs(fleet, &asked),
        memory: Vec::new(),
    })
}

/// The commits of a pull of which somebody still thinks that they wait, when nothing waits any more: who is superseded is told.
fn untold(fleet: &Fleet, pull: &PullStory) -> Vec<Finding> {
    let pending = pull.heads.iter().filter(|head| {
        let newest_first = fleet.forge.statuses(&pull.repo, &head.sha);
        let last = newest_first.iter().find(|it| pull.contexts.contains(&it.context));
        last.is_some_and(|it| !it.is_final())
    });
    let finding = |sha: &str| Finding::new(format!("{sha} of {pull} waits for nothing"), &[sha]);
    pending.map(|it| finding(it.sha.as_str())).collect()
}

/// How many jobs began.
fn begun_runs(fleet: &Fleet, asked: &Asked) -> usize {
    let heads = asked.pulls.iter().flat_map(|pull| pull.heads.iter().map(|it| (&pull.repo, &it.sha)));
    heads.flat_map(|(repo, sha)| fleet.forge.statuses(repo, sha)).filter(judge::is_begun).count()
}
