//! One run of a task, whatever breaks between the worker and the broker.

use anyhow::{Context, Result, ensure};
use common::forge::StatusState;
use common::id::{CommitSha, RepoName};
use serde_json::{Value, json};
use tests::broker::Restart;
use tests::engine::Container;
use tests::fleet::{DEADLINE, Fleet, Setup, run_test_with};
use tests::proxy::{Network, Proxy};

use super::{repo, with_own_broker};

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
async fn gated_job_that(fleet: &Fleet, ends: &str) -> Result<(RepoName, CommitSha)> {
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
async fn wait_for_another(fleet: &Fleet, first: &[Container]) -> Result<()> {
    let another = async {
        loop {
            let now = fleet.engine.containers().await?;
            let (old, new): (Vec<_>, Vec<_>) = now.into_iter().partition(|it| first.contains(it));
            if !new.is_empty() {
                ensure!(old.is_empty(), "both run: {old:?} {new:?}");
                return Ok(());
            }
        }
    };
    tokio::time::timeout(DEADLINE, another).await?
}

pub(super) fn says(words: &'static str) -> impl Fn(&Value) -> Option<()> {
    move |event| (event["message"] == words).then_some(())
}

pub(super) const ONE_RUN: [&str; 2] = ["c pending: In progress [host]", "c success: Success [host]"];
pub(super) const TWO_RUNS: [&str; 3] =
    ["c pending: In progress [host]", "c pending: In progress [host]", "c success: Success [host]"];

#[tokio::test]
async fn a_job_runs_on_while_the_broker_dies_and_comes_back() {
    with_own_broker(Setup::default(), async |fleet: &mut Fleet| -> Result<()> {
        let (repo, tip) = gated_job(fleet).await?;
        fleet.wait_for_container().await?;
        fleet.broker.sync().await?;
        fleet.broker.kill()?;
        fleet.worker(0)?.wait_until("that the broker is lost", DEADLINE, says("the broker is lost")).await?;
        fleet.broker.restart(Restart::Hard).await?;
        fleet
            .worker(0)?
            .wait_until("that it has its claim", DEADLINE, says("the claim is ours again"))
            .await?;
        open_gate(fleet, &repo, &tip).await?;
        fleet.settle().await?;
        assert_eq!(fleet.statuses(&repo, &tip), ONE_RUN);
        no_claims(fleet).await?;
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn a_job_that_ends_while_the_broker_is_away_is_settled_when_it_is_back() {
    run_test_with(
        quick_proxied("fence-seconds = 60\ntakeover-seconds = 75\n"),
        async |fleet: &mut Fleet| -> Result<()> {
            let proxy = Proxy::start(fleet.broker.address()).await?;
            fleet.start_worker(&["execute", "--amqp", proxy.address()]).await?;
            let (repo, tip) = gated_job(fleet).await?;
            fleet.wait_for_container().await?;
            proxy.set(Network::Down);
            fleet
                .worker(0)?
                .wait_until("that the broker is lost", DEADLINE, says("the broker is lost"))
                .await?;
            open_gate(fleet, &repo, &tip).await?;
            proxy.set(Network::Open);
            fleet.worker(0)?.wait_until("that it is settled", DEADLINE, says("settled")).await?;
            fleet.settle().await?;
            assert_eq!(fleet.statuses(&repo, &tip), ONE_RUN);
            no_claims(fleet).await?;
            Ok(())
        },
    )
    .await;
}

fn quick_proxied(times: &str) -> Setup {
    Setup { execute: format!("slots = 1\npoll-seconds = 0.2\n{times}"), ..quick() }
}

#[tokio::test]
async fn another_worker_brings_the_message_back_to_the_one_who_runs_it() {
    run_test_with(
        quick_proxied("fence-seconds = 15\ntakeover-seconds = 18\n"),
        async |fleet: &mut Fleet| -> Result<()> {
            let proxy = Proxy::start(fleet.broker.address()).await?;
            fleet.start_worker(&["execute", "--amqp", proxy.address()]).await?;
            let (repo, tip) = gated_job(fleet).await?;
            fleet.wait_for_container().await?;
            // The other is there at once, and finds work that somebody has begun.
            fleet.start_worker(&["execute"]).await?;
            proxy.cut();
            fleet
                .worker(0)?
                .wait_until("that its message is back", DEADLINE, says("the message is back"))
                .await?;
            open_gate(fleet, &repo, &tip).await?;
            fleet.settle().await?;
            assert_eq!(fleet.statuses(&repo, &tip), ONE_RUN);
            no_claims(fleet).await?;
            let others = fleet.worker(1)?.events();
            let settled: Vec<_> = others.iter().filter_map(|it| it["settled"].as_str()).collect();
            assert!(settled.iter().all(|it| ["forwarded", "awaited"].contains(it)), "{settled:?}");
            Ok(())
        },
    )
    .await;
}

#[tokio::test]
async fn who_is_back_before_the_broker_misses_it_goes_on() {
    run_test_with(
        quick_proxied("fence-seconds = 60\ntakeover-seconds = 75\n"),
        async |fleet: &mut Fleet| -> Result<()> {
            let proxy = Proxy::start(fleet.broker.address()).await?;
            fleet.start_worker(&["execute", "--amqp", proxy.address()]).await?;
            let (repo, tip) = gated_job(fleet).await?;
            fleet.wait_for_container().await?;
            // The worker finds out by asking; the broker, by the heartbeats that it misses, has the old session for some time.
            proxy.strand();
            let worker = fleet.worker(0)?;
            let held = says(
                "the broker does not know yet that the last session is gone; the claim is asked for again",
            );
            worker.wait_until("that its old session has the claim", DEADLINE, held).await?;
            worker.wait_until("that it has its claim", DEADLINE, says("the claim is ours again")).await?;
            open_gate(fleet, &repo, &tip).await?;
            fleet.settle().await?;
            assert_eq!(fleet.statuses(&repo, &tip), ONE_RUN);
            no_claims(fleet).await
        },
    )
    .await;
}

#[tokio::test]
async fn an_outage_that_a_job_outlives_costs_no_attempt() {
    let setup = Setup {
        roles: "attempts = 2\nretry-seconds = 0.2\n".to_owned(),
        ..quick_proxied("fence-seconds = 8\ntakeover-seconds = 11\n")
    };
    run_test_with(setup, async |fleet: &mut Fleet| -> Result<()> {
        let proxy = Proxy::start(fleet.broker.address()).await?;
        fleet.start_worker(&["execute", "--amqp", proxy.address()]).await?;
        let (repo, tip) = gated_job_that(fleet, "exit 121").await?;
        fleet.wait_for_container().await?;
        fleet.start_worker(&["execute"]).await?;
        fleet
            .worker(1)?
            .wait_until("that it is connected", DEADLINE, says("connected to the broker"))
            .await?;
        proxy.set(Network::Down);
        let waits = says("somebody has begun this and is gone; given time to come back");
        fleet.worker(1)?.wait_until("that it gives time", DEADLINE, waits).await?;
        proxy.set(Network::Open);
        let back = says("the message is back");
        fleet.worker(0)?.wait_until("that its message is back", DEADLINE, back).await?;
        fleet.git.branch("octo/app", "go", "main").await?;
        let dead = fleet.wait_for_dead().await?;
        assert!(dead.reason.starts_with("out of attempts"), "{dead:?}");
        fleet.settle().await?;
        assert_eq!(
            fleet.statuses(&repo, &tip),
            [
                "c pending: In progress [host]",
                "c error: Internal error [host]",
                "c pending: In progress [host]",
                "c error: Internal error, out of attempts [host]"
            ]
        );
        no_claims(fleet).await
    })
    .await;
}

#[tokio::test]
async fn a_job_that_has_lost_its_workers_is_told_as_an_error() {
    let setup = Setup { roles: "attempts = 1\n".to_owned(), ..quick() };
    run_test_with(setup, async |fleet: &mut Fleet| -> Result<()> {
        fleet.start_worker(&["execute"]).await?;
        let (repo, tip) = gated_job(fleet).await?;
        fleet.wait_for_container().await?;
        // As on another host: what the first has left of all of its queues is not for this one.
        fleet.start_worker(&["execute", "--queue", "public"]).await?;
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
async fn who_is_cut_off_stops_before_another_begins_and_tells_nobody() {
    run_test_with(quick(), async |fleet: &mut Fleet| -> Result<()> {
        let proxy = Proxy::start(fleet.broker.address()).await?;
        fleet.start_worker(&["execute", "--amqp", proxy.address()]).await?;
        let (repo, tip) = gated_job(fleet).await?;
        fleet.wait_for_container().await?;
        let first = fleet.engine.containers().await?;
        fleet.start_worker(&["execute"]).await?;
        proxy.set(Network::Down);
        fleet
            .worker(1)?
            .wait_until(
                "that it gives time",
                DEADLINE,
                says("somebody has begun this and is gone; given time to come back"),
            )
            .await?;
        fleet.worker(0)?.wait_until("that it stops", DEADLINE, says("stopped")).await?;
        // The second begins when the first has long ended.
        wait_for_another(fleet, &first).await?;
        proxy.set(Network::Open);
        open_gate(fleet, &repo, &tip).await?;
        fleet.settle().await?;
        assert_eq!(fleet.statuses(&repo, &tip), TWO_RUNS);
        no_claims(fleet).await?;
        let begun = fleet.worker(1)?.events();
        let attempt = begun.iter().rev().find(|it| it["settled"] == "acked").context("not settled")?;
        assert_eq!(attempt["span"]["attempt"], 2, "{attempt}");
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn two_workers_that_are_asked_for_the_same_run_it_once() {
    run_test_with(quick(), async |fleet: &mut Fleet| -> Result<()> {
        fleet.start_worker(&["execute"]).await?;
        let (repo, tip) = gated_job(fleet).await?;
        fleet.wait_for_container().await?;
        fleet.start_worker(&["execute"]).await?;
        for _ in 0..3 {
            ask(fleet, &tip.to_string()).await?;
        }
        let told = says("the same work is under way; its owner is told");
        fleet.worker(1)?.wait_until("that the same work is under way", DEADLINE, told).await?;
        open_gate(fleet, &repo, &tip).await?;
        fleet.settle().await?;
        assert_eq!(fleet.statuses(&repo, &tip), ONE_RUN);
        no_claims(fleet).await?;
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
        assert!(dead.reason.starts_with("out of attempts"), "{dead:?}");
        fleet.settle().await?;
        no_claims(fleet).await
    })
    .await;
}

#[tokio::test]
async fn a_worker_that_is_killed_and_started_again_goes_on_with_its_job() {
    run_test_with(quick(), async |fleet: &mut Fleet| -> Result<()> {
        fleet.start_worker(&["execute"]).await?;
        let (repo, tip) = gated_job(fleet).await?;
        fleet.wait_for_container().await?;
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
        fleet.settle().await?;
        assert_eq!(fleet.statuses(&repo, &tip), ONE_RUN);
        no_claims(fleet).await?;
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
        let both = async {
            while forwarded(fleet)? < 2 {
                tokio::task::yield_now().await;
            }
            anyhow::Ok(())
        };
        tokio::time::timeout(DEADLINE, both).await??;
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
        fleet.start_worker(&["execute"]).await?;
        let (repo, tip) = gated_job(fleet).await?;
        fleet.wait_for_container().await?;
        fleet.kill_worker(0).await?;
        fleet.git.branch("octo/app", "go", "main").await?;
        let ended = async {
            let list = ["ps", "--all", "--quiet", "--filter=status=exited", "--filter=label=flotilla.task"];
            while fleet.engine.run(&list).await?.is_empty() {}
            anyhow::Ok(())
        };
        tokio::time::timeout(DEADLINE, ended).await??;
        fleet.start_worker(&["execute"]).await?;
        fleet.forge.wait_for_state(&repo, &tip, "c", StatusState::Success, DEADLINE).await?;
        fleet.settle().await?;
        assert_eq!(fleet.statuses(&repo, &tip), ONE_RUN);
        no_claims(fleet).await?;
        whole_log(fleet, &repo, &tip).await
    })
    .await;
}

#[tokio::test]
async fn who_comes_back_too_late_removes_its_container() {
    run_test_with(quick(), async |fleet: &mut Fleet| -> Result<()> {
        fleet.start_worker(&["execute"]).await?;
        let (repo, tip) = gated_job(fleet).await?;
        fleet.wait_for_container().await?;
        let first = fleet.engine.containers().await?;
        // As on another host: what the first has left of all of its queues is not for this one.
        fleet.start_worker(&["execute", "--queue", "public"]).await?;
        fleet.kill_worker(0).await?;
        let two = async {
            while fleet.engine.containers().await?.len() < 2 {}
            anyhow::Ok(())
        };
        tokio::time::timeout(DEADLINE, two).await??;
        fleet.start_worker(&["execute"]).await?;
        let too_late = says("another worker has begun what was left here");
        fleet.worker(1)?.wait_until("that it is too late", DEADLINE, too_late).await?;
        let gone = async {
            while fleet.engine.containers().await?.iter().any(|it| first.contains(it)) {}
            anyhow::Ok(())
        };
        tokio::time::timeout(DEADLINE, gone).await??;
        open_gate(fleet, &repo, &tip).await?;
        fleet.settle().await?;
        assert_eq!(fleet.statuses(&repo, &tip), TWO_RUNS);
        no_claims(fleet).await?;
        whole_log(fleet, &repo, &tip).await
    })
    .await;
}

#[tokio::test]
async fn who_comes_back_when_another_has_ended_its_job_tells_nobody() {
    run_test_with(quick(), async |fleet: &mut Fleet| -> Result<()> {
        fleet.start_worker(&["execute"]).await?;
        let (repo, tip) = gated_job(fleet).await?;
        fleet.wait_for_container().await?;
        // As on another host: what the first has left of all of its queues is not for this one.
        fleet.start_worker(&["execute", "--queue", "public"]).await?;
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

/// Waits until no container is left.
async fn gone(fleet: &Fleet) -> Result<()> {
    let gone = async {
        while !fleet.engine.containers().await?.is_empty() {}
        anyhow::Ok(())
    };
    tokio::time::timeout(DEADLINE, gone).await.context("a container is left")?
}

/// How many messages the first worker has handed on.
fn forwarded(fleet: &mut Fleet) -> Result<usize> {
    Ok(fleet.worker(0)?.events().iter().filter(|it| it["settled"] == "forwarded").count())
}

/// Waits until every claim is given up.
pub(super) async fn no_claims(fleet: &Fleet) -> Result<()> {
    let given_up = async {
        while fleet.broker.queues(fleet.vhost()).await?.iter().any(|it| it.starts_with("claim.")) {}
        anyhow::Ok(())
    };
    tokio::time::timeout(DEADLINE, given_up).await.context("a claim is left")?
}

/// Waits until the container of the job has printed this.
pub(super) async fn wait_for_line(fleet: &Fleet, line: &str) -> Result<()> {
    let printed = async {
        loop {
            let container = fleet.engine.containers().await?;
            let name = container.first().context("no container")?.name.clone();
            if fleet.engine.run(&["logs", &name]).await?.lines().any(|it| it == line) {
                return Ok(());
            }
        }
    };
    tokio::time::timeout(DEADLINE, printed).await?
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
