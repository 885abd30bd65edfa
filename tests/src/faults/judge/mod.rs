//! The ledger: what was asked for beside what came of it.

mod claims;
mod excuse;
#[cfg(test)]
mod tests;
mod work;

use std::fmt;

use common::id::TaskId;

pub(super) use self::claims::{Claimable, LeftClaim};
pub(super) use self::excuse::{Excuse, Excuses, Loss};
use self::work::Work;
pub(super) use self::work::is_begun;
use super::book::Run;
use super::people::{Asked, End, Head, PullStory};
use super::register::Signed;
use super::send::Sent;
use super::shelf::Stored;
use crate::forge::StatusRecord;

/// What a run of the harness came to.
#[derive(Debug, Default)]
pub struct Verdict {
    /// What was sent: events, one for each equal one, and operators' messages.
    pub attempts: usize,
    /// Those that were accepted: 200, or the broker's confirm.
    pub acknowledged: usize,
    /// What was accepted and did not come to its end.
    pub lost: Vec<Finding>,
    /// What was done again although nothing had kept it from its end, or has two ends.
    pub doubled: Vec<Finding>,
    /// What came to its end although a fault got in the way: it was accepted at a later try, or begun more than once.
    pub recovered: usize,
    /// Everything else that may not be.
    pub wrong: Vec<Finding>,
}

/// Something that is not as it must be.
#[derive(Debug)]
pub struct Finding {
    /// In words.
    pub what: String,
    /// Words by which it is found in logs.
    pub about: Vec<String>,
    /// What happened before it, line by line.
    pub story: Vec<String>,
}

impl Finding {
    pub(super) fn new(what: impl Into<String>, about: &[&str]) -> Self {
        let about = about.iter().map(ToString::to_string).collect();
        Self { what: what.into(), about, story: Vec::new() }
    }
}

impl Verdict {
    /// Whether all laws were kept.
    pub fn is_good(&self) -> bool {
        self.lost.is_empty() && self.doubled.is_empty() && self.wrong.is_empty()
    }

    /// All that is not as it must be, with the word for it.
    pub fn findings(&self) -> impl Iterator<Item = (&'static str, &Finding)> {
        let lost = self.lost.iter().map(|it| ("lost", it));
        let doubled = self.doubled.iter().map(|it| ("doubled", it));
        lost.chain(doubled).chain(self.wrong.iter().map(|it| ("wrong", it)))
    }

    pub(super) fn findings_mut(&mut self) -> impl Iterator<Item = &mut Finding> {
        self.lost.iter_mut().chain(&mut self.doubled).chain(&mut self.wrong)
    }

    pub(super) fn wrong(&mut self, all: impl IntoIterator<Item = String>) {
        self.wrong.extend(all.into_iter().map(|it| Finding::new(it, &[])));
    }

    /// What was sent, and what became of that. Only a receiver that was killed gives no answer.
    pub(super) fn sent(&mut self, sent: &[Sent], excuses: &Excuses) {
        self.attempts += sent.len();
        self.acknowledged += sent.iter().filter(|it| it.accepted).count();
        self.recovered += sent.iter().filter(|it| it.accepted && it.tries > 1).count();
        for it in sent {
            self.wrong(it.wrong.iter().cloned());
            let unanswered = it.unanswered.iter();
            let unanswered = unanswered.filter(|it| !excuses.any(it.time, |it| it.loss == Loss::Receiver));
            self.wrong(unanswered.map(|it| it.what.clone()));
            if !it.accepted {
                self.wrong.push(Finding::new(format!("{} was never accepted", it.what), &[]));
            }
        }
    }

    /// What became of a pull's commits.
    pub(super) fn pull(
        &mut self,
        pull: &PullStory,
        statuses: impl Fn(&Head) -> Vec<StatusRecord>,
        stored: impl Fn(&StatusRecord) -> Stored,
        runs: &[Signed],
        excuses: &Excuses,
    ) {
        for (index, head) in pull.heads.iter().enumerate() {
            let is_newest = index + 1 == pull.heads.len();
            let all = statuses(head);
            for (number, context) in pull.contexts.iter().enumerate() {
                let of_context: Vec<_> = all.iter().filter(|it| it.context == *context).collect();
                let is_own = |it: &&Signed| it.sha == head.sha.as_str() && it.context == *context;
                let work = Work {
                    pull,
                    head,
                    context,
                    statuses: &of_context,
                    runs: &runs.iter().filter(is_own).collect::<Vec<_>>(),
                    triggers: if number == 0 { head.triggers } else { 0 },
                    is_due: is_newest && pull.end == End::Open,
                };
                self.work(&work, &stored, excuses);
            }
        }
    }

    fn work(&mut self, work: &Work<'_>, stored: impl Fn(&StatusRecord) -> Stored, excuses: &Excuses) {
        self.lost.extend(work.lost().map(|it| work.finding(it)));
        if !work.is_shared() {
            self.doubled.extend(work.doubled(excuses).iter().map(|it| work.finding(it)));
        }
        self.wrong.extend(work.contradictions(stored, excuses).iter().map(|it| work.finding(it)));
        self.recovered += usize::from(work.is_recovered());
    }

    /// The runs of the commands. A command whose message may have been put twice may run twice. One that has run to its end is not lost
    /// where another began it meanwhile and was cut off: who ended it settles the message.
    pub(super) fn commands(&mut self, asked: &Asked, runs: &[Run], sent: &[Sent], excuses: &Excuses) {
        for name in &asked.commands {
            let runs: Vec<_> = runs.iter().filter(|it| it.name == *name).collect();
            let sent: Vec<_> = sent.iter().filter(|it| it.what == *name).collect();
            let was_put_once = sent.iter().any(|it| it.tries == 1);
            // Logs have the ids of tasks, and not what they say.
            let ids = sent.iter().filter_map(|it| it.id.as_ref()).map(TaskId::as_str);
            let about: Vec<_> = ids.chain([name.as_str()]).collect();
            if runs.is_empty() {
                self.lost.push(Finding::new(format!("{name} did not run"), &about));
            } else if runs.iter().all(|it| it.end.is_none()) {
                self.lost.push(Finding::new(format!("{name} did not run to its end"), &about));
            }
            for pair in runs.windows(2) {
                let [first, second] = pair else { continue };
                let theirs = |it: &Excuse| {
                    matches!(it.loss, Loss::Process | Loss::Handover | Loss::Older | Loss::Broker)
                        && it.worker.is_none_or(|it| it == first.worker)
                };
                if was_put_once && !excuses.any((first.begin, second.begin), theirs) {
                    let what = format!("{name} ran again at {} for no reason", second.begin);
                    self.doubled.push(Finding::new(what, &about));
                }
            }
            self.recovered += usize::from(runs.len() > 1);
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { attempts, acknowledged, lost, doubled, recovered, wrong: _ } = self;
        write!(
            f,
            ":attempt-count {attempts} :acknowledged-count {acknowledged} :lost-count {} :duplicated-count {} :recovered-count {recovered}",
            lost.len(),
            doubled.len()
        )
    }
}
