//! Who sends: a forge with too much to say, and an operator beside it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use common::broker::{Broker as Connector, Headers, Outgoing};
use common::forge::{NewStatus, StatusState};
use common::id::{BranchName, CommitSha, RepoName, TaskId};
use common::queue::{Priority, Queue};
use futures_util::stream::{self, StreamExt, TryStreamExt};
use jiff::Timestamp;
use serde_json::json;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::super::diary::now;
use super::super::people::{self, Asked, End, Head, PullStory};
use super::super::register::Register;
use super::super::schedule::Change;
use super::super::send::{Sender, Sent};
use super::mix::{Act, PUSHES};
use crate::fleet::Fleet;
use crate::forge::{Delivery, FakeForge, Hook, NewPull};
use crate::git::GitServer;

/// The repositories, each with what it is tested with: ordinary, urgent (`/devel`), and internal ones.
pub(super) const REPOS: [(&str, &str); 8] = [
    ("octo/app-0", "debian"),
    ("octo/urgent-0", "debian/devel"),
    ("octo/app-1", "debian"),
    ("octo/inside-0", "rhel-9"),
    ("octo/app-2", "debian"),
    ("octo/urgent-1", "debian/devel"),
    ("octo/app-3", "debian"),
    ("octo/inside-1", "rhel-9/devel"),
];
/// How many deliveries a forge has on the way at once.
const AT_ONCE: usize = 64;
/// How many commits are made at once.
const COMMITS_AT_ONCE: usize = 4;

/// All that is asked of the fleet.
pub(super) struct Crowd<'a> {
    forge: &'a FakeForge,
    sender: Sender,
    pulls: Vec<Prepared>,
}

/// A pull with the commits that it will have.
struct Prepared {
    repo: RepoName,
    context: &'static str,
    /// Those to come, newest first.
    coming: Vec<(CommitSha, Change)>,
    story: Option<PullStory>,
    /// What was sent about its heads.
    told: Vec<Delivery>,
}

/// What a receiver makes of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is queued.
    Queued,
    /// 200, and nothing else.
    Ignored,
    /// 501.
    NotWanted,
}

/// An event that was sent.
#[derive(Debug)]
pub(super) struct Letter {
    /// The id of its delivery.
    pub(super) id: String,
    pub(super) fate: Fate,
    /// What it asks for is urgent.
    pub(super) priority: Priority,
    pub(super) sent: Sent,
}

/// All that was asked for.
pub(super) struct Order {
    pub(super) asked: Asked,
    pub(super) letters: Vec<Letter>,
    /// The operator's.
    pub(super) puts: Vec<Put>,
    pub(super) begun: Timestamp,
    /// When all events were accepted.
    pub(super) accepted: Timestamp,
}

/// A task that an operator put into its queue.
pub(super) struct Put {
    pub(super) task: TaskId,
    /// When it was there.
    pub(super) at: Timestamp,
    pub(super) sent: Sent,
}

impl<'a> Crowd<'a> {
    /// Makes the repositories and all commits: that is not what is to be measured.
    pub(super) async fn gather(
        fleet: &'a Fleet,
        pulls: usize,
        register: &Register,
        sender: Sender,
    ) -> Result<Self> {
        for (repo, _) in REPOS {
            fleet.create_repo(repo, &[people::script(register)]).await?;
        }
        let prepared = (0..pulls).map(|pull| prepare(&fleet.git, pull));
        let pulls = stream::iter(prepared).buffered(COMMITS_AT_ONCE).try_collect().await?;
        Ok(Self { forge: &fleet.forge, sender, pulls })
    }

    /// Sends the events of all acts, evenly within that time, as far as the receiver takes them.
    pub(super) async fn send(&mut self, acts: &[Act], length: Duration) -> Result<Vec<Letter>> {
        let room = Arc::new(Semaphore::new(AT_ONCE));
        let mut sending = JoinSet::new();
        let begun = Instant::now();
        let step = length / u32::try_from(acts.len().max(1))?;
        for (number, act) in (0..).zip(acts) {
            sleep_until(begun + step * number).await;
            let place = Arc::clone(&room).acquire_owned().await?;
            let (delivery, fate, priority) = self.act(*act).with_context(|| format!("{act:?}"))?;
            let (sender, what) = (self.sender.clone(), format!("{act:?}"));
            sending.spawn(async move {
                let id = delivery.id.to_string();
                let sent = match fate {
                    Fate::NotWanted => not_wanted(&sender.hook, &delivery, what).await,
                    Fate::Queued | Fate::Ignored => sender.deliver(delivery, what).await,
                };
                drop(place);
                Letter { id, fate, priority, sent }
            });
        }
        Ok(sending.join_all().await)
    }

    /// What became of the pulls.
    pub(super) fn stories(self) -> Vec<PullStory> {
        self.pulls.into_iter().filter_map(|it| it.story).collect()
    }

    fn act(&mut self, act: Act) -> Result<(Delivery, Fate, Priority)> {
        let forge = self.forge;
        let (Act::Open(pull)
        | Act::Push(pull)
        | Act::Again { pull, .. }
        | Act::Label(pull)
        | Act::Trigger(pull)
        | Act::Merge(pull)
        | Act::Close(pull)
        | Act::Status(pull)
        | Act::Comment(pull)) = act;
        let pull = self.pulls.get_mut(pull).context("no such pull")?;
        let priority = if pull.context.contains("/devel") { Priority::HIGH } else { Priority::NORMAL };
        let (delivery, fate) = match act {
            Act::Open(_) => (pull.open(forge)?, Fate::Queued),
            Act::Push(_) => (pull.push(forge)?, Fate::Queued),
            Act::Again { pick, .. } => (pull.again(pick)?, Fate::Queued),
            Act::Label(_) => (pull.tell(|it| forge.label(&it.repo, it.number, "bug"))?, Fate::Queued),
            Act::Trigger(_) => (pull.trigger(forge)?, Fate::Queued),
            Act::Merge(_) => (pull.end(End::Merged, forge)?, Fate::Queued),
            Act::Close(_) => (pull.end(End::Closed, forge)?, Fate::Ignored),
            Act::Status(_) => (pull.status(forge, "other-ci", StatusState::Success, "Done")?, Fate::Ignored),
            Act::Comment(_) => (Delivery::new("issue_comment", pull.again(0)?.payload)?, Fate::NotWanted),
        };
        Ok((delivery, fate, priority))
    }
}

