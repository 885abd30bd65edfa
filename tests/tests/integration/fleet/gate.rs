//! Jobs that run until they are let, with what tests of workers that come and go say of them.

use anyhow::{Context as _, Result, ensure};
use common::forge::StatusState;
use common::id::{CommitSha, RepoName};
use serde_json::{Value, json};
use tests::engine::Container;
use tests::fleet::{DEADLINE, Fleet, Setup};
use tests::wait::until;

use super::repo;

/// A worker as on another host: what one that serves all queues has left is not for it.
pub(super) const ELSEWHERE: [&str; 3] = ["execute", "--queue", "public"];

/// Quick to give up and to take over.
pub(super) fn quick() -> Setup {
    let execute = "slots = 1\npoll-seconds = 0.2\nfence-seconds = 1\ntakeover-seconds = 4\n";
    Setup { worker: false, webhook: false, execute: execute.to_owned(), ..Setup::default() }
}

/// A job that runs until somebody makes the branch `go`, and is asked for.
pub(super) async fn gated_job(fleet: &Fleet) -> Result<(RepoName, CommitSha)> {
    gated_job_that(fleet, "echo ended").await
}

/// The same with this at its end.
pub(super) async fn gated_job_that(fleet: &Fleet, ends: &str) -> Result<(RepoName, CommitSha)> {
    let gate = "while ! git ls-remote --exit-code origin refs/heads/go; do :; done";
    let repo = repo(fleet, &format!("echo begun\n{gate} > /dev/null\n{ends}")).await?;
    let tip = fleet.git.resolve("octo/app", "main").await?;
    ask(fleet, &tip).await?;
    Ok((repo, tip.parse()?))
}

pub(super) async fn ask(fleet: &Fleet, tip: &str) -> Result<()> {
    let job = json!({"job": {"repo": "octo/app", "sha": tip, "context": "c"}});
    fleet.publish("public", &job.to_string()).await
}

pub(super) async fn open_gate(fleet: &Fleet, repo: &RepoName, tip: &CommitSha) -> Result<()> {
    fleet.git.branch("octo/app", "go", "main").await?;
    fleet.forge.wait_for_state(repo, tip, "c", StatusState::Success, DEADLINE).await?;
    Ok(())
}

/// Waits for a container that is not one of these, and sees to it that those are gone by then.
pub(super) async fn wait_for_another(fleet: &Fleet, first: &[Container]) -> Result<()> {
    let another = async || {
        let now = fleet.engine.containers().await?;
        let (old, new): (Vec<_>, Vec<_>) = now.into_iter().partition(|it| first.contains(it));
        ensure!(old.is_empty() || new.is_empty(), "both run: {old:?} {new:?}");
        Ok(!new.is_empty())
    };
    until("another container", another).await
}

pub(super) fn says(words: &'static str) -> impl Fn(&Value) -> Option<()> {
    move |event| (event["message"] == words).then_some(())
}

pub(super) const ONE_RUN: [&str; 2] = ["c pending: In progress [host]", "c success: Success [host]"];
pub(super) const TWO_RUNS: [&str; 3] =
    ["c pending: In progress [host]", "c pending: In progress [host]", "c success: Success [host]"];

/// A job that runs, by a new worker with these arguments.
pub(super) async fn running_job(fleet: &mut Fleet, worker: &[&str]) -> Result<(RepoName, CommitSha)> {
    fleet.start_worker(worker).await?;
    let job = gated_job(fleet).await?;
    fleet.wait_for_container().await?;
    Ok(job)
}

/// Waits until no container is left.
pub(super) async fn gone(fleet: &Fleet) -> Result<()> {
    until("the end of all containers", async || Ok(fleet.engine.containers().await?.is_empty())).await
}

/// Waits until every claim is given up.
pub(super) async fn no_claims(fleet: &Fleet) -> Result<()> {
    let is_claim = |it: &String| it.starts_with("claim.");
    until("the end of all claims", async || {
        Ok(!fleet.broker.queues(fleet.vhost()).await?.iter().any(is_claim))
    })
    .await
}

/// When all is settled, this is what the forge was told, and no claim is left.
pub(super) async fn ends_as(
    fleet: &mut Fleet,
    repo: &RepoName,
    tip: &CommitSha,
    story: &[&str],
) -> Result<()> {
    fleet.settle().await?;
    let statuses = fleet.statuses(repo, tip);
    ensure!(statuses == story, "{statuses:?}");
    no_claims(fleet).await
}

/// Waits until the container of the job has printed this.
pub(super) async fn wait_for_line(fleet: &Fleet, line: &str) -> Result<()> {
    let is_printed = async || {
        let container = fleet.engine.containers().await?;
        let name = container.first().context("no container")?.name.clone();
        Ok(fleet.engine.run(&["logs", &name]).await?.lines().any(|it| it == line))
    };
    until(line, is_printed).await
}

/// The log has everything once, and in its order.
pub(super) async fn whole_log(fleet: &Fleet, repo: &RepoName, tip: &CommitSha) -> Result<()> {
    let status = fleet.forge.wait_for_state(repo, tip, "c", StatusState::Success, DEADLINE).await?;
    let log = fleet.log_text(&status).await?;
    let parts =
        ["Running on:", "Image:", "Cloning into", "begun\n", "ended\n", "Job ran successfully.  :)\n"];
    let places: Vec<_> = parts.iter().map(|it| log.find(it)).collect();
    ensure!(places.is_sorted() && !places.contains(&None), "{places:?}\n{log}");
    ensure!(parts.iter().all(|it| log.matches(it).count() == 1), "{log}");
    Ok(())
}
