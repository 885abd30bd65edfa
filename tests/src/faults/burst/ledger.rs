//! What the programs said: which event led to which tasks, what became of each, and in which order executors began.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};
use common::queue::{Priority, Queue};
use jiff::Timestamp;
use serde_json::Value;

use super::super::judge::{Finding, Verdict};
use super::crowd::{Fate, Letter, Put};

/// What a worker says when it begins a job.
const BEGINS: &str = "the job begins";

/// What a worker says when it has the claim on a job, and when another has.
const CLAIMED: &str = "claimed";
const FORWARDS: &str = "the same work is under way; its owner is told";

/// A task, and the claim on its work, at a moment.
#[derive(Clone, Debug)]
struct AtClaim {
    task: String,
    claim: String,
    at: Timestamp,
}

/// What a slot did with a delivery of the broker's.
#[derive(Clone, Debug)]
pub(super) struct Turn {
    queue: String,
    /// The message.
    task: String,
    /// The event that caused it.
    event: Option<String>,
    begun: Timestamp,
    settled: Timestamp,
    how: String,
}

/// All that was said about deliveries.
#[derive(Debug, Default)]
pub(super) struct Said {
    /// In the order in which they ended.
    pub(super) turns: Vec<Turn>,
    /// How many contexts of each event were to be run.
    decided: BTreeMap<String, usize>,
    /// How often each job was begun.
    runs: BTreeMap<String, usize>,
    /// Who got which claim.
    claimed: Vec<AtClaim>,
    /// Who was brought to the owner of which.
    forwarded: Vec<AtClaim>,
}

impl Said {
    /// Adds what a program's log says.
    pub(super) fn read(&mut self, log: &Path) -> Result<()> {
        let file = File::open(log).with_context(|| log.display().to_string())?;
        for line in BufReader::new(file).split(b'\n') {
            let line = line?;
            // Most lines are about something else.
            let text = String::from_utf8_lossy(&line);
            if !["\"settled\"", "\"scanned\"", "\"claimed\"", FORWARDS, BEGINS]
                .iter()
                .any(|it| text.contains(it))
            {
                continue;
            }
            let Ok(event) = serde_json::from_slice::<Value>(&line) else { continue };
            self.note(&event);
        }
        Ok(())
    }

    fn note(&mut self, event: &Value) {
        let span = &event["span"];
        let cause = span["delivery.id"].as_str().map(str::to_owned);
        match (event["message"].as_str(), cause) {
            (Some("settled"), cause) => self.turns.extend(turn(event, cause)),
            (Some(BEGINS), _) => {
                let task = span["task.id"].as_str().unwrap_or_default();
                *self.runs.entry(task.to_owned()).or_default() += 1;
            }
            (Some(CLAIMED), _) => self.claimed.extend(at_claim(event)),
            (Some(FORWARDS), _) => self.forwarded.extend(at_claim(event)),
            (Some("scanned"), Some(cause)) if runs(event) => *self.decided.entry(cause).or_default() += 1,
            _ => {}
        }
    }

    fn of(&self, wanted: impl Fn(&str) -> bool) -> impl Iterator<Item = &Turn> {
        self.turns.iter().filter(move |it| wanted(&it.queue))
    }

    fn scans(&self) -> impl Iterator<Item = &Turn> {
        self.of(|it| it == Queue::Webhook.name())
    }

    pub(super) fn tasks(&self) -> impl Iterator<Item = &Turn> {
        self.of(|it| it != Queue::Webhook.name())
    }

    /// When the last event, and the last task, was settled.
    pub(super) fn ends(&self) -> (Option<Timestamp>, Option<Timestamp>) {
        (self.scans().map(|it| it.settled).max(), self.tasks().map(|it| it.settled).max())
    }

    /// Every event that was accepted is scanned as often as it was accepted, and has led to its tasks once; every task is done once.
    pub(super) fn judge(&self, letters: &[Letter], verdict: &mut Verdict) {
        let mut accepted: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
        for letter in letters.iter().filter(|it| it.fate == Fate::Queued) {
            let (least, most) = accepted.entry(&letter.id).or_default();
            *least += usize::from(letter.sent.accepted);
            *most += usize::try_from(letter.sent.tries).unwrap_or(usize::MAX);
        }
        let scanned = count(self.scans().filter(|it| it.is_done()).filter_map(|it| it.event.as_deref()));
        for (event, (least, most)) in accepted {
            let times = scanned.get(event).copied().unwrap_or_default();
            let what = || format!("the event {event} was accepted {least} times, and scanned {times} times");
            if times < least {
                verdict.lost.push(Finding::new(what(), &[event]));
            } else if times > most {
                verdict.doubled.push(Finding::new(what(), &[event]));
            }
        }
        let merges = self.of(|it| it == Queue::Statistics.name());
        let merges: BTreeSet<_> = merges.filter_map(|it| it.event.as_deref()).collect();
        self.tasks_of_events(&merges, verdict);
        self.tasks_are_done(verdict);
    }

