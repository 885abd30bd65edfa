//! What people do on the forge and at the broker while things break, and what they may expect of it.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use common::forge::{NewStatus, StatusState};
use common::id::{BranchName, CommitSha, PullNumber, RepoName};
use common::queue::Queue;
use serde_json::json;
use tokio::task::JoinSet;

use super::register::Register;
use super::schedule::{Act, Change, Dress};
use super::send::{Letter, Sender, Sent};
use super::shelf::{LINES, PARTS};
use crate::forge::{Delivery, FakeForge, NewPull};
use crate::git::{File, GitServer, pull_head};

/// What a commit's tests are: they sign the register, print what [`printed`](super::shelf::printed) says, take their time, and end as the
/// commit wants.
pub(super) fn script(register: &Register) -> File {
    // Not wget: that of a static busybox looks names up, and crashes.
    let (host, port) = register.address();
    let text = format!(
        r#"#!/bin/sh
. ./change
run=$(cat /proc/sys/kernel/random/uuid)
sign() {{
    printf 'GET /%s/%s/%s HTTP/1.0\r\n\r\n' "$TEST_REVISION" "$TEST_OS" "$run" | nc -w 5 {host} {port} > /dev/null 2>&1
}}
sign
echo "ran $TEST_REVISION $run"
for part in $(seq {PARTS}); do
    seq {LINES} | sed "s/^/$run part $part line /"
    sleep "$pause"
    sign
done
echo "done $run"
exit "$code"
"#
    );
    File::new(".cockpit-ci/run", text).executable()
}

/// Everybody who asks something of the fleet.
pub(super) struct People<'a> {
    pub(super) forge: &'a FakeForge,
    pub(super) git: &'a GitServer,
    pub(super) sender: Sender,
    /// Where containers sign.
    pub(super) register: &'a Register,
    /// The repositories and their contexts.
    pub(super) repos: Vec<(RepoName, Vec<String>)>,
    /// Where commands write that they run.
    pub(super) book: PathBuf,
    pub(super) asked: Asked,
    pub(super) sending: JoinSet<Sent>,
}

/// All that was asked for.
#[derive(Debug, Default)]
pub(super) struct Asked {
    pub(super) pulls: Vec<PullStory>,
    /// Their names.
    pub(super) commands: Vec<String>,
}

/// A pull and what became of it.
#[derive(Debug)]
pub(super) struct PullStory {
    pub(super) repo: RepoName,
    pub(super) contexts: Vec<String>,
    pub(super) number: PullNumber,
    /// Oldest first; never empty.
    pub(super) heads: Vec<Head>,
    pub(super) end: End,
}

/// A commit that is or was a pull's head.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) sha: CommitSha,
    pub(super) change: Change,
    /// How often somebody asked for another run, under the pull's first context.
    pub(super) triggers: usize,
}

/// How a pull ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Open,
    Merged,
    Closed,
}

