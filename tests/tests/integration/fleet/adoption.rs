//! What becomes of the work of a worker that is gone.

use anyhow::Result;
use common::forge::StatusState;
use serde_json::json;
use tests::fleet::{DEADLINE, Fleet, Setup, run_test_with};
use tests::proxy::{Network, Proxy};
use tests::wait::until;

use super::gate::{
    ELSEWHERE, ONE_RUN, TWO_RUNS, ask, ends_as, gated_job, gone, no_claims, open_gate, quick, running_job,
    says, wait_for_another, wait_for_line, whole_log,
};

#[tokio::test]
async fn a_job_that_has_lost_its_workers_is_told_as_an_error() {
    let setup = Setup { roles: "attempts = 1\n".to_owned(), ..quick() };
    run_test_with(setup, async |fleet: &mut Fleet| -> Result<()> {
        let (repo, tip) = running_job(fleet, &["execute"]).await?;
        fleet.start_worker(&ELSEWHERE).await?;
        fleet.kill_worker(0).await?;
        let dead = fleet.wait_for_dead().await?;
        assert!(dead.reason.starts_with("out of attempts"), "{dead:?}");
        fleet.settle().await?;
        assert_eq!(
            fleet.statuses(&repo, &tip),
            ["c pending: In progress [host]", "c error: Internal error, out of attempts [host]"]
        );
        no_claims(fleet).await?;
        // Nobody goes on with what that worker has left.
        fleet.start_worker(&["execute"]).await?;
        gone(fleet).await?;
        fleet.settle().await?;
        assert_eq!(fleet.statuses(&repo, &tip).len(), 2, "{:?}", fleet.statuses(&repo, &tip));
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn a_task_that_kills_its_workers_is_dead_after_as_many_as_may_try() {
    run_test_with(quick(), async |fleet: &mut Fleet| -> Result<()> {
        fleet.publish("public", &json!({"command": "kill -9 $PPID"}).to_string()).await?;
        for _ in 0..3 {
            fleet.start_worker(&["execute"]).await?;
            fleet.worker_dies(0).await?;
        }
        fleet.start_worker(&["execute"]).await?;
        let dead = fleet.wait_for_dead().await?;
        assert!(dead.reason.starts_with("out of attempts") && dead.attempt == 3, "{dead:?}");
        let lost = |attempt| format!("attempt {attempt}: the worker that had begun it was lost");
        assert_eq!(dead.history, [lost(1), lost(2), lost(3)]);
        fleet.settle().await?;
        no_claims(fleet).await
    })
    .await;
}

#[tokio::test]
async fn a_worker_that_is_killed_and_started_again_goes_on_with_its_job() {
    run_test_with(quick(), async |fleet: &mut Fleet| -> Result<()> {
        let (repo, tip) = running_job(fleet, &["execute"]).await?;
        let container = fleet.engine.containers().await?;
        wait_for_line(fleet, "begun").await?;
        for _ in 0..2 {
            fleet.kill_worker(0).await?;
            fleet.start_worker(&["execute"]).await?;
            let goes_on = says("goes on with what another process has left");
            fleet.worker(0)?.wait_until("that it goes on with it", DEADLINE, goes_on).await?;
            assert_eq!(fleet.engine.containers().await?, container, "the same container");
        }
        open_gate(fleet, &repo, &tip).await?;
        ends_as(fleet, &repo, &tip, &ONE_RUN).await?;
        whole_log(fleet, &repo, &tip).await
    })
    .await;
}

#[tokio::test]
async fn a_job_that_too_many_have_died_of_is_begun_anew() {
    run_test_with(quick(), async |fleet: &mut Fleet| -> Result<()> {
        let (repo, tip) = running_job(fleet, &["execute"]).await?;
        let first = fleet.engine.containers().await?;
        for _ in 0..10 {
            fleet.kill_worker(0).await?;
            fleet.start_worker(&["execute"]).await?;
            let goes_on = says("goes on with what another process has left");
            fleet.worker(0)?.wait_until("that it goes on with it", DEADLINE, goes_on).await?;
        }
        fleet.kill_worker(0).await?;
        fleet.start_worker(&["execute"]).await?;
        wait_for_another(fleet, &first).await?;
        open_gate(fleet, &repo, &tip).await?;
        ends_as(fleet, &repo, &tip, &TWO_RUNS).await?;
        whole_log(fleet, &repo, &tip).await
    })
    .await;
}

#[tokio::test]
async fn who_has_forwarded_its_own_message_still_knows_what_it_runs() {
    let times = "fence-seconds = 15\ntakeover-seconds = 18\n";
    let setup = Setup { execute: format!("slots = 2\npoll-seconds = 0.2\n{times}"), ..quick() };
    run_test_with(setup, async |fleet: &mut Fleet| -> Result<()> {
        let proxy = Proxy::start(fleet.broker.address()).await?;
        fleet.start_worker(&["execute", "--amqp", proxy.address()]).await?;
        let (repo, tip) = gated_job(fleet).await?;
        fleet.wait_for_container().await?;
        let container = fleet.engine.containers().await?;
        proxy.cut();
        fleet
            .worker(0)?
            .wait_until("that its message is back", DEADLINE, says("the message is back"))
            .await?;
        // When another has been forwarded too, all that comes of the first one has been done.
        ask(fleet, &tip.to_string()).await?;
        until("both", async || Ok(forwarded(fleet)? == 2)).await?;
        fleet.kill_worker(0).await?;
        fleet.start_worker(&["execute"]).await?;
        let goes_on = says("goes on with what another process has left");
        fleet.worker(0)?.wait_until("that it goes on with it", DEADLINE, goes_on).await?;
        assert_eq!(fleet.engine.containers().await?, container, "the same container");
        open_gate(fleet, &repo, &tip).await?;
        fleet.settle().await?;
        assert_eq!(fleet.statuses(&repo, &tip), ONE_RUN);
        whole_log(fleet, &repo, &tip).await
    })
    .await;
}

#[tokio::test]
async fn a_job_that_ends_while_no_worker_is_there_is_told_by_the_next() {
    run_test_with(quick(), async |fleet: &mut Fleet| -> Result<()> {
        let (repo, tip) = running_job(fleet, &["execute"]).await?;
        fleet.kill_worker(0).await?;
        fleet.git.branch("octo/app", "go", "main").await?;
        let has_ended = async || Ok(fleet.engine.running_containers().await?.is_empty());
        until("the end of the container", has_ended).await?;
        fleet.start_worker(&["execute"]).await?;
        fleet.forge.wait_for_state(&repo, &tip, "c", StatusState::Success, DEADLINE).await?;
        ends_as(fleet, &repo, &tip, &ONE_RUN).await?;
        whole_log(fleet, &repo, &tip).await
    })
    .await;
}

#[tokio::test]
async fn who_comes_back_too_late_removes_its_container() {
    run_test_with(quick(), async |fleet: &mut Fleet| -> Result<()> {
        let (repo, tip) = running_job(fleet, &["execute"]).await?;
        let first = fleet.engine.containers().await?;
        fleet.start_worker(&ELSEWHERE).await?;
        fleet.kill_worker(0).await?;
        until("another container", async || Ok(fleet.engine.containers().await?.len() == 2)).await?;
        fleet.start_worker(&["execute"]).await?;
        let too_late = says("another worker has begun what was left here");
        fleet.worker(1)?.wait_until("that it is too late", DEADLINE, too_late).await?;
        let is_gone = async || Ok(!fleet.engine.containers().await?.iter().any(|it| first.contains(it)));
        until("the end of the first container", is_gone).await?;
        open_gate(fleet, &repo, &tip).await?;
        ends_as(fleet, &repo, &tip, &TWO_RUNS).await?;
        whole_log(fleet, &repo, &tip).await
    })
    .await;
}

#[tokio::test]
async fn who_starts_while_it_is_cut_off_stops_what_was_left_before_another_begins() {
    run_test_with(quick(), async |fleet: &mut Fleet| -> Result<()> {
        let proxy = Proxy::start(fleet.broker.address()).await?;
        let behind = ["execute", "--amqp", proxy.address()];
        let (repo, tip) = running_job(fleet, &behind).await?;
        let first = fleet.engine.containers().await?;
        proxy.set(Network::Down);
        fleet.kill_worker(0).await?;
        fleet.start_worker(&behind).await?;
        fleet.start_worker(&ELSEWHERE).await?;
        let stopped = says("what was left here is stopped");
        fleet.worker(0)?.wait_until("that it stops what was left", DEADLINE, stopped).await?;
        wait_for_another(fleet, &first).await?;
        proxy.set(Network::Open);
        open_gate(fleet, &repo, &tip).await?;
        ends_as(fleet, &repo, &tip, &TWO_RUNS).await?;
        whole_log(fleet, &repo, &tip).await
    })
    .await;
}

#[tokio::test]
async fn who_comes_back_when_another_has_ended_its_job_tells_nobody() {
    run_test_with(quick(), async |fleet: &mut Fleet| -> Result<()> {
        let (repo, tip) = running_job(fleet, &["execute"]).await?;
        fleet.start_worker(&ELSEWHERE).await?;
        fleet.kill_worker(0).await?;
        fleet.worker(0)?.wait_until("that the other runs it", DEADLINE, says("the job begins")).await?;
        open_gate(fleet, &repo, &tip).await?;
        fleet.settle().await?;
        no_claims(fleet).await?;
        let status = fleet.forge.wait_for_state(&repo, &tip, "c", StatusState::Success, DEADLINE).await?;
        let log = fleet.log_text(&status).await?;
        fleet.start_worker(&["execute"]).await?;
        gone(fleet).await?;
        fleet.settle().await?;
        no_claims(fleet).await?;
        assert_eq!(fleet.statuses(&repo, &tip), TWO_RUNS);
        assert_eq!(fleet.log_text(&status).await?, log);
        Ok(())
    })
    .await;
}

/// How many messages the first worker has handed on.
fn forwarded(fleet: &mut Fleet) -> Result<usize> {
    Ok(fleet.worker(0)?.events().iter().filter(|it| it["settled"] == "forwarded").count())
}
