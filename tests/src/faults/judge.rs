//! The ledger: what was asked for beside what came of it.

use std::fmt;

use common::forge::StatusState;
use jiff::Timestamp;

use super::book::Run;
use super::fault::Place;
use super::field::Excuse;
use super::people::{Asked, End, Head, PullStory};
use super::send::Sent;
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

    /// What was sent, and what became of that.
    pub(super) fn sent(&mut self, sent: &[Sent]) {
        self.attempts += sent.len();
        self.acknowledged += sent.iter().filter(|it| it.accepted).count();
        self.recovered += sent.iter().filter(|it| it.accepted && it.tries > 1).count();
        for it in sent {
            self.wrong(it.wrong.iter().cloned());
            if !it.accepted {
                self.wrong.push(Finding::new(format!("{} was never accepted", it.what), &[]));
            }
        }
    }

    /// The statuses of a pull's commits. `log_has` says whether the log of a status has such a line.
    pub(super) fn pull(
        &mut self,
        pull: &PullStory,
        statuses: impl Fn(&Head) -> Vec<StatusRecord>,
        log_has: impl Fn(&StatusRecord, &str) -> bool,
        excuses: &[Excuse],
    ) {
        for (index, head) in pull.heads.iter().enumerate() {
            let is_newest = index + 1 == pull.heads.len();
            let all = statuses(head);
            for (number, context) in pull.contexts.iter().enumerate() {
                let of_context: Vec<_> = all.iter().filter(|it| it.context == *context).collect();
                let work = Work {
                    pull,
                    head,
                    context,
                    statuses: &of_context,
                    triggers: if number == 0 { head.triggers } else { 0 },
                    is_due: is_newest && pull.end == End::Open,
                };
                self.work(&work, &log_has, excuses);
            }
        }
    }

    fn work(&mut self, work: &Work<'_>, log_has: &impl Fn(&StatusRecord, &str) -> bool, excuses: &[Excuse]) {
        let begun = work.statuses.iter().filter(|it| is_begun(it)).count();
        let verdicts = work.statuses.iter().filter(|it| is_verdict(it)).count();
        let last = work.statuses.last();
        match last {
            None if work.is_due => self.lost.push(work.finding("has no status")),
            Some(last) if is_begun(last) => self.lost.push(work.finding("was begun and has no end")),
            Some(last) if work.is_due && !is_verdict(last) => {
                self.lost.push(work.finding("has no verdict"));
            }
            _ => {}
        }
        if verdicts > 1 + work.triggers {
            self.doubled.push(work.finding("has more than one verdict"));
        }
        for again in work.again().filter(|it| !is_excused(excuses, it, is_for_jobs)) {
            self.doubled.push(work.finding(&format!("was begun again at {} for no reason", again.1)));
        }
        for status in work.statuses.iter().filter(|it| is_verdict(it)) {
            if let Some(wrong) = work.contradiction(status, log_has) {
                self.wrong.push(work.finding(&wrong));
            }
        }
        if begun > 1 + work.triggers && last.is_some_and(|it| is_verdict(it)) {
            self.recovered += 1;
        }
    }

    /// The runs of the commands. A command whose message may have been put twice may run twice.
    pub(super) fn commands(&mut self, asked: &Asked, runs: &[Run], sent: &[Sent], excuses: &[Excuse]) {
        for name in &asked.commands {
            let runs: Vec<_> = runs.iter().filter(|it| it.name == *name).collect();
            let was_put_once = sent.iter().any(|it| it.what == *name && it.tries == 1);
            if runs.is_empty() {
                self.lost.push(Finding::new(format!("{name} did not run"), &[name]));
            }
            if runs.last().is_some_and(|it| it.end.is_none()) {
                self.lost.push(Finding::new(format!("{name} did not run to its end"), &[name]));
            }
            for pair in runs.windows(2) {
                let [first, second] = pair else { continue };
                let theirs = |it: &Excuse| {
                    matches!(it.place, Place::Worker(_) | Place::Broker)
                        && it.worker.is_none_or(|it| it == first.worker)
                };
                if was_put_once && !is_excused(excuses, &(first.begin, second.begin), theirs) {
                    let what = format!("{name} ran again at {} for no reason", second.begin);
                    self.doubled.push(Finding::new(what, &[name]));
                }
            }
            self.recovered += usize::from(runs.len() > 1);
        }
    }
}

/// One context of one commit.
struct Work<'a> {
    pull: &'a PullStory,
    head: &'a Head,
    context: &'a str,
    /// Oldest first.
    statuses: &'a [&'a StatusRecord],
    triggers: usize,
    /// Whether there must be a verdict.
    is_due: bool,
}

