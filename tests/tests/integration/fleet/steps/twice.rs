//! A message that comes twice: at once, and again when it is done.

use anyhow::Result;
use common::broker::{Headers, Outgoing};
use common::forge::StatusState;
use common::queue::{Priority, Queue};
use serde_json::{Value, json};
use tests::fleet::{DEADLINE, Fleet, Setup, run_test_with};
use tests::forge::Delivery;
use tests::wait::until_some;

use super::super::{change, repo};

/// A message that can be published again.
fn message(queue: Queue, body: &Value) -> Outgoing {
    let priority = (queue != Queue::Webhook).then_some(Priority::HIGH);
    Outgoing { queue, body: body.to_string().into(), priority, headers: Headers::fresh() }
}

async fn publish(fleet: &Fleet, message: &Outgoing, times: usize) -> Result<()> {
    let session = fleet.session().await?;
    session.declare(&[message.queue]).await?;
    let publisher = session.publisher().await?;
    for _ in 0..times {
        publisher.publish(message).await?;
    }
    session.close().await;
    Ok(())
}

fn by_hand() -> Setup {
    Setup { webhook: false, ..Setup::default() }
}

#[tokio::test]
async fn a_job_that_comes_twice_is_done_once() {
    run_test_with(by_hand(), async |fleet: &mut Fleet| -> Result<()> {
        let repo = repo(fleet, "exit 1").await?;
        let tip = fleet.git.resolve("octo/app", "main").await?;
        let job = |more: Value| {
            let mut job = json!({"repo": repo, "sha": tip, "report": {"title": "red"}});
            if let (Some(job), Some(more)) = (job.as_object_mut(), more.as_object()) {
                job.extend(more.clone());
            }
            message(Queue::Public, &json!({"job": job}))
        };
        // What brings its own command is done whenever it is asked for, but not for a copy of a message.
        for (context, job) in [
            ("plain", job(json!({"context": "plain"}))),
            ("own", job(json!({"context": "own", "slug": "own-1", "command": ["sh", "-c", "exit 1"]}))),
        ] {
            publish(fleet, &job, 2).await?;
            let (sha, red) = (tip.parse()?, StatusState::Failure);
            fleet.forge.wait_for_state(&repo, &sha, context, red, DEADLINE).await?;
            fleet.settle().await?;
            publish(fleet, &job, 1).await?;
            fleet.settle().await?;
            let mut statuses = fleet.statuses(&repo, &tip.parse()?);
            statuses.retain(|it| it.starts_with(context));
            let begun = format!("{context} pending: In progress [host]");
            assert_eq!(statuses, [begun, format!("{context} failure: Container exited with code 1 [host]")]);
        }
        assert_eq!(fleet.forge.issues(&repo)?.len(), 2, "one each");
        assert!(fleet.take_dead().await?.is_empty());
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn a_command_that_comes_twice_while_it_runs_is_run_once() {
    run_test_with(by_hand(), async |fleet: &mut Fleet| -> Result<()> {
        let (ran, go) = (fleet.logs_dir().join("ran"), fleet.logs_dir().join("go"));
        let command =
            format!("echo ran >> {}; until [ -e {} ]; do sleep 0.05; done", ran.display(), go.display());
        publish(fleet, &message(Queue::Public, &json!({"command": command})), 2).await?;
        let told = "the same work is under way; its owner is told";
        let told = |event: &Value| (event["message"] == told).then_some(());
        fleet.worker(0)?.wait_until("that it is under way", DEADLINE, told).await?;
        std::fs::write(&go, "")?;
        fleet.settle().await?;
        assert_eq!(std::fs::read_to_string(&ran)?, "ran\n");
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn an_event_that_comes_twice_leads_to_one_run() {
    run_test_with(by_hand(), async |fleet: &mut Fleet| -> Result<()> {
        let app = repo(fleet, "true").await?;
        let bots = fleet.create_repo("octo/bots", &change()).await?;
        let (pull, opened) = fleet.draft_pull("alice", &app, &change()).await?;
        let number = fleet.forge.next_number(&bots)?;
        fleet.forge.open_issue(&bots, "Refresh", "- [ ] image-refresh debian", "alice")?;
        let labeled = fleet.forge.label_issue(&bots, number, "bot")?;
        let event = |it: &Delivery| -> Result<Outgoing> {
            let payload: Value = serde_json::from_str(&it.payload)?;
            Ok(message(Queue::Webhook, &json!({"event": it.event.as_str(), "request": payload})))
        };
        let tip = fleet.git.resolve("octo/bots", "main").await?.parse()?;
        for _ in 0..2 {
            publish(fleet, &event(&opened)?, 1).await?;
            fleet.settle().await?;
        }
        let labeled = event(&labeled)?;
        for _ in 0..2 {
            publish(fleet, &labeled, 1).await?;
            fleet.settle().await?;
        }
        let begun = "debian pending: In progress [host]";
        assert_eq!(
            fleet.statuses(&app, &pull.sha),
            ["debian pending: Not yet tested", begun, "debian success: Success [host]"]
        );
        // There is no such program in that repository.
        let refreshed = until_some("the end of the refresh", async || {
            let statuses = fleet.statuses(&bots, &tip);
            Ok((statuses.len() >= 2).then_some(statuses))
        });
        assert_eq!(refreshed.await?.len(), 2, "it began once and ended once");
        Ok(())
    })
    .await;
}
