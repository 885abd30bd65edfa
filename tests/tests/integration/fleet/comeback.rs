//! Who comes back, and finds that something has happened meanwhile.

use anyhow::{Context as _, Result};
use common::forge::StatusState;
use common::id::{Attempt, RepoName};
use common::queue::Queue;
use rustix::process::Signal;
use serde_json::json;
use tests::disk::Disk;
use tests::fleet::{DEADLINE, Fleet, Pull, Setup, run_test_with};
use tests::forge::Fault;
use tests::proxy::{Network, Proxy};
use tests::wait::{until, until_some};

use super::gate::{
    ELSEWHERE, ONE_RUN, TWO_RUNS, ends_as, gone, no_claims, open_gate, quick, running_job, says,
    wait_for_line, whole_log,
};
use super::{change, repo};

#[tokio::test]
async fn who_stood_still_changes_nothing_of_what_another_has_told() {
    run_test_with(quick(), async |fleet: &mut Fleet| -> Result<()> {
        let proxy = Proxy::start(fleet.broker.address()).await?;
        let (repo, tip) = running_job(fleet, &["execute", "--amqp", proxy.address()]).await?;
        fleet.start_worker(&ELSEWHERE).await?;
        fleet.worker(0)?.signal(Signal::STOP)?;
        proxy.cut();
        fleet.worker(1)?.wait_until("that the other runs it", DEADLINE, says("the job begins")).await?;
        open_gate(fleet, &repo, &tip).await?;
        fleet.worker(1)?.wait_until("that it is settled", DEADLINE, says("settled")).await?;
        let status = fleet.forge.wait_for_state(&repo, &tip, "c", StatusState::Success, DEADLINE).await?;
        let log = fleet.log_text(&status).await?;
        fleet.worker(0)?.signal(Signal::CONT)?;
        fleet.worker(0)?.wait_until("that it stops", DEADLINE, says("stopped")).await?;
        gone(fleet).await?;
        fleet.settle().await?;
        assert_eq!(fleet.statuses(&repo, &tip), TWO_RUNS);
        assert_eq!(fleet.log_text(&status).await?, log);
        whole_log(fleet, &repo, &tip).await?;
        no_claims(fleet).await
    })
    .await;
}

/// Nobody knows how a container ends whose monitor is dead, and that is no fault of the job's.
#[tokio::test]
async fn a_container_whose_monitor_died_with_its_worker_is_run_again() {
    run_test_with(quick(), async |fleet: &mut Fleet| -> Result<()> {
        let (repo, tip) = running_job(fleet, &["execute"]).await?;
        fleet.kill_worker(0).await?;
        fleet.engine.kill_with_monitors().await?;
        fleet.start_worker(&["execute"]).await?;
        open_gate(fleet, &repo, &tip).await?;
        fleet.settle().await?;
        let story = [
            "c pending: In progress [host]",
            "c error: Internal error [host]",
            "c pending: In progress [host]",
            "c success: Success [host]",
        ];
        assert_eq!(fleet.statuses(&repo, &tip), story);
        no_claims(fleet).await
    })
    .await;
}

#[tokio::test]
async fn what_was_left_waits_for_room_for_its_log() -> Result<()> {
    let Some(disk) = Disk::make()? else {
        eprintln!("skipped: only root can make a small disk");
        return Ok(());
    };
    let setup = Setup { logs: Some(disk.folder().to_owned()), ..quick() };
    run_test_with(setup, async |fleet: &mut Fleet| -> Result<()> {
        let (repo, tip) = running_job(fleet, &["execute"]).await?;
        wait_for_line(fleet, "begun").await?;
        let container = fleet.engine.containers().await?;
        disk.fill()?;
        fleet.kill_worker(0).await?;
        fleet.start_worker(&["execute"]).await?;
        let waits = says("what was left has to wait for its log");
        fleet.worker(0)?.wait_until("that it waits", DEADLINE, waits).await?;
        assert_eq!(fleet.engine.containers().await?, container, "the same container");
        disk.clear()?;
        open_gate(fleet, &repo, &tip).await?;
        ends_as(fleet, &repo, &tip, &ONE_RUN).await?;
        whole_log(fleet, &repo, &tip).await
    })
    .await;
    Ok(())
}