    fn tasks_of_events(&self, merges: &BTreeSet<&str>, verdict: &mut Verdict) {
        let mut of_events: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for turn in self.tasks() {
            let Some(event) = turn.event.as_deref() else { continue };
            of_events.entry(event).or_default().insert(&turn.task);
        }
        let events: BTreeSet<_> =
            of_events.keys().copied().chain(self.decided.keys().map(String::as_str)).collect();
        for event in events.into_iter().filter(|it| !merges.contains(it)) {
            let decided = self.decided.get(event).copied().unwrap_or_default();
            let tasks = of_events.get(event).map_or(0, BTreeSet::len);
            let what = || format!("the event {event} asks for {decided} tasks, and {tasks} came");
            if tasks < decided {
                verdict.lost.push(Finding::new(what(), &[event]));
            } else if tasks > decided {
                verdict.doubled.push(Finding::new(what(), &[event]));
            }
        }
    }

    /// One for work that is under way is handed to who does it, and comes back; it may do so twice, but is not run twice.
    fn tasks_are_done(&self, verdict: &mut Verdict) {
        let done = count(self.tasks().filter(|it| it.is_done()).map(|it| it.task.as_str()));
        let merges: BTreeSet<_> =
            self.of(|it| it == Queue::Statistics.name()).map(|it| it.task.as_str()).collect();
        let begun: BTreeSet<_> = self.tasks().map(|it| it.task.as_str()).collect();
        for task in begun {
            let times = done.get(task).copied().unwrap_or_default();
            let runs =
                if merges.contains(task) { times } else { self.runs.get(task).copied().unwrap_or_default() };
            if times == 0 && !self.is_seen_to(task, &done) {
                verdict.lost.push(Finding::new(format!("{task} was not done"), &[task]));
            } else if runs > 1 {
                verdict.doubled.push(Finding::new(format!("{task} was done twice"), &[task]));
            }
        }
        let strange = self.turns.iter().filter(|it| !it.is_done() && it.how != "forwarded");
        for Turn { queue, task, how, .. } in strange {
            let what = format!("a message of {queue}, {task}, was {how}, and nothing had gone wrong");
            verdict.wrong.push(Finding::new(what, &[task]));
        }
    }

    /// One that was on its way to an owner who gave the claim up in that moment is lost where the next owner has the claim already.
    /// That one, which has a message of its own for the same work, has looked at what is to be done since.
    fn is_seen_to(&self, task: &str, done: &BTreeMap<&str, usize>) -> bool {
        let Some(forwarded) = self.forwarded.iter().rfind(|it| it.task == task) else { return false };
        let since = |it: &&AtClaim| it.claim == forwarded.claim && it.at > forwarded.at;
        self.claimed.iter().filter(since).any(|it| it.task != task && done.contains_key(it.task.as_str()))
    }

    /// No task begins while a more urgent one waits in its queue. `slack` is for what was on its way into a slot.
    pub(super) fn out_of_order(&self, letters: &[Letter], operator: &[Put], slack: Duration) -> Vec<Finding> {
        let urgency: BTreeMap<_, _> = letters.iter().map(|it| (it.id.as_str(), it.priority)).collect();
        let put: BTreeMap<_, _> = operator.iter().map(|it| (it.task.as_str(), it.at)).collect();
        let mut scanned: BTreeMap<&str, Timestamp> = BTreeMap::new();
        for turn in self.scans() {
            let Some(event) = turn.event.as_deref() else { continue };
            let last = scanned.entry(event).or_insert(turn.settled);
            *last = turn.settled.max(*last);
        }
        let mut starts: Vec<_> = self
            .of(|it| [Queue::Public.name(), Queue::Internal.name()].contains(&it))
            .map(|turn| {
                let event = turn.event.as_deref();
                let queued = event.map_or_else(|| put.get(turn.task.as_str()), |it| scanned.get(it)).copied();
                // Without an event it is an operator's.
                let priority =
                    event.map_or(Priority::HIGH, |it| urgency.get(it).copied().unwrap_or(Priority::NORMAL));
                Start { turn, queued, priority }
            })
            .collect();
        starts.sort_by_key(|it| it.turn.begun);
        // What was handed on comes back later, nobody knows when: only the first time says when it was waited for.
        let mut seen = BTreeSet::new();
        let urgent: Vec<_> =
            starts.iter().filter(|it| seen.insert(&it.turn.task) && it.priority == Priority::HIGH).collect();
        let ordinary = starts.iter().filter(|it| it.priority < Priority::HIGH);
        ordinary.filter_map(|it| urgent.iter().find_map(|urgent| it.overtakes(urgent, slack))).collect()
    }
}