impl People<'_> {
    /// Makes the repositories.
    pub(super) async fn settle_in(&self) -> Result<()> {
        for (repo, _) in &self.repos {
            let tip = self.git.create(repo.as_str(), &[script(self.register)]).await?;
            self.forge.add_repo(repo, &BranchName::new("main")?, &CommitSha::new(tip)?);
        }
        Ok(())
    }

    pub(super) async fn act(&mut self, act: Act) -> Result<()> {
        match act {
            Act::Open(change) => {
                let (delivery, what) = self.open(change).await?;
                self.send(delivery, what);
            }
            Act::OpenMany(change, times) => {
                let (delivery, what) = self.open(change).await?;
                for _ in 0..times {
                    self.send(delivery.clone(), what.clone());
                }
            }
            Act::OpenSwapped(first, second) => {
                let (opened, what) = self.open(first).await?;
                let index = self.asked.pulls.len() - 1;
                let (pushed, later) = self.push(index, second).await?;
                self.send(pushed, later);
                self.send(opened, what);
            }
            Act::Command(takes, dress) => self.command(takes.as_secs_f64(), dress),
            Act::Push { pick, change } => {
                if let Some(index) = self.pick(pick) {
                    let (delivery, what) = self.push(index, change).await?;
                    self.send(delivery, what);
                }
            }
            Act::Label { pick } => {
                self.tell(pick, "labelled", |forge, it| forge.label(&it.repo, it.number, "bug"))?;
            }
            Act::Trigger { pick } => self.trigger(pick)?,
            Act::Merge { pick } => self.tell(pick, "merged", |forge, it| {
                it.end = End::Merged;
                forge.merge(&it.repo, it.number)
            })?,
            Act::Close { pick } => self.tell(pick, "closed", |forge, it| {
                it.end = End::Closed;
                forge.close(&it.repo, it.number)
            })?,
        }
        Ok(())
    }

    /// Asks for another run of what has a status for each context. Where one has none and another is asked for, the scanners leave the
    /// first alone: they begin all contexts only where there is no status at all.
    fn trigger(&mut self, pick: usize) -> Result<()> {
        let Some(pull) = self.pick(pick).and_then(|it| self.asked.pulls.get(it)) else { return Ok(()) };
        let sha = &pull.heads.last().context("a pull without a commit")?.sha;
        let statuses = self.forge.statuses(&pull.repo, sha);
        if !pull.contexts.iter().all(|it| statuses.iter().any(|status| status.context == *it)) {
            return Ok(());
        }
        self.tell(pick, "triggered", |forge, it| {
            let head = it.heads.last_mut().context("a pull without a commit")?;
            head.triggers += 1;
            let context = it.contexts.first().context("a pull without a context")?.parse()?;
            let description = "Not yet tested (direct trigger)".to_owned();
            let state = StatusState::Pending;
            forge.set_status(&it.repo, &head.sha, NewStatus { context, state, description, target_url: None })
        })
    }

    /// One of the open pulls, if there is one.
    fn pick(&self, pick: usize) -> Option<usize> {
        let open: Vec<_> = (0..self.asked.pulls.len())
            .filter(|it| self.asked.pulls.get(*it).is_some_and(|it| it.end == End::Open))
            .collect();
        open.get(pick.checked_rem(open.len())?).copied()
    }

    fn tell(
        &mut self,
        pick: usize,
        what: &str,
        change: impl FnOnce(&FakeForge, &mut PullStory) -> Result<Delivery>,
    ) -> Result<()> {
        let Some(pull) = self.pick(pick).and_then(|it| self.asked.pulls.get_mut(it)) else { return Ok(()) };
        let delivery = change(self.forge, pull)?;
        let what = format!("{what} {pull}");
        self.send(delivery, what);
        Ok(())
    }

    fn send(&mut self, delivery: Delivery, what: String) {
        self.sending.spawn(self.sender.clone().deliver(delivery, what));
    }

    async fn open(&mut self, change: Change) -> Result<(Delivery, String)> {
        let pulls = &mut self.asked.pulls;
        let (repo, contexts) = self.repos.get(pulls.len() % self.repos.len()).context("no repository")?;
        // The forge numbers pulls; the commit has to be there before.
        let next = self.forge.next_number(repo)?;
        let sha = self.git.push_pull(repo.as_str(), next.get(), "main", &[file(change, 1)]).await?;
        let sha = CommitSha::new(sha)?;
        let new = NewPull::new("A change", "alice", sha.clone(), BranchName::new("main")?);
        let (number, delivery) = self.forge.open_pull(repo, new)?;
        // A job may have opened an issue meanwhile, which takes a number.
        let reference = pull_head(number.get());
        self.git.git(repo.as_str(), &["update-ref", &reference, sha.as_str()]).await?;
        let heads = vec![Head { sha, change, triggers: 0 }];
        let pull =
            PullStory { repo: repo.clone(), contexts: contexts.clone(), number, heads, end: End::Open };
        let what = format!("opened {pull}");
        pulls.push(pull);
        Ok((delivery, what))
    }

    async fn push(&mut self, index: usize, change: Change) -> Result<(Delivery, String)> {
        let pull = self.asked.pulls.get_mut(index).context("no such pull")?;
        let files = [file(change, pull.heads.len() + 1)];
        let sha = self.git.extend_pull(pull.repo.as_str(), pull.number.get(), &files).await?;
        let sha = CommitSha::new(sha)?;
        let delivery = self.forge.push(&pull.repo, pull.number, &sha)?;
        pull.heads.push(Head { sha, change, triggers: 0 });
        Ok((delivery, format!("pushed to {pull}")))
    }

    fn command(&mut self, seconds: f64, dress: Dress) {
        let name = format!("command-{}", self.asked.commands.len());
        let body = json!({"command": command(&name, seconds, &self.book)}).to_string();
        let letter = Letter { queue: Queue::Public, body, dress };
        self.sending.spawn(self.sender.clone().put(letter, name.clone()));
        self.asked.commands.push(name);
    }
}

/// A command that says in the book that it begins and ends. Each line says who: the worker that the shell belongs to.
pub(super) fn command(name: &str, seconds: f64, book: &Path) -> String {
    let line = |what: &str| format!("echo {what} {name} $PPID $(date +%s.%N) >> '{}'", book.display());
    format!("{}; sleep {seconds}; {}", line("begin"), line("end"))
}

/// Differs with each push, so that no two commits are the same.
pub(super) fn file(Change { takes, passes }: Change, push: usize) -> File {
    let (pause, code) = ((takes / PARTS).as_secs_f64(), u8::from(!passes));
    File::new("change", format!("# {push}\npause={pause}\ncode={code}\n"))
}

impl std::fmt::Display for PullStory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let sha = self.heads.last().map(|it| it.sha.short(12)).unwrap_or_default();
        write!(f, "{}#{} {sha}", self.repo, self.number)
    }
}
