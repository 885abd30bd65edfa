//! Messages in `dead`: what is known of them, and how operators bring them back.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use common::broker::{Headers, Outgoing, Received, Session};
use common::queue::Queue;
use futures_util::{StreamExt, TryStreamExt, stream};
use lapin::message::Delivery;
use lapin::options::{BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel};
use serde_json::{Value, json};
use tests::fleet::{DEADLINE, Fleet, Setup, binary, run_test_with};

const OLD: &str = r#"{"command": "true", "human": "an old program's"}"#;

fn nobody() -> Setup {
    Setup { worker: false, webhook: false, ..Setup::default() }
}

/// As an old program publishes, with something beside it that we do not know.
async fn publish_old(channel: &Channel) -> Result<()> {
    let mut headers = FieldTable::default();
    headers.insert("x-of-tomorrow".into(), AMQPValue::LongInt(7));
    let properties =
        BasicProperties::default().with_priority(5).with_correlation_id("c".into()).with_headers(headers);
    let (options, body) = (BasicPublishOptions::default(), OLD.as_bytes());
    channel.basic_publish("".into(), "public".into(), options, body, properties).await?.await?;
    Ok(())
}

async fn come(session: &Session) -> Result<Received> {
    let end = Instant::now() + DEADLINE;
    loop {
        if let Some(received) = session.take(Queue::Public).await? {
            return Ok(received);
        }
        ensure!(Instant::now() < end, "nothing came");
    }
}

async fn take_bare(channel: &Channel, queue: &str) -> Result<Delivery> {
    let got = channel.basic_get(queue.into(), BasicGetOptions { no_ack: true }).await?;
    Ok(got.with_context(|| format!("{queue} is empty"))?.delivery)
}

/// What `inspect-queue` says of the dead.
async fn shown(fleet: &Fleet) -> Result<Vec<Value>> {
    let shown = fleet.inspect(&["-q", "dead"]).await?;
    let objects = shown.lines().filter(|it| it.starts_with('{'));
    objects.map(|it| serde_json::from_str(it).context("not JSON")).collect()
}

