//! One run of a task, whatever breaks between the worker and the broker.

use anyhow::{Context as _, Result, bail, ensure};
use bytes::Bytes;
use common::broker::{ClaimKey, Claimed, Generation, Headers, Outgoing, Session, Take};
use common::queue::{Priority, Queue};
use tests::broker::Restart;
use tests::fleet::{DEADLINE, Fleet, Setup, run_test_with};
use tests::proxy::{Network, Proxy};
use tests::wait::{until, until_some};

use super::gate::{
    ONE_RUN, TWO_RUNS, ask, ends_as, gated_job, gated_job_that, no_claims, open_gate, quick, running_job,
    says, wait_for_another,
};
use super::with_own_broker;

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
        ends_as(fleet, &repo, &tip, &ONE_RUN).await?;
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
            let (repo, tip) = running_job(fleet, &["execute", "--amqp", proxy.address()]).await?;
            proxy.set(Network::Down);
            fleet
                .worker(0)?
                .wait_until("that the broker is lost", DEADLINE, says("the broker is lost"))
                .await?;
            open_gate(fleet, &repo, &tip).await?;
            proxy.set(Network::Open);
            fleet.worker(0)?.wait_until("that it is settled", DEADLINE, says("settled")).await?;
            ends_as(fleet, &repo, &tip, &ONE_RUN).await?;
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
            let (repo, tip) = running_job(fleet, &["execute", "--amqp", proxy.address()]).await?;
            // The other is there at once, and finds work that somebody has begun.
            fleet.start_worker(&["execute"]).await?;
            proxy.cut();
            fleet
                .worker(0)?
                .wait_until("that its message is back", DEADLINE, says("the message is back"))
                .await?;
            open_gate(fleet, &repo, &tip).await?;
            ends_as(fleet, &repo, &tip, &ONE_RUN).await?;
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
            let (repo, tip) = running_job(fleet, &["execute", "--amqp", proxy.address()]).await?;
            // The worker finds out by asking; the broker, by the heartbeats that it misses, has the old session for some time.
            proxy.strand();
            let worker = fleet.worker(0)?;
            let held = says(
                "the broker does not know yet that the last session is gone; the claim is asked for again",
            );
            worker.wait_until("that its old session has the claim", DEADLINE, held).await?;
            worker.wait_until("that it has its claim", DEADLINE, says("the claim is ours again")).await?;
            open_gate(fleet, &repo, &tip).await?;
            ends_as(fleet, &repo, &tip, &ONE_RUN).await
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
async fn who_is_cut_off_stops_before_another_begins_and_tells_nobody() {
    run_test_with(quick(), async |fleet: &mut Fleet| -> Result<()> {
        let proxy = Proxy::start(fleet.broker.address()).await?;
        let (repo, tip) = running_job(fleet, &["execute", "--amqp", proxy.address()]).await?;
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
        ends_as(fleet, &repo, &tip, &TWO_RUNS).await?;
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
        ends_as(fleet, &repo, &tip, &ONE_RUN).await?;
        Ok(())
    })
    .await;
}

/// It is out of the mailbox, and nobody has looked at it.
#[tokio::test]
async fn what_comes_to_a_claim_that_is_given_up_goes_back() {
    let setup = Setup { worker: false, webhook: false, ..Setup::default() };
    run_test_with(setup, async |fleet: &mut Fleet| -> Result<()> {
        let (owner, other) = (fleet.session().await?, fleet.session().await?);
        other.declare(&[Queue::Public]).await?;
        let publisher = other.publisher().await?;
        let headers = Headers::fresh();
        let key = ClaimKey::of_message(&headers.id);
        let Claimed::Ours(claim) = owner.claim(&key, Queue::Public, Take::Fresh).await? else {
            bail!("a new claim is another's")
        };
        for body in ["{}", "[]"] {
            let (body, priority) = (Bytes::from(body), Some(Priority::NORMAL));
            let message = Outgoing { queue: Queue::Public, body, priority, headers: headers.clone() };
            publisher.publish(&message).await?;
            let received = other.take(Queue::Public).await?.context("the message")?;
            received.forward(&other, &publisher, &key).await?;
        }
        let mailbox = format!("claim.{key}");
        until("that the mail is with the owner", async || Ok(other.depth_of(&mailbox).await? == 0)).await?;
        claim.release(&owner).await?;
        for body in ["{}", "[]"] {
            let received = until_some("the mail", async || Ok(other.take(Queue::Public).await?)).await?;
            assert_eq!(received.body(), body);
            received.ack().await?;
        }
        owner.close().await;
        other.close().await;
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn a_claim_is_taken_over_only_from_the_generation_that_was_waited_for() {
    let setup = Setup { worker: false, webhook: false, ..Setup::default() };
    run_test_with(setup, async |fleet: &mut Fleet| -> Result<()> {
        let key = ClaimKey::of_message(&Headers::fresh().id);
        let other = fleet.session().await?;
        let mut waited_for = Vec::new();
        // One begins it and is lost; it comes back twice, and is lost each time; another takes over from there, and is lost.
        for take in [Take::Fresh, Take::Back, Take::Back] {
            let owner = fleet.session().await?;
            let Claimed::Ours(_claim) = owner.claim(&key, Queue::Public, take).await? else {
                bail!("{take:?}")
            };
            if take == Take::Back {
                owner.begin_generation(&key).await?;
            }
            let held = other.claim(&key, Queue::Public, Take::Fresh).await?;
            assert!(matches!(held, Claimed::ByAnother), "{held:?}");
            owner.close().await;
            let generation = generation(&other, &key).await?;
            for before in &waited_for {
                let over = other.claim(&key, Queue::Public, Take::Over(*before)).await?;
                assert!(matches!(over, Claimed::Left(it) if it == generation), "{over:?}");
            }
            waited_for.push(generation);
        }
        let last = *waited_for.last().context("a generation")?;
        let Claimed::Ours(claim) = other.claim(&key, Queue::Public, Take::Over(last)).await? else {
            bail!("not taken over")
        };
        // What is claimed anew is not what was left, whether that was given up or forgotten.
        claim.release(&other).await?;
        lose(fleet, &key).await?;
        waited_for.push(generation(&other, &key).await?);
        other.forget_claim(&key).await?;
        lose(fleet, &key).await?;
        for before in waited_for {
            let over = other.claim(&key, Queue::Public, Take::Over(before)).await?;
            assert!(matches!(over, Claimed::Left(_)), "{over:?}");
        }
        other.forget_claim(&key).await?;
        other.close().await;
        no_claims(fleet).await
    })
    .await;
}

/// Claims anew, and is lost.
async fn lose(fleet: &Fleet, key: &ClaimKey) -> Result<()> {
    let owner = fleet.session().await?;
    let claimed = owner.claim(key, Queue::Public, Take::Fresh).await?;
    ensure!(matches!(claimed, Claimed::Ours(_)), "{claimed:?}");
    owner.close().await;
    Ok(())
}

/// Of a claim that is left.
async fn generation(session: &Session, key: &ClaimKey) -> Result<Generation> {
    match session.claim(key, Queue::Public, Take::Fresh).await? {
        Claimed::Left(generation) => Ok(generation),
        other => bail!("{other:?}"),
    }
}
