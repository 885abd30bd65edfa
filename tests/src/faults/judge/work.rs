//! One context of one commit: what was said of it, and what ran.

use jiff::Timestamp;

use common::forge::StatusState;

use super::super::fault::Place;
use super::super::older;
use super::super::people::{Head, PullStory};
use super::super::register::Signed;
use super::super::shelf::Stored;
use super::{Excuse, Excuses, Finding, Loss};
use crate::forge::StatusRecord;

/// See the module.
pub(super) struct Work<'a> {
    pub(super) pull: &'a PullStory,
    pub(super) head: &'a Head,
    pub(super) context: &'a str,
    /// Oldest first.
    pub(super) statuses: &'a [&'a StatusRecord],
    /// In the order in which they began.
    pub(super) runs: &'a [&'a Signed],
    pub(super) triggers: usize,
    /// Whether there must be a verdict.
    pub(super) is_due: bool,
}

impl Work<'_> {
    pub(super) fn finding(&self, what: &str) -> Finding {
        let Self { pull: PullStory { repo, number, .. }, head, context, .. } = self;
        let what = format!("{context} of {repo}#{number} at {} {what}", head.sha.short(12));
        let mut finding = Finding::new(what, &[head.sha.as_str(), head.sha.short(12)]);
        finding.story = self.statuses.iter().map(|it| format!("status {it}")).collect();
        let run = |it: &&Signed| format!("run {} from {} to {} or longer", it.run, it.begin, it.last);
        finding.story.extend(self.runs.iter().map(run));
        finding
    }

    /// Whether an older program had a hand in it, which asks nobody and looks at nothing before it begins.
    pub(super) fn is_shared(&self) -> bool {
        self.statuses.iter().any(|it| older::is_theirs(it))
    }

    /// What it has not come to, where it had to.
    pub(super) fn lost(&self) -> Option<&'static str> {
        match self.statuses.last() {
            None => self.is_due.then_some("has no status"),
            Some(last) if is_begun(last) => Some("was begun and has no end"),
            Some(last) => (self.is_due && !is_verdict(last)).then_some("has no verdict"),
        }
    }

    /// What was done more than once.
    pub(super) fn doubled(&self, excuses: &Excuses) -> Vec<String> {
        let mut doubled = Vec::new();
        if self.verdicts() > 1 + self.triggers {
            doubled.push("has more than one verdict".to_owned());
        }
        let lost = |it: &Excuse| !matches!(it.loss, Loss::Older | Loss::Receiver | Loss::Handover);
        let again = self.again().filter(|it| !excuses.any(*it, lost));
        doubled.extend(again.map(|it| format!("was begun again at {} for no reason", it.1)));
        doubled.extend(self.ran_again(excuses));
        doubled.extend(self.ran_at_once(excuses));
        doubled
    }

    fn verdicts(&self) -> usize {
        self.statuses.iter().filter(|it| is_verdict(it)).count()
    }

    pub(super) fn is_recovered(&self) -> bool {
        let begun = self.statuses.iter().filter(|it| is_begun(it)).count();
        begun > 1 + self.triggers && self.statuses.last().is_some_and(|it| is_verdict(it))
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

    /// Containers that ran although one before had run, more than people asked for. A forge that is away is no reason.
    fn ran_again(&self, excuses: &Excuses) -> Option<String> {
        let lost = |it: &Excuse| matches!(it.loss, Loss::Process | Loss::Broker | Loss::Disk);
        let is_odd = |pair: &&[&Signed]| matches!(pair, [first, second] if !excuses.any((first.begin, second.begin), lost));
        let odd: Vec<_> = self.runs.windows(2).filter(is_odd).collect();
        let newest = odd.last().and_then(|it| it.last()).filter(|_| odd.len() > self.triggers)?;
        Some(format!("ran again at {} for no reason", newest.begin))
    }

    /// Containers that ran at the same time. Only who is killed or stands still cannot stop what it runs before another begins.
    fn ran_at_once(&self, excuses: &Excuses) -> impl Iterator<Item = String> {
        self.runs.windows(2).filter_map(|pair| {
            let [first, second] = pair else { return None };
            let meets = first.last > second.begin && !excuses.is_overtaken((first.begin, second.begin));
            meets.then(|| format!("ran at {} while it ran already, until {}", second.begin, first.last))
        })
    }

    /// What verdicts say that is not true.
    pub(super) fn contradictions(
        &self,
        stored: impl Fn(&StatusRecord) -> Stored,
        excuses: &Excuses,
    ) -> Vec<String> {
        let mut begun: Option<&StatusRecord> = None;
        let mut found = Vec::new();
        for status in self.statuses {
            if is_begun(status) {
                begun = Some(status);
            } else if is_verdict(status) {
                found.extend(self.contradiction(status, begun, &stored, excuses));
            }
        }
        found
    }

    fn contradiction(
        &self,
        status: &StatusRecord,
        begun: Option<&StatusRecord>,
        stored: impl Fn(&StatusRecord) -> Stored,
        excuses: &Excuses,
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
        if self.is_shared() {
            return None;
        }
        let Some(begun) = begun.filter(|it| it.target_url == status.target_url) else {
            return Some(format!("is {words:?}, which is not of the attempt that began last"));
        };
        // Where there is room again before the end, nobody knows that there was none.
        let had_no_room = |it: &Excuse| it.place == Place::Disk && it.to.is_some_and(|to| to <= status.at);
        if excuses.any((begun.at, status.at), had_no_room) {
            return None;
        }
        let wrong = stored(status).wrong(self.head.sha.as_str(), self.head.change.passes)?;
        Some(format!("is {words:?}, and {wrong}"))
    }
}

pub(in super::super) fn is_begun(status: &StatusRecord) -> bool {
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