impl Work<'_> {
    fn finding(&self, what: &str) -> Finding {
        let Self { pull: PullStory { repo, number, .. }, head, context, .. } = self;
        let what = format!("{context} of {repo}#{number} at {} {what}", head.sha.short(12));
        let mut finding = Finding::new(what, &[head.sha.as_str(), head.sha.short(12)]);
        finding.story = self.statuses.iter().map(|it| format!("status {it}")).collect();
        finding
    }

    /// From when to when, where a run follows a run that had no end, and nobody asked for it.
    fn again(&self) -> impl Iterator<Item = (Timestamp, Timestamp)> {
        let mut begun = None;
        self.statuses.iter().filter_map(move |it| {
            if !is_begun(it) {
                begun = begun.filter(|_| is_waiting(it));
                return None;
            }
            begun.replace(it.at).map(|before| (before, it.at))
        })
    }

    /// What a verdict says that is not true.
    fn contradiction(
        &self,
        status: &StatusRecord,
        log_has: &impl Fn(&StatusRecord, &str) -> bool,
    ) -> Option<String> {
        let words = status.description.as_deref().unwrap_or_default();
        let says = |part: &str| words.contains(part);
        let own = if self.head.change.passes { "Success" } else { "Container exited with code 1" };
        if says(" changed [") || says(" is closed [") {
            return self.is_due.then(|| format!("was given up: {words}"));
        }
        if !says(own) {
            return Some(format!("is {:?}, {words:?}, and must be {own}", status.state));
        }
        let ran = format!("ran {}", self.head.sha);
        (!log_has(status, &ran)).then(|| format!("is {words:?}, and its log has no line `{ran}`"))
    }
}

pub(super) fn is_begun(status: &StatusRecord) -> bool {
    status.description.as_deref().unwrap_or_default().starts_with("In progress")
}

/// A run that ended in an error is begun again without another status between.
fn is_waiting(status: &StatusRecord) -> bool {
    status.state == StatusState::Pending && !is_triggered(status)
}

fn is_triggered(status: &StatusRecord) -> bool {
    status.description.as_deref().unwrap_or_default().ends_with("(direct trigger)")
}

fn is_verdict(status: &StatusRecord) -> bool {
    matches!(status.state, StatusState::Success | StatusState::Failure)
}

fn is_for_jobs(_: &Excuse) -> bool {
    true
}

fn is_excused(
    excuses: &[Excuse],
    (before, after): &(Timestamp, Timestamp),
    fits: impl Fn(&Excuse) -> bool,
) -> bool {
    let meets = |it: &&Excuse| it.from <= *after && it.to.is_none_or(|it| it >= *before);
    excuses.iter().filter(meets).any(fits)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    /// A command that was asked for once, and what is said of these runs of it: lost, doubled.
    fn judged(runs: &[(i64, Option<i64>)], excuses: &[Excuse]) -> (usize, usize) {
        let name = "command-0".to_owned();
        let run = |(begin, end): &(i64, Option<i64>)| Run {
            name: name.clone(),
            worker: 7,
            begin: at(*begin),
            end: end.map(at),
        };
        let asked = Asked { pulls: Vec::new(), commands: vec![name.clone()] };
        let sent = [Sent { what: name.clone(), tries: 1, accepted: true, wrong: Vec::new() }];
        let mut verdict = Verdict::default();
        verdict.commands(&asked, &runs.iter().map(run).collect::<Vec<_>>(), &sent, excuses);
        (verdict.lost.len(), verdict.doubled.len())
    }

    #[test]
    fn a_command_runs_once_unless_its_worker_was_in_trouble() {
        let excuse = |worker, from| Excuse {
            place: Place::Worker(0),
            worker: Some(worker),
            from: at(from),
            to: Some(at(from + 1)),
        };
        assert_eq!(judged(&[(1, Some(2))], &[]), (0, 0));
        assert_eq!(judged(&[], &[]), (1, 0));
        assert_eq!(judged(&[(1, None)], &[excuse(7, 1)]), (1, 0));
        let twice = [(10, None), (20, Some(21))];
        assert_eq!(judged(&twice, &[]), (0, 1));
        assert_eq!(judged(&twice, &[excuse(7, 12)]), (0, 0));
        assert_eq!(judged(&twice, &[excuse(8, 12)]), (0, 1), "another worker's trouble");
        assert_eq!(judged(&twice, &[excuse(7, 2)]), (0, 1), "long before");
    }
}
