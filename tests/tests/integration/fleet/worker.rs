//! Workers: what operators see of them.

use anyhow::Result;
use common::forge::{NewStatus, StatusState};
use common::queue::Queue;
use lapin::BasicProperties;
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions, QueueDeleteOptions};
use lapin::types::{AMQPValue, FieldTable};
use rustix::process::Signal;
use serde_json::{Value, json};
use tests::fleet::{DEADLINE, Fleet, Setup, run_test, run_test_with};
use tests::wait::until;

use super::{change, repo};

pub(super) fn no_worker() -> Setup {
    Setup { worker: false, ..Setup::default() }
}

#[tokio::test]
async fn the_pull_of_a_stranger_waits_for_a_word() {
    run_test(async |fleet: &mut Fleet| -> Result<()> {
        let repo = repo(fleet, "true").await?;
        let pull = fleet.open_pull_as("mallory", &repo, &change()).await?;
        fleet.settle().await?;
        assert_eq!(fleet.statuses(&repo, &pull.sha), ["debian pending: Manual testing required"]);
        // A maintainer triggers it by hand, which the forge tells us as a status event.
        let status =
            NewStatus::new("debian".parse()?, StatusState::Pending, "Not yet tested (direct trigger)");
        fleet.deliver_ok(&fleet.forge.set_status(&repo, &pull.sha, status)?).await?;
        fleet.wait_for(&pull, "debian", StatusState::Success).await?;
        fleet.settle().await
    })
    .await;
}

