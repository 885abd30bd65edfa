//! Claims that are there when all is quiet: nothing is left to do, so nobody needs them.

use anyhow::Result;
use common::broker::ClaimKey;
use common::id::{ForgeName, TaskId};
use common::task::WorkKey;
use jiff::{SignedDuration, Timestamp};

use super::super::book::Run;
use super::super::older;
use super::super::people::{Head, PullStory};
use super::super::register::Signed;
use super::super::send::Sent;
use super::{Excuses, Finding, Loss, Verdict};
use crate::forge::StatusRecord;

/// How long after its last word a worker has settled the message and given the claim up.
const GIVEN_UP: SignedDuration = SignedDuration::from_secs(5);

/// A claim that was found.
#[derive(Clone, Debug)]
pub(in super::super) struct LeftClaim {
    /// The name of its queue.
    pub(in super::super) name: String,
    pub(in super::super) holders: u32,
}

/// Work that claims are made on.
#[derive(Clone, Debug)]
pub(in super::super) struct Claimable {
    key: ClaimKey,
    what: String,
    about: Vec<String>,
    /// From the last sign of the last run to the last word of it; none where it has none.
    end: Option<(Timestamp, Timestamp)>,
    /// Whether an older program has done some of it.
    is_shared: bool,
}

impl Claimable {
    /// A context of a commit.
    pub(in super::super) fn job(
        pull: &PullStory,
        head: &Head,
        context: &str,
        statuses: &[StatusRecord],
        runs: &[Signed],
    ) -> Result<Self> {
        let (forge, sha) = (ForgeName::new("github")?, &head.sha);
        let key = WorkKey::new(forge, &pull.repo, sha.clone(), context.parse()?);
        let statuses: Vec<_> = statuses.iter().filter(|it| it.context == context).collect();
        let told = statuses.last().map(|it| it.at);
        let signed = runs.iter().filter(|it| it.sha == sha.as_str() && it.context == context);
        let signed = signed.map(|it| it.last).max();
        Ok(Self {
            key: ClaimKey::of_work(&key),
            what: format!("{context} of {}#{} at {}", pull.repo, pull.number, sha.short(12)),
            about: vec![sha.to_string(), sha.short(12).to_owned()],
            end: told.map(|told| (signed.map_or(told, |it| it.min(told)), told)),
            is_shared: statuses.iter().any(|it| older::is_theirs(it)),
        })
    }

    /// A command, with all runs that there were, and the processes of older programs.
    pub(in super::super) fn command(sent: &Sent, runs: &[Run], older: &[i32]) -> Option<Self> {
        let id = sent.id.as_ref()?;
        let own: Vec<_> = runs.iter().filter(|it| it.name == sent.what).collect();
        Some(Self {
            key: ClaimKey::of_message(id),
            what: sent.what.clone(),
            about: vec![id.to_string(), sent.what.clone()],
            end: own.last().and_then(|it| it.end).map(|end| (end, end)),
            is_shared: own.iter().any(|it| older.contains(&it.worker)),
        })
    }

    /// Work that nobody asked for, such as a command that a merge is worth, by the message that was settled at some time.
    pub(in super::super) fn message(id: &TaskId, settled: Timestamp) -> Self {
        Self {
            key: ClaimKey::of_message(id),
            what: format!("task {id}"),
            about: vec![id.to_string()],
            end: Some((settled, settled)),
            is_shared: false,
        }
    }

    /// The name of its claim's queue.
    pub(super) fn claim(&self) -> String {
        format!("claim.{}", self.key)
    }

    /// Older programs know of no claims. And whoever is lost after the message is settled and before the claim is given up leaves it.
    fn may_be_left(&self, excuses: &Excuses) -> bool {
        let lost = |(from, to): (Timestamp, Timestamp)| {
            let to = to.checked_add(GIVEN_UP).unwrap_or(to);
            excuses.any((from, to), |it| matches!(it.loss, Loss::Process | Loss::Broker))
        };
        self.is_shared || self.end.is_some_and(lost)
    }
}

impl Verdict {
    /// Claims that are left, on what people asked for or on anything else.
    pub(in super::super) fn claims(&mut self, left: &[LeftClaim], all: &[Claimable], excuses: &Excuses) {
        for claim in left {
            let LeftClaim { name, holders } = claim;
            let mut works = all.iter().filter(|it| it.claim() == *name);
            if *holders == 0 && works.clone().any(|it| it.may_be_left(excuses)) {
                continue;
            }
            let work = works.next();
            let what = work.map_or("work that nobody knows", |it| &it.what);
            let mut finding =
                Finding::new(format!("{name} is left, on {what}, with {holders} who hold it"), &[]);
            finding.about = work.map_or_else(|| vec![name.clone()], |it| it.about.clone());
            self.wrong.push(finding);
        }
    }
}