impl Turn {
    fn is_done(&self) -> bool {
        self.how == "acked"
    }
}

/// A task as a slot got it.
struct Start<'a> {
    turn: &'a Turn,
    /// When it was in its queue at the latest.
    queued: Option<Timestamp>,
    priority: Priority,
}

impl Start<'_> {
    fn overtakes(&self, urgent: &Self, slack: Duration) -> Option<Finding> {
        let waited = urgent.queued? + slack < self.turn.begun && self.turn.begun + slack < urgent.turn.begun;
        let same = self.turn.queue == urgent.turn.queue;
        (waited && same).then(|| {
            let what = format!(
                "{} began at {}, and the more urgent {}, which waited, at {}",
                self.turn.task, self.turn.begun, urgent.turn.task, urgent.turn.begun
            );
            Finding::new(what, &[&self.turn.task, &urgent.turn.task])
        })
    }
}

fn turn(event: &Value, cause: Option<String>) -> Option<Turn> {
    let span = &event["span"];
    let settled: Timestamp = event["timestamp"].as_str()?.parse().ok()?;
    // A number of 128 bits is a text in the logs.
    let took = Duration::from_millis(event["duration_ms"].as_str()?.parse().ok()?);
    Some(Turn {
        queue: span["queue"].as_str()?.to_owned(),
        task: span["task.id"].as_str()?.to_owned(),
        event: cause,
        begun: settled - took,
        settled,
        how: event["settled"].as_str()?.to_owned(),
    })
}

fn at_claim(event: &Value) -> Option<AtClaim> {
    Some(AtClaim {
        task: event["span"]["task.id"].as_str()?.to_owned(),
        claim: event["claim"].as_str()?.to_owned(),
        at: event["timestamp"].as_str()?.parse().ok()?,
    })
}

fn runs(scanned: &Value) -> bool {
    matches!(scanned["decision"].as_str(), Some("Run" | "PostAndRun"))
}

fn count<'a>(all: impl Iterator<Item = &'a str>) -> BTreeMap<&'a str, usize> {
    let mut counts = BTreeMap::new();
    for it in all {
        *counts.entry(it).or_default() += 1;
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is lost where `forwarded` was brought to an owner at second 5, and these got the claim.
    fn lost(claimed: &[(&str, i64)]) -> usize {
        let at = |second| Timestamp::from_second(second).unwrap();
        let at_claim = |(task, second): &(&str, i64)| AtClaim {
            task: (*task).to_owned(),
            claim: "c".to_owned(),
            at: at(*second),
        };
        let turn = |task: &str, how: &str| Turn {
            queue: "public".to_owned(),
            task: task.to_owned(),
            event: None,
            begun: at(4),
            settled: at(9),
            how: how.to_owned(),
        };
        let said = Said {
            turns: vec![turn("forwarded", "forwarded"), turn("other", "acked")],
            claimed: claimed.iter().map(at_claim).collect(),
            forwarded: vec![at_claim(&("forwarded", 5))],
            ..Said::default()
        };
        let mut verdict = Verdict::default();
        said.tasks_are_done(&mut verdict);
        verdict.lost.len()
    }

    #[test]
    fn what_never_reached_an_owner_is_lost_unless_the_next_has_looked_since() {
        assert_eq!(lost(&[("other", 3)]), 1, "who had it before");
        assert_eq!(lost(&[("other", 3), ("other", 6)]), 0);
        assert_eq!(lost(&[("undone", 6)]), 1);
    }
}