/// The first commit passes or fails by the pull's number; the others take turns.
async fn prepare(git: &GitServer, pull: usize) -> Result<Prepared> {
    let (name, context) = REPOS[pull % REPOS.len()];
    let number = u64::try_from(pull / REPOS.len() + 1)?;
    let mut coming = Vec::new();
    for push in 0..=PUSHES {
        let change = Change { takes: Duration::ZERO, passes: !(pull + push).is_multiple_of(4) };
        let files = [people::file(change, push + 1)];
        let sha = match push {
            0 => git.push_pull(name, number, "main", &files).await?,
            _ => git.extend_pull(name, number, &files).await?,
        };
        coming.push((CommitSha::new(sha)?, change));
    }
    coming.reverse();
    Ok(Prepared { repo: RepoName::new(name)?, context, coming, story: None, told: Vec::new() })
}

impl Prepared {
    fn next(&mut self) -> Result<Head> {
        let (sha, change) = self.coming.pop().context("no more commits")?;
        Ok(Head { sha, change, triggers: 0 })
    }

    fn tell<T>(&mut self, change: impl FnOnce(&mut PullStory) -> Result<T>) -> Result<T> {
        change(self.story.as_mut().context("not opened")?)
    }

    fn open(&mut self, forge: &FakeForge) -> Result<Delivery> {
        let head = self.next()?;
        let new = NewPull::new("A change", "alice", head.sha.clone(), BranchName::new("main")?);
        let (number, delivery) = forge.open_pull(&self.repo, new)?;
        let (repo, contexts) = (self.repo.clone(), vec![self.context.to_owned()]);
        self.story = Some(PullStory { repo, contexts, number, heads: vec![head], end: End::Open });
        self.told.push(delivery.clone());
        Ok(delivery)
    }

    fn push(&mut self, forge: &FakeForge) -> Result<Delivery> {
        let head = self.next()?;
        let delivery = self.tell(|it| {
            let delivery = forge.push(&it.repo, it.number, &head.sha)?;
            it.heads.push(head);
            Ok(delivery)
        })?;
        self.told.push(delivery.clone());
        Ok(delivery)
    }

    fn again(&self, pick: usize) -> Result<Delivery> {
        let count = self.told.len();
        ensure!(count > 0, "nothing was told");
        self.told.get(pick % count).cloned().context("an event")
    }

    fn trigger(&mut self, forge: &FakeForge) -> Result<Delivery> {
        self.tell(|it| {
            it.heads.last_mut().context("a pull without a commit")?.triggers += 1;
            Ok(())
        })?;
        let context = self.context;
        self.status(forge, context, StatusState::Pending, "Not yet tested (direct trigger)")
    }

    fn status(
        &mut self,
        forge: &FakeForge,
        context: &str,
        state: StatusState,
        text: &str,
    ) -> Result<Delivery> {
        let status = NewStatus::new(context.parse()?, state, text);
        self.tell(|it| {
            let head = it.heads.last().context("a pull without a commit")?;
            forge.set_status(&it.repo, &head.sha, status)
        })
    }

    fn end(&mut self, end: End, forge: &FakeForge) -> Result<Delivery> {
        self.tell(|it| {
            it.end = end;
            match end {
                End::Merged => forge.merge(&it.repo, it.number),
                End::Closed | End::Open => forge.close(&it.repo, it.number),
            }
        })
    }
}

/// The sender's log shows that such events are not wanted.
async fn not_wanted(hook: &Hook, delivery: &Delivery, what: String) -> Sent {
    let mut sent = Sent { tries: 1, ..Sent::new(what) };
    match hook.deliver(delivery).await {
        Ok(answer) if answer.status == 501 => sent.accepted = true,
        Ok(answer) => sent.wrong.push(format!("{}: {answer:?}", sent.what)),
        Err(error) => sent.wrong.push(format!("{}: {error:#}", sent.what)),
    }
    sent
}

/// An operator's commands, evenly within that time: urgent, and beside what the forge asks for.
pub(super) async fn command(
    connector: Connector,
    names: &[String],
    book: PathBuf,
    length: Duration,
) -> Result<Vec<Put>> {
    let session = connector.connect("operator").await?;
    session.declare(&[Queue::Public]).await?;
    let publisher = session.publisher().await?;
    let begun = Instant::now();
    let step = length / u32::try_from(names.len().max(1))?;
    let mut puts = Vec::new();
    for (number, name) in (0..).zip(names) {
        sleep_until(begun + step * number).await;
        let body = json!({"command": people::command(name, 0.0, &book)}).to_string();
        let (queue, priority) = (Queue::Public, Some(Priority::HIGH));
        let message = Outgoing { queue, body: Bytes::from(body), priority, headers: Headers::fresh() };
        publisher.publish(&message).await?;
        let sent = Sent { tries: 1, accepted: true, ..Sent::new(name.clone()) };
        puts.push(Put { task: message.headers.id, at: now(), sent });
    }
    session.close().await;
    Ok(puts)
}
