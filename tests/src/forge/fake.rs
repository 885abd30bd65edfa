//! The forge as a test holds it: start, wait, finish.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use common::Clock;
use common::forge::StatusState;
use common::id::{CommitSha, RepoName};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::dialect::Dialect;
use super::fault::{Fault, Ordered};
use super::journal::{Recorded, Route};
use super::rate::Budget;
use super::server;
use super::state::{State, StatusRecord};
use super::validate::Validators;
use crate::steps::Steps;

/// How long connections may take to end.
const ENDING: Duration = Duration::from_secs(5);
/// How many requests an error shows.
const SHOWN: usize = 30;

/// Who may write. Everybody may read, but not with a wrong token (as on a public repository of GitHub).
#[derive(Clone)]
pub enum Access {
    /// Everybody.
    Open,
    /// Who brings this token, as `token X` or `Bearer X`.
    Token(String),
}

/// Reads a file of a repository at a commit.
pub(super) type Reader = Arc<dyn Fn(&RepoName, &str, &CommitSha) -> Option<Vec<u8>> + Send + Sync>;

/// A forge that listens on the loopback interface until it is dropped.
pub struct FakeForge {
    pub(super) shared: Arc<Shared>,
    server: JoinHandle<()>,
    stop: DropGuard,
}

impl fmt::Debug for FakeForge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeForge").field("url", &self.shared.url).finish_non_exhaustive()
    }
}

/// What the server and the test have in common.
pub(super) struct Shared {
    /// The address of the API, without a slash at the end.
    pub(super) url: String,
    access: Mutex<Access>,
    pub(super) dialect: Dialect,
    pub(super) clock: Clock,
    pub(super) stop: CancellationToken,
    contents: Mutex<Option<Reader>>,
    state: Mutex<State>,
    changes: watch::Sender<()>,
}

