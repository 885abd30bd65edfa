//! The differences between what two generations did in a situation.

use std::fmt;

use serde::Serialize;

use super::observe::{Message, Observed, Write};
use super::{Decision, Program, reasons};

/// What two programs differ in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Aspect {
    /// The exit code.
    Exit,
    /// What is printed.
    Out,
    /// What is said to people.
    Err,
    /// What is read from the forge.
    Reads,
    /// What is posted.
    Writes,
    /// What is queued.
    Messages,
}

/// One of them.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// In what.
    pub aspect: Aspect,
    /// What only the old program did.
    pub old: Vec<String>,
    /// What only ours did.
    pub ours: Vec<String>,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { aspect, old, ours } = self;
        write!(f, "{aspect:?}")?;
        for (sign, lines) in [("-", old), ("+", ours)] {
            for line in lines {
                write!(f, "\n    {sign} {line}")?;
            }
        }
        Ok(())
    }
}

/// Everything that the two differ in without a reason.
pub fn differences(decision: &Decision, ours: &Observed) -> Vec<Difference> {
    let situation = &decision.situation;
    if reasons::whole(decision).is_some() {
        let failed = |it: &Observed| (it.exit != 0).to_string();
        let crashed = ours.err.iter().filter(|it| it.contains("panicked")).cloned().collect();
        let refused = decision.old.crash.as_ref().is_some_and(|it| it.contains("GitHubError"));
        let exit = lists(Aspect::Exit, vec![failed(&decision.old)], vec![failed(ours)]).filter(|_| refused);
        return exit.into_iter().chain(lists(Aspect::Err, Vec::new(), crashed)).collect();
    }
    let excused = reasons::excused(situation);
    let (old, ours) = (&excused.without(&decision.old, situation), &excused.without(ours, situation));
    let mut found = vec![
        lists(Aspect::Exit, vec![old.exit.to_string()], vec![ours.exit.to_string()]),
        lists(Aspect::Out, texts(&old.out), texts(&ours.out)),
        lists(Aspect::Reads, reads(old, situation.program), reads(ours, situation.program)),
        lists(Aspect::Writes, writes(old), writes(ours)),
        lists(Aspect::Messages, messages(old), messages(ours)),
    ];
    found.push(said(old, ours));
    found.into_iter().flatten().collect()
}

/// What is not in both, in its order; all of both where only the order differs.
fn lists(aspect: Aspect, old: Vec<String>, ours: Vec<String>) -> Option<Difference> {
    if old == ours {
        return None;
    }
    let only = |of: &[String], other: &[String]| -> Vec<String> {
        let mut rest = other.to_vec();
        let mut only = Vec::new();
        for line in of {
            match rest.iter().position(|it| it == line) {
                Some(at) => drop(rest.remove(at)),
                None => only.push(line.clone()),
            }
        }
        only
    };
    let (mut only_old, mut only_ours) = (only(&old, &ours), only(&ours, &old));
    if only_old.is_empty() && only_ours.is_empty() {
        (only_old, only_ours) = (old, ours);
    }
    Some(Difference { aspect, old: only_old, ours: only_ours })
}

fn texts(all: &[impl Serialize]) -> Vec<String> {
    all.iter().map(|it| serde_json::to_string(it).unwrap_or_default()).collect()
}

/// There are two ways to ask for the tip of a branch. The head of a pull is in its event already; where there is none, there are two
/// ways as well.
fn reads(observed: &Observed, program: Program) -> Vec<String> {
    let head = |it: &&String| it.contains("/git/ref/pull/") || it.contains("/pulls/");
    let needed = observed.reads.iter().filter(|it| program != Program::IssueScan || !head(it));
    needed.map(|it| it.replace("/git/ref/heads/", "/branches/")).collect()
}

/// Without their order: ours are posted side by side, and the old `tests-trigger` keeps contexts in a set.
fn writes(observed: &Observed) -> Vec<String> {
    let show = |Write { request, body, status }: &Write| format!("{request} {body}: {status}");
    let mut all: Vec<_> = observed.writes.iter().map(show).collect();
    all.sort();
    all
}

/// A broker gives what is urgent first; nothing is known of the order between queues.
fn messages(observed: &Observed) -> Vec<String> {
    let mut all: Vec<&Message> = observed.messages.iter().collect();
    all.sort_by(|a, b| (&a.queue, b.priority).cmp(&(&b.queue, a.priority)));
    let show = |it: &Message| format!("{} {:?} {}", it.queue, it.priority, it.body);
    all.into_iter().map(show).collect()
}

/// Ours may say more. What is said about wrong usage is everybody's own business; so is what the forge says of a status that it
/// refuses, which ours has in its log.
fn said(old: &Observed, ours: &Observed) -> Option<Difference> {
    if old.exit == 2 || old.writes.iter().any(|it| it.status == 422) {
        return None;
    }
    let missing = |line: &&String| !ours.err.iter().any(|it| it.contains(line.as_str()));
    let old: Vec<_> = old.err.iter().filter(missing).cloned().collect();
    (!old.is_empty()).then(|| Difference { aspect: Aspect::Err, old, ours: ours.err.clone() })
}