#[tokio::test]
async fn a_context_can_be_asked_for_by_a_status() {
    run_test_with(no_worker(), async |fleet: &mut Fleet| -> Result<()> {
        let repo = repo(fleet, "true").await?;
        let (pull, _) = fleet.draft_pull("alice", &repo, &change()).await?;
        let status =
            NewStatus::new("rhel-9".parse()?, StatusState::Pending, "Not yet tested (direct trigger)");
        fleet.deliver_ok(&fleet.forge.set_status(&repo, &pull.sha, status)?).await?;
        let scanned = fleet.run_program("run-queue", &["scan", "--once"], "").await?;
        assert_eq!(scanned.code, Some(0), "{}", scanned.err);
        let tasks = fleet.inspect(&["-q", "internal"]).await?;
        let task: Value = serde_json::from_str(tasks.lines().nth(1).unwrap_or_default())?;
        assert_eq!((&task["job"]["context"], &task["job"]["pull"]), (&json!("rhel-9"), &json!(1)));
        assert!(fleet.inspect(&["--human"]).await?.contains("pull-1      rhel-9                    "));
        let executed =
            fleet.run_program("run-queue", &["execute", "--once", "--queue", "internal"], "").await?;
        assert_eq!(executed.code, Some(0), "{}", executed.err);
        fleet.wait_for(&pull, "rhel-9", StatusState::Success).await?;
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn once_takes_one_message_and_says_when_there_is_none() {
    run_test_with(no_worker(), async |fleet: &mut Fleet| -> Result<()> {
        let marker = fleet.logs_dir().join("marker");
        let command =
            |text: &str| json!({"command": format!("echo {text} >> {}", marker.display())}).to_string();
        fleet.publish("public", &command("one")).await?;
        fleet.publish("public", &command("two")).await?;
        for expected in ["one\n", "one\ntwo\n"] {
            assert_eq!(fleet.run_program("run-queue", &["--once"], "").await?.code, Some(0));
            assert_eq!(std::fs::read_to_string(&marker)?, expected);
        }
        assert_eq!(fleet.run_program("run-queue", &["--once"], "").await?.code, Some(1));
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn what_cannot_be_parsed_is_dead_at_once_and_the_next_is_done() {
    run_test(async |fleet: &mut Fleet| -> Result<()> {
        let marker = fleet.logs_dir().join("marker");
        let bad = [
            ("public", "", "not a JSON object"),
            ("public", "{\"job\": {\"repo\": \"o\"}}", "job.repo: "),
            ("internal", "{\"lease\": {}}", "no known kind of task"),
            ("statistics", "{\"command\": 1}", "command: "),
            (
                "webhook",
                "{\"event\": \"pull_request\", \"request\": {}}",
                "pull_request payload: missing field",
            ),
            ("webhook", "garbage", "not an event envelope"),
        ];
        for (queue, body, _) in bad {
            fleet.publish_raw(queue, body).await?;
        }
        let command = json!({"command": ["touch", marker.display().to_string()]});
        fleet.publish("public", &command.to_string()).await?;
        fleet.settle().await?;
        assert!(marker.exists());
        let shown = fleet.inspect(&["-q", "dead"]).await?;
        let dead = fleet.take_dead().await?;
        assert_eq!(dead.len(), bad.len(), "{dead:#?}");
        for (queue, body, reason) in bad {
            let found = dead.iter().find(|it| it.queue == queue && it.body == body);
            let found = found.ok_or_else(|| anyhow::anyhow!("{queue}: {body} is not dead: {dead:#?}"))?;
            assert!(found.reason.contains(reason) && found.attempt == 1, "{found:?}");
            assert!(shown.contains(reason), "{shown}");
        }
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn no_property_of_a_bad_message_does_harm() {
    run_test(async |fleet: &mut Fleet| -> Result<()> {
        // The worker may not have made its queues yet, and the bare client does not hear that there is none.
        fleet.session().await?.declare(&Queue::ALL).await?;
        let client = fleet.bare_client().await?;
        let channel = client.create_channel().await?;
        channel.confirm_select(ConfirmSelectOptions::default()).await?;
        let mut copies = FieldTable::default();
        copies.insert(
            "CC".into(),
            AMQPValue::FieldArray(vec![AMQPValue::LongString("internal".into())].into()),
        );
        let user = BasicProperties::default().with_user_id("cockpit-amqp".into());
        let evil = [
            user,
            BasicProperties::default().with_expiration("60000".into()),
            BasicProperties::default().with_headers(copies),
        ];
        for properties in evil {
            let options = BasicPublishOptions::default();
            let confirm =
                channel.basic_publish("".into(), "public".into(), options, b"garbage", properties).await?;
            confirm.await?;
        }
        fleet.settle().await?;
        // The copy that its sender asked for is a message like any other.
        assert_eq!(fleet.take_dead().await?.len(), 4);
        fleet.settle().await
    })
    .await;
}

#[tokio::test]
async fn a_queue_that_is_deleted_is_made_again() {
    run_test(async |fleet: &mut Fleet| -> Result<()> {
        fleet.settle().await?;
        let client = fleet.bare_client().await?;
        client.create_channel().await?.queue_delete("public".into(), QueueDeleteOptions::default()).await?;
        let marker = fleet.logs_dir().join("marker");
        fleet
            .publish("public", &json!({"command": ["touch", marker.display().to_string()]}).to_string())
            .await?;
        wait_for_file(&marker).await?;
        fleet.settle().await
    })
    .await;
}

#[tokio::test]
async fn urgent_tasks_go_first() {
    run_test_with(no_worker(), async |fleet: &mut Fleet| -> Result<()> {
        let marker = fleet.logs_dir().join("marker");
        let session = fleet.session().await?;
        session.declare(&Queue::ALL).await?;
        let publisher = session.publisher().await?;
        for (name, priority) in [("low", 1), ("normal", 5), ("high", 9), ("none", 0)] {
            let body = json!({"command": format!("echo {name} >> {}", marker.display())}).to_string();
            let message = common::broker::Outgoing {
                queue: Queue::Public,
                body: body.into(),
                priority: Some(common::queue::Priority::from_wire(priority)),
                headers: common::broker::Headers::fresh(),
            };
            publisher.publish(&message).await?;
        }
        session.close().await;
        fleet.start_worker(&["execute", "--slots", "1"]).await?;
        fleet.settle().await?;
        assert_eq!(std::fs::read_to_string(&marker)?, "high\nnormal\nlow\nnone\n");
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn a_slot_holds_one_task_whatever_number_of_queues_it_serves() {
    run_test_with(no_worker(), async |fleet: &mut Fleet| -> Result<()> {
        let gate = fleet.logs_dir().join("gate");
        let wait =
            json!({"command": format!("while [ ! -e {} ]; do sleep 0.05; done", gate.display())}).to_string();
        for queue in ["public", "internal", "statistics"] {
            fleet.publish(queue, &wait).await?;
        }
        fleet.start_worker(&["execute", "--slots", "1"]).await?;
        let taken = |event: &Value| (event["message"] == "settled").then_some(());
        // Two wait in their queues while one runs.
        let waiting = async {
            loop {
                if fleet.waiting().await?.iter().map(|it| it.1).sum::<u32>() == 2 {
                    return anyhow::Ok(());
                }
            }
        };
        tokio::time::timeout(DEADLINE, waiting).await??;
        std::fs::write(&gate, "")?;
        fleet.worker(0)?.wait_until("settled", DEADLINE, taken).await?;
        fleet.settle().await
    })
    .await;
}

#[tokio::test]
async fn a_worker_that_is_asked_to_end_ends_its_task_first_and_takes_no_other() {
    run_test_with(no_worker(), async |fleet: &mut Fleet| -> Result<()> {
        let (begun, gate) = (fleet.logs_dir().join("begun"), fleet.logs_dir().join("gate"));
        let wait =
            format!("touch {}; while [ ! -e {} ]; do sleep 0.05; done", begun.display(), gate.display());
        fleet.publish("public", &json!({"command": wait}).to_string()).await?;
        fleet.start_worker(&["execute", "--slots", "1"]).await?;
        wait_for_file(&begun).await?;
        fleet.worker(0)?.signal(Signal::TERM)?;
        let asked = |event: &Value| (event["message"] == "asked to end").then_some(());
        fleet.worker(0)?.wait_until("asked to end", DEADLINE, asked).await?;
        fleet.publish("public", r#"{"command": "true"}"#).await?;
        std::fs::write(&gate, "")?;
        fleet.worker_ended(0).await?;
        assert_eq!(fleet.waiting().await?, [(Queue::Public, 1)]);
        fleet.start_worker(&["execute"]).await?;
        fleet.settle().await
    })
    .await;
}

#[tokio::test]
async fn a_second_signal_puts_the_task_back_and_leaves_nothing() {
    run_test_with(no_worker(), async |fleet: &mut Fleet| -> Result<()> {
        let repo = repo(fleet, "if [ ! -e /run/second ]; then sleep 1000; fi").await?;
        let tip = fleet.git.resolve("octo/app", "main").await?;
        let job = json!({"job": {"repo": "octo/app", "sha": tip, "context": "c"}});
        fleet.publish("public", &job.to_string()).await?;
        fleet.start_worker(&["execute"]).await?;
        let running = |it: &tests::forge::StatusRecord| {
            it.description.as_deref().is_some_and(|it| it.starts_with("In progress"))
        };
        fleet.forge.wait_for_status(&repo, &tip.parse()?, "c", DEADLINE, running).await?;
        fleet.wait_for_container().await?;
        fleet.worker(0)?.signal(Signal::TERM)?;
        let asked = |event: &Value| (event["message"] == "asked to end").then_some(());
        fleet.worker(0)?.wait_until("asked to end", DEADLINE, asked).await?;
        fleet.worker(0)?.signal(Signal::TERM)?;
        fleet.worker_ended(0).await?;
        assert_eq!(fleet.engine.containers().await?.len(), 0);
        assert_eq!(fleet.waiting().await?, [(Queue::Public, 1)]);
        assert_eq!(
            fleet.statuses(&repo, &tip.parse()?),
            ["c pending: In progress [host]"],
            "nobody was told anything"
        );
        let session = fleet.session().await?;
        if let Some(received) = session.take(Queue::Public).await? {
            received.ack().await?;
        }
        session.close().await;
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn a_forge_in_trouble_delays_but_loses_nothing() {
    run_test(async |fleet: &mut Fleet| -> Result<()> {
        let repo = repo(fleet, "true").await?;
        fleet.forge.fail_next(3, 503);
        let pull = fleet.open_pull(&repo, &change()).await?;
        fleet.wait_for(&pull, "debian", StatusState::Success).await?;
        fleet.settle().await
    })
    .await;
}

#[tokio::test]
async fn operators_see_a_worker() {
    run_test(async |fleet: &mut Fleet| -> Result<()> {
        fleet.publish("public", r#"{"command": "exit 1"}"#).await?;
        fleet.settle().await?;
        let address = fleet.worker(0)?.listening("operator endpoints").await?;
        assert_eq!(reqwest::get(format!("http://{address}/readyz")).await?.status(), 200);
        let metrics = reqwest::get(format!("http://{address}/metrics")).await?.text().await?;
        let line = "flotilla_deliveries_settled_total{role=\"Execute\",settled=\"Acked\"} 1";
        assert!(metrics.contains(line), "{metrics}");
        Ok(())
    })
    .await;
}

pub(super) async fn wait_for_file(file: &std::path::Path) -> Result<()> {
    until(&file.display().to_string(), async || Ok(file.exists())).await
}
