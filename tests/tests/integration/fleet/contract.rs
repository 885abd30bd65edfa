//! Whether a broker fits, as operators see it.

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use common::queue::Queue;
use lapin::Channel;
use lapin::options::{QueueDeclareOptions, QueueDeleteOptions};
use lapin::types::{AMQPValue, FieldTable};
use serde_json::json;
use tests::broker::{Memory, Permissions};
use tests::fleet::{DEADLINE, Fleet, Setup, run_test_with};

use super::with_own_broker;

fn nobody() -> Setup {
    Setup { worker: false, webhook: false, ..Setup::default() }
}

/// What a program says of the broker, and with which code it ends.
async fn check(fleet: &Fleet, program: &str, role: &[&str]) -> Result<(Option<i32>, String)> {
    let said = fleet.run_program(program, &[role, &["--check-broker"]].concat(), "").await?;
    Ok((said.code, format!("{}{}", said.out, said.err)))
}

/// The line of a table about this.
fn row<'a>(table: &'a str, what: &str) -> Result<&'a str> {
    let line = table.lines().find(|it| it.get(7..).is_some_and(|it| it.trim_start().starts_with(what)));
    line.with_context(|| format!("nothing of `{what}` in\n{table}"))
}

fn is(table: &str, what: &str, words: &[&str]) -> Result<()> {
    let row = row(table, what)?;
    for word in words {
        ensure!(row.contains(word), "no `{word}` in\n{row}\nof\n{table}");
    }
    Ok(())
}

async fn declare(channel: &Channel, queue: &str, arguments: FieldTable) -> Result<()> {
    channel.queue_declare(queue.into(), QueueDeclareOptions::durable(), arguments).await?;
    Ok(())
}