/// Whoever comes back has nothing to wait for, and keeps nobody from asking for the same again.
#[tokio::test]
async fn who_comes_back_when_another_has_settled_its_job_is_done_with_it() {
    let execute = "slots = 1\npoll-seconds = 0.2\nfence-seconds = 60\ntakeover-seconds = 75\n";
    let setup = Setup { execute: execute.to_owned(), ..quick() };
    run_test_with(setup, async |fleet: &mut Fleet| -> Result<()> {
        let proxy = Proxy::start(fleet.broker.address()).await?;
        let (repo, tip) = running_job(fleet, &["execute", "--amqp", proxy.address()]).await?;
        proxy.set(Network::Down);
        fleet.worker(0)?.wait_until("that it is cut off", DEADLINE, says("the broker is lost")).await?;
        open_gate(fleet, &repo, &tip).await?;
        fleet.start_worker(&ELSEWHERE).await?;
        let sees = says("the commit has a verdict for this context; nothing is run");
        fleet.worker(1)?.wait_until("that another sees that it is done", DEADLINE, sees).await?;
        fleet.worker(1)?.wait_until("that it is settled", DEADLINE, says("settled")).await?;
        proxy.set(Network::Open);
        let done = says("another worker has settled this");
        fleet.worker(0)?.wait_until("that it is done with it", DEADLINE, done).await?;
        no_claims(fleet).await?;
        fleet.settle().await?;
        assert_eq!(fleet.statuses(&repo, &tip), ONE_RUN);
        // Nor does its successor.
        fleet.kill_worker(0).await?;
        fleet.start_worker(&["execute"]).await?;
        let connected = says("connected to the broker");
        fleet.worker(1)?.wait_until("that it is connected", DEADLINE, connected).await?;
        no_claims(fleet).await
    })
    .await;
}

/// A job of a pull runs until somebody makes the branch `go`, and is asked for as operators do: the pull is said, and not the commit.
async fn running_pull(fleet: &mut Fleet) -> Result<(RepoName, Pull)> {
    let repo = repo(fleet, "while ! git ls-remote --exit-code origin refs/heads/go; do :; done").await?;
    let (pull, _) = fleet.draft_pull("alice", &repo, &change()).await?;
    fleet.start_worker(&["execute"]).await?;
    let job = json!({"job": {"repo": repo, "pull": pull.number, "context": "c"}});
    fleet.publish("public", &job.to_string()).await?;
    fleet.wait_for_container().await?;
    Ok((repo, pull))
}

#[tokio::test]
async fn a_job_of_a_pull_that_has_lost_its_workers_is_told_as_an_error() {
    let setup = Setup { roles: "attempts = 1\n".to_owned(), ..quick() };
    run_test_with(setup, async |fleet: &mut Fleet| -> Result<()> {
        let (repo, pull) = running_pull(fleet).await?;
        fleet.start_worker(&ELSEWHERE).await?;
        fleet.kill_worker(0).await?;
        let dead = fleet.wait_for_dead().await?;
        assert_eq!(dead.attempt, 1, "{dead:?}");
        fleet.settle().await?;
        let story = ["c pending: In progress [host]", "c error: Internal error, out of attempts [host]"];
        assert_eq!(fleet.statuses(&repo, &pull.sha), story);
        let status = fleet.forge.wait_for_state(&repo, &pull.sha, "c", StatusState::Error, DEADLINE).await?;
        let log = fleet.log_text(&status).await?;
        log.find("out of attempts: each worker that began it was lost").context(log)?;
        fleet.start_worker(&["execute"]).await?;
        gone(fleet).await
    })
    .await;
}

#[tokio::test]
async fn a_forge_that_is_away_when_the_wait_for_an_owner_is_over_costs_no_attempt() {
    let setup = Setup { roles: "attempts = 2\nretry-seconds = 0.2\n".to_owned(), ..quick() };
    run_test_with(setup, async |fleet: &mut Fleet| -> Result<()> {
        let (repo, pull) = running_pull(fleet).await?;
        fleet.start_worker(&ELSEWHERE).await?;
        fleet.kill_worker(0).await?;
        let waits = says("somebody has begun this and is gone; given time to come back");
        fleet.worker(0)?.wait_until("that it gives time", DEADLINE, waits).await?;
        fleet.forge.go_away("/pulls/", &Fault::status(500));
        fleet.worker(0)?.wait_until("that it waits for the forge", DEADLINE, says("has to wait")).await?;
        fleet.forge.come_back();
        fleet.worker(0)?.wait_until("that it begins", DEADLINE, says("the job begins")).await?;
        fleet.git.branch("octo/app", "go", "main").await?;
        fleet.forge.wait_for_state(&repo, &pull.sha, "c", StatusState::Success, DEADLINE).await?;
        ends_as(fleet, &repo, &pull.sha, &TWO_RUNS).await?;
        fleet.start_worker(&["execute"]).await?;
        gone(fleet).await
    })
    .await;
}

