//! The end of a worker: it takes nothing more, and what runs ends, is handed over to the next one, or goes back.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use common::forge::StatusState;
use common::id::{CommitSha, RepoName};
use common::queue::Queue;
use lapin::options::QueueDeclareOptions;
use lapin::types::FieldTable;
use rustix::process::Signal;
use serde_json::{Value, json};
use tests::engine::Container;
use tests::fleet::{DEADLINE, Fleet, Setup, run_test_with};
use tests::wait::until;

use super::gate::{ELSEWHERE, ONE_RUN, TWO_RUNS, ends_as, no_claims, open_gate, quick, says, wait_for_line};
use super::repo;
use super::worker::{no_worker, wait_for_file};

const SECRET: &str = "[container.secrets]\nopen = [\"--volume=%{open}:/run/open:ro\"]\n\
                      [secrets.inline]\nopen = \"sesame\"\n";

/// What cannot be handed over has five seconds to end: who takes as long as that has handed nothing over.
const AT_ONCE: Duration = Duration::from_secs(4);

fn handing_over() -> Setup {
    Setup { config: SECRET.to_owned(), ..quick() }
}

/// Counts until somebody makes the branch `go`, then looks whether its secret is still there, and shows where it has come to.
async fn counting_job(fleet: &Fleet) -> Result<(RepoName, CommitSha)> {
    let script = "i=0\nuntil git ls-remote --exit-code origin refs/heads/go >/dev/null\ndo i=$((i+1)); echo \"line $i\"\ndone\n\
                  [ \"$(cat /run/open)\" = sesame ] && echo \"ended at $i\"";
    let repo = repo(fleet, script).await?;
    let tip = fleet.git.resolve("octo/app", "main").await?;
    let job = json!({"job": {"repo": "octo/app", "sha": tip, "context": "c", "secrets": ["open"]}});
    fleet.publish("public", &job.to_string()).await?;
    fleet.wait_for_container().await?;
    wait_for_line(fleet, "line 2").await?;
    Ok((repo, tip.parse()?))
}

/// Has the first worker end, which must take no time.
async fn hand_over(fleet: &mut Fleet, container: &[Container]) -> Result<()> {
    let asked = Instant::now();
    fleet.worker(0)?.signal(Signal::TERM)?;
    fleet.worker_ended(0).await?;
    let took = asked.elapsed();
    ensure!(took < AT_ONCE, "it took {took:?}");
    ensure!(fleet.engine.containers().await? == container, "its container runs on");
    ensure!(!fleet.secrets_in_memory()?.is_empty(), "with its secrets");
    Ok(())
}

async fn goes_on(fleet: &mut Fleet, number: usize) -> Result<()> {
    let goes_on = says("goes on with what another process has left");
    fleet.worker(number)?.wait_until("that it goes on with it", DEADLINE, goes_on).await
}

/// The end of a job that has lost nothing: told once, all of its log there and in its order, and nothing left.
async fn lost_nothing(fleet: &mut Fleet, repo: &RepoName, tip: &CommitSha) -> Result<()> {
    open_gate(fleet, repo, tip).await?;
    ends_as(fleet, repo, tip, &ONE_RUN).await?;
    let status = fleet.forge.wait_for_state(repo, tip, "c", StatusState::Success, DEADLINE).await?;
    let log = fleet.log_text(&status).await?;
    let last = log.lines().find_map(|it| it.strip_prefix("ended at ")).with_context(|| log.clone())?;
    let last: usize = last.parse()?;
    let lines = (1..=last).map(|it| format!("line {it}")).collect::<Vec<_>>().join("\n");
    let end = format!("\n{lines}\nended at {last}\n\nJob ran successfully.  :)\n");
    ensure!(log.ends_with(&end) && log.matches("line 1\n").count() == 1, "{log}");
    ensure!(log.matches("Cloning into").count() == 1 && log.matches("Running on:").count() == 1, "{log}");
    ensure!(fleet.take_dead().await?.is_empty());
    Ok(())
}