#[tokio::test]
async fn a_broker_that_fits_is_said_to_and_is_left_as_it_was() {
    run_test_with(nobody(), async |fleet: &mut Fleet| -> Result<()> {
        let (code, table) = check(fleet, "run-queue", &[]).await?;
        assert_eq!(code, Some(0), "{table}");
        assert!(table.starts_with("scan: the broker fits\n"), "{table}");
        assert!(table.contains("\nexecute: the broker fits\n"), "{table}");
        is(&table, "broker", &["ok", "RabbitMQ 3."])?;
        is(&table, "connection", &["TLS to 127.0.0.1:", "virtual host fleet-", "user cockpit-amqp"])?;
        is(&table, "queue public", &["ok", "not there, and will be made"])?;
        is(&table, "queues claim.*", &["ok", "may be made and read"])?;
        is(&table, "queues retry.public.*", &["ok", "may be made and read"])?;
        is(&table, "queues lock.*", &["ok", "may be made"])?;
        is(&table, "publish", &["ok", "stored and confirmed in "])?;
        is(&table, "alarm", &["ok", "none"])?;
        is(&table, "ack deadline", &["look", "consumer_timeout = 8700000", "rabbitmqctl eval"])?;
        assert_eq!(fleet.broker.queues(fleet.vhost()).await?, [""; 0], "nothing is left");

        fleet.publish("public", r#"{"command": "true"}"#).await?;
        let (code, table) = check(fleet, "run-queue", &["execute", "--queue", "public"]).await?;
        assert_eq!(code, Some(0), "{table}");
        is(&table, "queue public", &["ok", "1 messages wait, 0 consumers"])?;
        let session = fleet.session().await?;
        let untouched = session.take(Queue::Public).await?.context("it is gone")?;
        assert!(!untouched.is_redelivered(), "nobody was given it");
        untouched.ack().await?;
        let (code, table) = check(fleet, "webhook", &[]).await?;
        assert_eq!((code, table.lines().next()), (Some(0), Some("webhook: the broker fits")), "{table}");
        session.close().await;
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn queues_that_others_made_otherwise_are_told_with_the_argument() {
    run_test_with(nobody(), async |fleet: &mut Fleet| -> Result<()> {
        let client = fleet.bare_client().await?;
        let channel = client.create_channel().await?;
        let mut arguments = FieldTable::default();
        declare(&channel, "public", arguments.clone()).await?;
        arguments.insert("x-max-priority".into(), AMQPValue::LongInt(9));
        declare(&channel, "statistics", arguments.clone()).await?;
        declare(&channel, "rhel", arguments).await?;
        let mut quorum = FieldTable::default();
        quorum.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
        declare(&channel, "webhook", quorum).await?;
        let (code, table) = check(fleet, "run-queue", &[]).await?;
        assert_eq!(code, Some(1), "{table}");
        is(
            &table,
            "queue public",
            &["WRONG", "'x-max-priority'", "expected a durable classic queue, x-max-priority 9"],
        )?;
        is(&table, "queue statistics", &["WRONG", "'x-single-active-consumer'"])?;
        is(&table, "queue webhook", &["WRONG", "'x-queue-type'"])?;
        is(&table, "queue internal", &["look", "there is `rhel`: is broker.internal-queue to be \"rhel\"?"])?;

        // A worker says the same, takes nothing, and begins when that is mended.
        fleet.publish("internal", r#"{"command": "true"}"#).await?;
        fleet.start_worker(&["execute"]).await?;
        let wrong = |event: &serde_json::Value| {
            let is_it = event["message"] == "the broker does not fit" && event["what"] == "queue public";
            is_it.then_some(())
        };
        fleet.worker(0)?.wait_until("that it does not fit", DEADLINE, wrong).await?;
        let operators = fleet.worker(0)?.listening("operator endpoints").await?;
        let ready = reqwest::get(format!("http://{operators}/readyz")).await?;
        assert_eq!(ready.status(), 503);
        assert_eq!(
            ready.text().await?,
            "not ready: the broker does not fit, see the log or --check-broker\n"
        );
        assert_eq!(fleet.waiting().await?, [(Queue::Internal, 1)]);
        for queue in ["public", "statistics", "webhook", "rhel"] {
            channel.queue_delete(queue.into(), QueueDeleteOptions::default()).await?;
        }
        client.close(200, "done".into()).await?;
        fleet.settle().await
    })
    .await;
}

#[tokio::test]
async fn what_this_credential_may_not_do_is_told_before_any_work_is_taken() {
    run_test_with(nobody(), async |fleet: &mut Fleet| -> Result<()> {
        let vhost = fleet.vhost().to_owned();
        let session = fleet.session().await?;
        session.declare(&[Queue::Public, Queue::Dead]).await?;
        session.close().await;
        // The least that a worker for public tasks needs.
        let least = Permissions {
            configure: r"^(public|dead|(claim|generation)\.[0-9a-f]{32}|retry\.public\.[0-9]+)$",
            write: r"^amq\.default$",
            read: r"^(public|claim\.[0-9a-f]{32}|retry\.public\.[0-9]+)$",
        };
        let execute = ["execute", "--queue", "public"];
        for (permissions, wrong) in [
            (least, None),
            (Permissions { write: "^$", ..least }, Some(("publish", "write on amq.default"))),
            (
                Permissions { read: r"^(claim|retry)\..*$", ..least },
                Some(("queue public", "permission read")),
            ),
            (
                Permissions { configure: r"^(claim|generation|retry)\..*$", ..least },
                Some(("queue dead", "permission configure")),
            ),
            (
                Permissions { configure: "^(public|dead)$", ..least },
                Some(("queues claim.*", "may not be made by us")),
            ),
            (
                Permissions { configure: r"^(public|dead|(claim|retry)\..*)$", ..least },
                Some(("queues generation.*", "may not be made by us")),
            ),
            (
                Permissions { configure: r"^(public|dead|(claim|generation)\..*)$", ..least },
                Some(("queues retry.public.*", "may not be made by us")),
            ),
            (
                Permissions { read: r"^(public|retry\..*)$", ..least },
                Some(("queues claim.*", "permissions configure and read")),
            ),
        ] {
            fleet.broker.permit(&vhost, &permissions).await?;
            let (code, table) = check(fleet, "run-queue", &execute).await?;
            is(&table, "connection", &["user cockpit-amqp"])?;
            match wrong {
                None => {
                    assert_eq!(code, Some(0), "{table}");
                    is(&table, "publish", &["stored and confirmed"])?;
                }
                Some((what, words)) => {
                    assert_eq!(code, Some(1), "{permissions:?}:\n{table}");
                    is(&table, what, &["WRONG", words, "refused for user 'cockpit-amqp'"])?;
                }
            }
        }
        // With the least it works.
        fleet.broker.permit(&vhost, &least).await?;
        fleet.start_worker(&execute).await?;
        let task = json!({"command": "true"}).to_string();
        assert_eq!(fleet.run_program("publish-queue", &["-q", "public"], &task).await?.code, Some(0));
        let settled = |event: &serde_json::Value| (event["settled"] == "acked").then_some(());
        fleet.worker(0)?.wait_until("that it is done", DEADLINE, settled).await?;
        let receiver = Permissions { configure: "^webhook$", write: r"^amq\.default$", read: "^$" };
        fleet.broker.permit(&vhost, &receiver).await?;
        let (code, table) = check(fleet, "webhook", &[]).await?;
        assert_eq!(code, Some(0), "{table}");
        is(&table, "publish", &["ok", "not stored"])?;
        let all = Permissions { configure: ".*", write: ".*", read: ".*" };
        fleet.broker.permit(&vhost, &all).await
    })
    .await;
}

#[tokio::test]
async fn an_alarm_is_told_and_no_work_is_lost_by_it() {
    with_own_broker(nobody(), async |fleet: &mut Fleet| -> Result<()> {
        fleet.start_worker(&[]).await?;
        fleet.settle().await?;
        let address = fleet.worker(0)?.listening("operator endpoints").await?;
        // It is in a room when the alarm begins, and what the worker publishes of it meets the alarm.
        let session = fleet.session().await?;
        let message = common::broker::Outgoing {
            queue: Queue::Public,
            body: "garbage".into(),
            priority: None,
            headers: common::broker::Headers::fresh(),
        };
        session.publisher().await?.publish_later(&message, std::time::Duration::from_secs(4)).await?;
        fleet.broker.alarm(Memory::UsedUp).await?;
        let (code, table) = check(fleet, "run-queue", &["execute"]).await?;
        assert_eq!(code, Some(1), "{table}");
        is(&table, "alarm", &["WAIT", "memory", "takes no messages until that is over"])?;
        wait_for(&address, "flotilla_broker_blocked{role=\"Execute\"} 1").await?;
        let ready = reqwest::get(format!("http://{address}/readyz")).await?;
        assert_eq!(ready.status(), 503);
        assert_eq!(ready.text().await?, "not ready: the broker has an alarm and takes no messages\n");
        fleet.broker.alarm(Memory::Enough).await?;
        wait_for(&address, "flotilla_broker_blocked{role=\"Execute\"} 0").await?;
        let dead = fleet.wait_for_dead().await?;
        assert_eq!(dead.body, "garbage");
        fleet.settle().await?;
        assert_eq!(reqwest::get(format!("http://{address}/readyz")).await?.status(), 200);
        session.close().await;
        Ok(())
    })
    .await;
}

async fn wait_for(operators: &str, line: &str) -> Result<()> {
    let end = Instant::now() + DEADLINE;
    loop {
        let metrics = reqwest::get(format!("http://{operators}/metrics")).await?.text().await?;
        if metrics.lines().any(|it| it == line) {
            return Ok(());
        }
        ensure!(Instant::now() < end, "no {line} within {DEADLINE:?} in\n{metrics}");
    }
}

#[tokio::test]
async fn a_broker_that_is_not_there_does_not_fit() {
    run_test_with(nobody(), async |fleet: &mut Fleet| -> Result<()> {
        let (code, table) = check(fleet, "run-queue", &["execute", "--amqp", "127.0.0.1:1"]).await?;
        assert_eq!(code, Some(1), "{table}");
        is(&table, "connection", &["WRONG", "cannot connect to the broker at 127.0.0.1:1"])
    })
    .await;
}
