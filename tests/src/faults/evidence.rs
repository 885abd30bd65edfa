//! What can be seen of what was asked for.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result};

use super::book::{self, Run};
use super::judge::{Excuses, Finding, Verdict};
use super::people::{Asked, End, Head, PullStory};
use super::register::Signed;
use super::send::Sent;
use super::shelf::Shelf;
use crate::fleet::Fleet;
use crate::forge::StatusRecord;

/// See the module.
pub(super) struct Evidence<'a> {
    pub(super) fleet: &'a Fleet,
    pub(super) shelf: &'a Shelf,
    pub(super) signed: &'a [Signed],
    pub(super) excuses: &'a Excuses,
}

impl Evidence<'_> {
    /// Holds what was asked for against it: statuses, logs and the book, whose runs it gives.
    pub(super) fn compare(&self, asked: &Asked, sent: &[Sent], verdict: &mut Verdict) -> Result<Vec<Run>> {
        let Self { shelf, signed, excuses, .. } = self;
        for pull in &asked.pulls {
            verdict.pull(pull, |it| self.statuses(pull, it), |it| shelf.of(it), signed, excuses);
        }
        let text = fs::read_to_string(self.folder()?.join("book")).unwrap_or_default();
        let (runs, others) = book::read(&text);
        verdict.commands(asked, &runs, sent, excuses);
        for pull in asked.pulls.iter().filter(|it| it.end == End::Merged) {
            let sha = pull.heads.last().map(|it| it.sha.to_string()).unwrap_or_default();
            if !others.contains(&format!("merged {sha}")) {
                verdict.lost.push(Finding::new(format!("the merge of {pull} led to nothing"), &[&sha]));
            }
        }
        Ok(runs)
    }

    /// The statuses of a commit, oldest first.
    pub(super) fn statuses(&self, pull: &PullStory, head: &Head) -> Vec<StatusRecord> {
        let mut all = self.fleet.forge.statuses(&pull.repo, &head.sha);
        all.reverse();
        all
    }

    /// Where the programs' logs and the book are.
    pub(super) fn folder(&self) -> Result<PathBuf> {
        Ok(self.fleet.config_file().parent().context("a folder")?.to_owned())
    }
}