#[tokio::test]
async fn what_is_dead_goes_back_as_it_was_and_begins_anew() {
    run_test_with(nobody(), async |fleet: &mut Fleet| -> Result<()> {
        let session = fleet.session().await?;
        session.declare(&Queue::ALL).await?;
        let publisher = session.publisher().await?;
        let client = fleet.bare_client().await?;
        let channel = client.create_channel().await?;
        channel.confirm_select(ConfirmSelectOptions::default()).await?;
        publish_old(&channel).await?;

        // Its attempts are counted though it brings no id: that is a digest of what it says.
        let first = come(&session).await?;
        let id = first.headers().id.to_string();
        first.retry(&publisher, Duration::ZERO, "the first reason").await?;
        let second = come(&session).await?;
        assert_eq!((second.headers().id.as_str(), second.headers().attempt.number()), (id.as_str(), 2));
        second.bury(&publisher, "out of attempts: the second reason").await?;
        fleet.publish("dead", "first by hand").await?;
        fleet.publish("dead", "then by hand").await?;

        let dead = shown(fleet).await?;
        let (it, by_hand) = (&dead[0], &dead[1]);
        assert_eq!((&it["id"], &it["queue"], &it["attempts"]), (&json!(id), &json!("public"), &json!(2)));
        assert_eq!(it["reason"], "out of attempts: the second reason");
        assert_eq!(it["message"]["human"], "an old program's");
        assert_eq!(it["headers"]["x-of-tomorrow"], 7);
        let history = it["history"][0].as_str().context("no history")?;
        let host = common::hostname();
        assert!(history.starts_with(&format!("attempt 1 on {host} at 20")), "{history}");
        assert!(history.ends_with("Z: the first reason"), "{history}");
        assert!(it["buried"].as_str().context("buried")?.ends_with('Z'), "{it}");
        let human = fleet.inspect(&["-q", "dead", "--human"]).await?;
        assert!(
            human.contains("attempt 2: out of attempts: the second reason] an old program's\n"),
            "{human}"
        );

        let unknown = fleet.run_program("publish-queue", &["--from-dead", "nobody"], "").await?;
        assert_eq!(unknown.code, Some(1));
        assert!(unknown.err.contains("no message `nobody` in `dead`"), "{}", unknown.err);
        let back = fleet.run_program("publish-queue", &["--from-dead", &id], "").await?;
        assert_eq!(back.code, Some(0), "{}", back.err);
        let order: Vec<_> = shown(fleet).await?.into_iter().map(|it| it["message"].clone()).collect();
        assert_eq!(order, [json!("first by hand"), json!("then by hand")]);

        let again = take_bare(&channel, "public").await?;
        assert_eq!(again.data, OLD.as_bytes());
        let properties = &again.properties;
        assert_eq!((*properties.priority(), *properties.delivery_mode()), (Some(5), Some(2)));
        assert!(properties.correlation_id().as_ref().is_some_and(|it| it.as_str() == "c"));
        let headers = properties.headers().as_ref().context("headers")?.inner();
        assert_eq!(headers.get("x-of-tomorrow"), Some(&AMQPValue::LongInt(7)));
        assert_eq!(headers.get("x-flotilla-attempt"), Some(&AMQPValue::LongLongInt(1)));
        let Some(AMQPValue::FieldArray(history)) = headers.get("x-flotilla-history") else {
            anyhow::bail!("{headers:?}");
        };
        assert_eq!(history.as_slice().len(), 2);
        let left = ["x-flotilla-reason", "x-flotilla-queue", "x-flotilla-buried-at", "x-death"];
        assert!(left.iter().all(|it| !headers.contains_key(*it)), "{headers:?}");

        // Where the others came from nobody knows.
        let refused = fleet.run_program("publish-queue", &["--from-dead", "all"], "").await?;
        assert_eq!(refused.code, Some(2));
        assert!(refused.err.contains("2 of the messages in `dead`"), "{}", refused.err);
        let id = by_hand["id"].as_str().context("id")?;
        let dropped = fleet.run_program("publish-queue", &["--drop-dead", id], "").await?;
        assert_eq!(dropped.code, Some(0), "{}", dropped.err);
        let arguments = ["--from-dead", "all", "--queue", "internal"];
        let moved = fleet.run_program("publish-queue", &arguments, "").await?;
        assert_eq!(moved.code, Some(0), "{}", moved.err);
        assert_eq!(take_bare(&channel, "internal").await?.data, b"then by hand");
        assert_eq!(fleet.waiting().await?, []);
        client.close(200, "done".into()).await?;
        session.close().await;
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn who_is_killed_while_putting_ten_thousand_back_loses_none() {
    const MESSAGES: usize = 10_000;
    run_test_with(nobody(), async |fleet: &mut Fleet| -> Result<()> {
        let session = fleet.session().await?;
        session.declare(&Queue::ALL).await?;
        let publisher = session.publisher().await?;
        let publish = |number: usize| {
            let body = format!("{number:05} {}", "x".repeat(1000)).into();
            let message = Outgoing { queue: Queue::Dead, body, priority: None, headers: Headers::fresh() };
            let publisher = publisher.clone();
            async move { publisher.publish(&message).await }
        };
        stream::iter(0..MESSAGES).map(publish).buffered(200).try_collect::<Vec<_>>().await?;

        let arguments = ["--from-dead", "all", "--queue", "webhook"];
        let mut command = tokio::process::Command::new(binary("publish-queue")?);
        command.args(arguments).arg("--config").arg(fleet.config_file());
        let mut killed = command.kill_on_drop(true).spawn()?;
        let end = Instant::now() + DEADLINE;
        while session.depth(Queue::Webhook).await? < 2000 {
            ensure!(Instant::now() < end, "nothing is put back");
        }
        killed.kill().await?;
        let returned = session.depth(Queue::Webhook).await?;
        assert!(usize::try_from(returned)? < MESSAGES, "it was killed too late");

        let mut rest = command.spawn()?;
        let id = rest.id().context("a process")?;
        let mut most = 0;
        while rest.try_wait()?.is_none() {
            most = most.max(memory(id).unwrap_or_default());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert!(rest.wait().await?.success());
        assert!((1..60_000).contains(&most), "{most} kB");
        let mut bodies = BTreeSet::new();
        let mut taken = 0;
        let client = fleet.bare_client().await?;
        let channel = client.create_channel().await?;
        while let Ok(delivery) = take_bare(&channel, "webhook").await {
            bodies.insert(String::from_utf8_lossy(&delivery.data).chars().take(5).collect::<String>());
            taken += 1;
        }
        client.close(200, "done".into()).await?;
        assert_eq!(bodies.len(), MESSAGES, "none is lost");
        assert!(taken <= MESSAGES + 1, "{taken}: at most the one that was under way is there twice");
        assert_eq!(fleet.waiting().await?, []);
        session.close().await;
        Ok(())
    })
    .await;
}

/// The most that a process has had, in kB.
fn memory(id: u32) -> Option<u32> {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    let most = status.lines().find_map(|it| it.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB"));
    most?.parse().ok()
}