/// The attempt that the last worker has settled.
fn attempt(fleet: &mut Fleet) -> Result<Value> {
    let events = fleet.worker(0)?.events();
    let settled = events.iter().rev().find(|it| it["settled"] == "acked").context("not settled")?;
    Ok(settled["span"]["attempt"].clone())
}

#[tokio::test]
async fn a_rolling_upgrade_costs_a_job_nothing() {
    run_test_with(handing_over(), async |fleet: &mut Fleet| -> Result<()> {
        fleet.start_worker(&["execute", "--handover"]).await?;
        let (repo, tip) = counting_job(fleet).await?;
        let container = fleet.engine.containers().await?;
        for _ in 0..2 {
            hand_over(fleet, &container).await?;
            fleet.start_worker(&["execute", "--handover"]).await?;
            goes_on(fleet, 0).await?;
            assert_eq!(fleet.engine.containers().await?, container, "the same container");
        }
        lost_nothing(fleet, &repo, &tip).await?;
        assert_eq!(attempt(fleet)?, 1);
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn a_successor_that_is_there_already_goes_on_with_what_is_handed_over() {
    run_test_with(handing_over(), async |fleet: &mut Fleet| -> Result<()> {
        fleet.start_worker(&["execute", "--handover"]).await?;
        let (repo, tip) = counting_job(fleet).await?;
        let container = fleet.engine.containers().await?;
        for _ in 0..2 {
            fleet.start_worker(&["execute", "--handover"]).await?;
            fleet.worker(1)?.wait_until("that it works", DEADLINE, says("connected to the broker")).await?;
            hand_over(fleet, &container).await?;
            goes_on(fleet, 0).await?;
            assert_eq!(fleet.engine.containers().await?, container, "the same container");
        }
        lost_nothing(fleet, &repo, &tip).await?;
        assert_eq!(attempt(fleet)?, 1);
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn what_is_handed_over_and_nobody_takes_up_is_begun_elsewhere() {
    run_test_with(handing_over(), async |fleet: &mut Fleet| -> Result<()> {
        fleet.start_worker(&["execute", "--handover"]).await?;
        let (repo, tip) = counting_job(fleet).await?;
        let first = fleet.engine.containers().await?;
        fleet.start_worker(&ELSEWHERE).await?;
        hand_over(fleet, &first).await?;
        until("another container", async || Ok(fleet.engine.containers().await?.len() == 2)).await?;
        fleet.start_worker(&["execute"]).await?;
        let too_late = says("another worker has begun what was left here");
        fleet.worker(1)?.wait_until("that it is too late", DEADLINE, too_late).await?;
        let is_gone = async || Ok(!fleet.engine.containers().await?.iter().any(|it| first.contains(it)));
        until("the end of the first container", is_gone).await?;
        open_gate(fleet, &repo, &tip).await?;
        fleet.settle().await?;
        assert_eq!(fleet.statuses(&repo, &tip), TWO_RUNS);
        assert_eq!(attempt(fleet)?, 2);
        no_claims(fleet).await
    })
    .await;
}

/// A command that says when it runs, and ends when it is let.
async fn gated_command(fleet: &Fleet, name: &str) -> Result<std::path::PathBuf> {
    let (begun, gate) = (fleet.logs_dir().join(name), fleet.logs_dir().join(format!("{name}.gate")));
    let wait = format!("touch {}; while [ ! -e {} ]; do sleep 0.05; done", begun.display(), gate.display());
    fleet.publish("public", &json!({"command": wait}).to_string()).await?;
    wait_for_file(&begun).await?;
    Ok(gate)
}

#[tokio::test]
async fn what_cannot_be_handed_over_has_a_moment_and_goes_back() {
    let setup = Setup { execute: "slots = 2\n".to_owned(), ..handing_over() };
    run_test_with(setup, async |fleet: &mut Fleet| -> Result<()> {
        fleet.start_worker(&["execute", "--handover"]).await?;
        let short = gated_command(fleet, "short").await?;
        let long = gated_command(fleet, "long").await?;
        fleet.worker(0)?.signal(Signal::TERM)?;
        fleet.worker(0)?.wait_until("asked to end", DEADLINE, says("asked to end")).await?;
        std::fs::write(short, "")?;
        fleet.worker_ended(0).await?;
        assert_eq!(fleet.waiting().await?, [(Queue::Public, 1)], "one has ended, and one is back");
        std::fs::write(&long, "")?;
        fleet.start_worker(&["execute"]).await?;
        fleet.settle().await?;
        no_claims(fleet).await
    })
    .await;
}

#[tokio::test]
async fn a_second_signal_means_now_whatever_is_handed_over() {
    run_test_with(handing_over(), async |fleet: &mut Fleet| -> Result<()> {
        fleet.start_worker(&["execute", "--handover"]).await?;
        gated_command(fleet, "long").await?;
        let asked = Instant::now();
        fleet.worker(0)?.signal(Signal::TERM)?;
        fleet.worker(0)?.wait_until("asked to end", DEADLINE, says("asked to end")).await?;
        fleet.worker(0)?.signal(Signal::TERM)?;
        fleet.worker_ended(0).await?;
        ensure!(asked.elapsed() < AT_ONCE, "it took {:?}", asked.elapsed());
        assert_eq!(fleet.empty(&[Queue::Public]).await?, 1);
        no_claims(fleet).await
    })
    .await;
}

#[tokio::test]
async fn what_does_not_end_in_time_is_put_back() {
    let setup = Setup { roles: "drain-minutes = 0.02\n".to_owned(), ..quick() };
    run_test_with(setup, async |fleet: &mut Fleet| -> Result<()> {
        fleet.start_worker(&["execute"]).await?;
        gated_command(fleet, "long").await?;
        fleet.worker(0)?.signal(Signal::TERM)?;
        fleet.worker_ended(0).await?;
        assert_eq!(fleet.empty(&[Queue::Public]).await?, 1);
        no_claims(fleet).await
    })
    .await;
}

/// How many consumers the broker knows of this queue.
async fn consumers(channel: &lapin::Channel, queue: &str) -> Result<u32> {
    let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
    Ok(channel.queue_declare(queue.into(), passive, FieldTable::default()).await?.consumer_count())
}

#[tokio::test]
async fn a_worker_that_is_asked_to_end_is_out_of_the_queues_at_once() {
    let setup = Setup { execute: "slots = 3\n".to_owned(), ..no_worker() };
    run_test_with(setup, async |fleet: &mut Fleet| -> Result<()> {
        fleet.start_worker(&["execute"]).await?;
        let gates = [gated_command(fleet, "one").await?, gated_command(fleet, "two").await?];
        let client = fleet.bare_client().await?;
        let channel = client.create_channel().await?;
        assert_eq!(consumers(&channel, "public").await?, 3, "two are busy, and one waits");
        let asked = Instant::now();
        fleet.worker(0)?.signal(Signal::TERM)?;
        let is_out =
            async || Ok(consumers(&channel, "public").await? + consumers(&channel, "internal").await? == 0);
        until("the end of the intake", is_out).await?;
        let took = asked.elapsed();
        ensure!(took < Duration::from_secs(2), "it took {took:?}");
        // It is not given what comes now, nor when there is room again.
        fleet.publish("public", r#"{"command": "true"}"#).await?;
        for gate in gates {
            std::fs::write(gate, "")?;
        }
        fleet.worker_ended(0).await?;
        let session = fleet.session().await?;
        let received = session.take(Queue::Public).await?.context("the message is gone")?;
        assert!(!received.is_redelivered(), "nobody has had it");
        received.ack().await?;
        session.close().await;
        assert!(fleet.waiting().await?.is_empty());
        Ok(())
    })
    .await;
}