/// The wait for it was for the time before it came back. On a host with much shorter times that wait ends long before the owner's fence.
#[tokio::test]
async fn who_came_back_and_is_lost_again_has_its_time_once_more() {
    let times = "fence-seconds = 60\ntakeover-seconds = 75\n";
    let setup = Setup { execute: format!("slots = 1\npoll-seconds = 0.2\n{times}"), ..quick() };
    run_test_with(setup, async |fleet: &mut Fleet| -> Result<()> {
        let proxy = Proxy::start(fleet.broker.address()).await?;
        let (repo, tip) = running_job(fleet, &["execute", "--amqp", proxy.address()]).await?;
        let config = std::fs::read_to_string(fleet.config_file())?;
        let shorter = config.replace(times, "fence-seconds = 5\ntakeover-seconds = 9\n");
        std::fs::write(fleet.config_file(), shorter)?;
        fleet.start_worker(&ELSEWHERE).await?;
        let connected = says("connected to the broker");
        fleet.worker(1)?.wait_until("that it is connected", DEADLINE, connected).await?;
        proxy.set(Network::Down);
        until("a wait for the owner", async || Ok(waits(fleet)? == 1)).await?;
        proxy.set(Network::Open);
        let known = says("whoever waits for us knows that we are back");
        fleet.worker(0)?.wait_until("that it is known to be back", DEADLINE, known).await?;
        proxy.set(Network::Down);
        until("another wait for the owner", async || Ok(waits(fleet)? == 2)).await?;
        // A new process is connected at once; the old one would rest between its tries.
        fleet.kill_worker(0).await?;
        fleet.start_worker(&["execute"]).await?;
        open_gate(fleet, &repo, &tip).await?;
        ends_as(fleet, &repo, &tip, &ONE_RUN).await
    })
    .await;
}

/// How often the second worker has put a message off for its owner.
fn waits(fleet: &mut Fleet) -> Result<usize> {
    Ok(fleet.worker(1)?.events().iter().filter(|it| it["settled"] == "awaited").count())
}

/// Whoever is cut off in that moment, or looks into the queue, has begun nothing.
#[tokio::test]
async fn a_message_that_is_handed_over_in_vain_after_its_wait_costs_no_attempt() {
    let setup = Setup { roles: "attempts = 2\n".to_owned(), ..quick() };
    run_test_with(setup, async |fleet: &mut Fleet| -> Result<()> {
        let (repo, tip) = running_job(fleet, &["execute"]).await?;
        fleet.start_worker(&ELSEWHERE).await?;
        fleet.kill_worker(0).await?;
        let awaited = |event: &serde_json::Value| (event["settled"] == "awaited").then_some(());
        fleet.worker(0)?.wait_until("that it gives time", DEADLINE, awaited).await?;
        fleet.kill_worker(0).await?;
        for _ in 0..2 {
            let session = fleet.session().await?;
            let in_vain = async || Ok(session.take(Queue::Public).await?);
            let received = until_some("the message, after its wait", in_vain).await?;
            assert_eq!(received.headers().attempt, Attempt::FIRST);
            session.close().await;
            drop(received);
        }
        fleet.start_worker(&ELSEWHERE).await?;
        fleet.worker(0)?.wait_until("that it begins", DEADLINE, says("the job begins")).await?;
        open_gate(fleet, &repo, &tip).await?;
        ends_as(fleet, &repo, &tip, &TWO_RUNS).await?;
        let said = fleet.worker(0)?.events();
        let settled: Vec<_> = said.iter().filter_map(|it| it["settled"].as_str()).collect();
        assert_eq!(settled, ["acked"], "nobody is waited for once more");
        fleet.start_worker(&["execute"]).await?;
        gone(fleet).await
    })
    .await;
}