impl Shared {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes something, and wakes who waits for it.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let done = change(&mut self.state());
        self.changes.send_replace(());
        done
    }

    /// Counts a request as waiting until the answer is dropped.
    pub(super) fn arrive(self: &Arc<Self>) -> Waiting {
        let mut state = self.state();
        state.waiting += 1;
        state.most_waiting = state.most_waiting.max(state.waiting);
        Waiting(Arc::clone(self))
    }

    pub(super) fn access(&self) -> Access {
        self.access.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn reader(&self) -> Option<Reader> {
        self.contents.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// See [`Shared::arrive`].
pub(super) struct Waiting(Arc<Shared>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.state().waiting -= 1;
    }
}

impl FakeForge {
    /// Starts a forge without repositories, on a free port.
    pub async fn start(access: Access) -> Result<Self> {
        Self::start_as(access, Dialect::GitHub).await
    }

    /// The same for a forge that answers in another way.
    pub async fn start_as(access: Access, dialect: Dialect) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.context("the forge gets no port")?;
        let stop = CancellationToken::new();
        let shared = Arc::new(Shared {
            url: format!("http://{}{}", listener.local_addr()?, dialect.prefix()),
            access: Mutex::new(access),
            dialect,
            clock: Clock::system(),
            stop: stop.clone(),
            contents: Mutex::default(),
            state: Mutex::default(),
            changes: watch::Sender::new(()),
        });
        let server = tokio::spawn(server::run(listener, Arc::clone(&shared)));
        Ok(Self { shared, server, stop: stop.drop_guard() })
    }

    /// The address of its API, `http://127.0.0.1:PORT` and what the dialect adds.
    pub fn url(&self) -> &str {
        &self.shared.url
    }

    /// Where it finds the files of repositories; without it no commit has any. `reader` may block.
    pub fn serve_contents(
        &self,
        reader: impl Fn(&RepoName, &str, &CommitSha) -> Option<Vec<u8>> + Send + Sync + 'static,
    ) {
        *self.shared.contents.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(reader));
    }

    /// Who may write from now on.
    pub fn set_access(&self, access: Access) {
        *self.shared.access.lock().unwrap_or_else(PoisonError::into_inner) = access;
    }

    /// The next `n` requests are answered with this status and nothing of use.
    pub fn fail_next(&self, n: usize, status: u16) {
        self.fault_next(n, &Fault::status(status));
    }

    /// The next `n` requests are not answered.
    pub fn hang_next(&self, n: usize) {
        self.fault_next(n, &Fault::Hang);
    }

    /// This happens to the next `n` requests, after what was ordered before.
    pub fn fault_next(&self, n: usize, fault: &Fault) {
        self.order(n, fault, None);
    }

    /// This happens to the next `n` requests that have `only` in their `METHOD PATH?QUERY`.
    pub fn fault_on(&self, only: &str, n: usize, fault: &Fault) {
        self.order(n, fault, Some(only));
    }

    /// This happens to all requests that have `only` in their `METHOD PATH?QUERY` (to all, where that is empty), until the forge is
    /// back.
    pub fn go_away(&self, only: &str, fault: &Fault) {
        self.shared.state().outage = Some(Ordered { fault: fault.clone(), only: Some(only.to_owned()) });
    }

    /// Ends what [`FakeForge::go_away`] began.
    pub fn come_back(&self) {
        self.shared.state().outage = None;
    }

    fn order(&self, n: usize, fault: &Fault, only: Option<&str>) {
        let ordered = || Ordered { fault: fault.clone(), only: only.map(str::to_owned) };
        self.shared.state().faults.extend(std::iter::repeat_with(ordered).take(n));
    }

    /// Every request from now on takes this much longer.
    pub fn delay(&self, delay: Duration) {
        self.shared.state().delay = delay;
    }

    /// Each request from now on is one of these steps.
    pub fn watch(&self, steps: &Steps) {
        self.shared.state().steps = steps.clone();
    }

    /// From now on there are so many requests left of the limit, until the reset; then there are as many as the limit.
    pub fn set_rate_limit(&self, limit: u32, remaining: u32, reset_in: Duration) {
        let reset = self.shared.clock.now() + reset_in;
        self.shared.state().budget = Budget::new(limit, remaining, reset);
    }

    /// What answers can be compared with from now on.
    pub fn set_validators(&self, offered: Validators) {
        self.shared.state().versions.offered = offered;
    }

    /// What all requests so far took from the rate limit.
    pub fn cost(&self) -> u32 {
        self.shared.state().requests.iter().map(|it| it.cost).sum()
    }

    /// How many requests were waiting for their answers at once, at most.
    pub fn most_at_once(&self) -> usize {
        self.shared.state().most_waiting
    }

    /// The requests so far, oldest first.
    pub fn requests(&self) -> Vec<Recorded> {
        self.shared.state().requests.clone()
    }

    /// The statuses that a commit got, newest first.
    pub fn statuses(&self, repo: &RepoName, sha: &CommitSha) -> Vec<StatusRecord> {
        let state = self.shared.state();
        let all = state.repos.get(repo).map(|it| it.statuses.iter()).unwrap_or_default();
        all.rev().filter(|it| it.sha == *sha).cloned().collect()
    }

    /// Waits until a context of a commit has had a status that is wanted, and gives the first such.
    ///
    /// After `deadline`, an error that tells the story: statuses and requests.
    pub async fn wait_for_status(
        &self,
        repo: &RepoName,
        sha: &CommitSha,
        context: &str,
        deadline: Duration,
        wanted: impl Fn(&StatusRecord) -> bool,
    ) -> Result<StatusRecord> {
        let what = format!("such status `{context}` of {repo} {}", sha.short(7));
        let fits = |it: &&StatusRecord| it.sha == *sha && it.context == context && wanted(it);
        self.wait_for(&what, deadline, |state| state.repos.get(repo)?.statuses.iter().find(fits).cloned())
            .await
    }

    /// Waits until a context of a commit has had this state.
    pub async fn wait_for_state(
        &self,
        repo: &RepoName,
        sha: &CommitSha,
        context: &str,
        state: StatusState,
        deadline: Duration,
    ) -> Result<StatusRecord> {
        self.wait_for_status(repo, sha, context, deadline, |it| it.state == state).await
    }

    /// Waits until a request came for which `wanted` is true.
    pub async fn wait_for_request(
        &self,
        deadline: Duration,
        wanted: impl Fn(&Recorded) -> bool,
    ) -> Result<Recorded> {
        self.wait_for("such request", deadline, |state| state.requests.iter().find(|it| wanted(it)).cloned())
            .await
    }

    pub(super) async fn wait_for<T>(
        &self,
        what: &str,
        deadline: Duration,
        find: impl Fn(&State) -> Option<T>,
    ) -> Result<T> {
        let mut changes = self.shared.changes.subscribe();
        let search = async {
            loop {
                if let Some(found) = find(&self.shared.state()) {
                    return Ok(found);
                }
                changes.changed().await?;
            }
        };
        match tokio::time::timeout(deadline, search).await {
            Ok(found) => found,
            Err(_) => bail!("no {what} within {deadline:?}\n{}", story(&self.shared.state())),
        }
    }

    /// Ends it. Fails if there was a request for a route that it does not model, or if a fault is left that nobody met.
    pub async fn finish(self) -> Result<()> {
        let Self { shared, server, stop } = self;
        drop(stop);
        tokio::time::timeout(ENDING, server).await.context("the forge's connections do not end")??;
        let State { requests, faults, .. } = &*shared.state();
        let unknown: Vec<_> = requests.iter().filter(|it| it.route == Route::Unknown).collect();
        if !unknown.is_empty() {
            bail!("requests for routes that the forge does not model:\n{}", lines(unknown));
        }
        if !faults.is_empty() {
            bail!("{} faults are left that no request met", faults.len());
        }
        Ok(())
    }
}

fn story(state: &State) -> String {
    let statuses = state.repos.values().flat_map(|it| &it.statuses);
    let last = state.requests.len().saturating_sub(SHOWN);
    let requests = state.requests.iter().skip(last);
    format!("statuses:\n{}\nlast requests:\n{}", lines(statuses), lines(requests))
}

fn lines<T: fmt::Display>(all: impl IntoIterator<Item = T>) -> String {
    let lines: Vec<_> = all.into_iter().map(|it| format!("  {it}")).collect();
    if lines.is_empty() { "  none".to_owned() } else { lines.join("\n") }
}
