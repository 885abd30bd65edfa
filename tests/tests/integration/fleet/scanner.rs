//! Events become tasks.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use common::forge::{NewStatus, StatusState};
use common::queue::Queue::{self, Internal, Public, Statistics};
use serde_json::{Value, json};
use tests::fleet::{Fleet, Setup, run_test_with};
use tests::forge::{Delivery, Field};

use super::{change, repo};

const DIRECT: &str = "Not yet tested (direct trigger)";

/// Nobody executes, so that what is queued can be looked at; scanning is done by hand.
fn by_hand() -> Setup {
    Setup { worker: false, ..Setup::default() }
}

/// A scanner that works by itself, and nobody who executes.
async fn start_scanner(fleet: &mut Fleet) -> Result<()> {
    fleet.start_worker(&["scan"]).await
}

/// Has one event scanned.
async fn scan(fleet: &Fleet) -> Result<()> {
    let said = fleet.run_program("run-queue", &["scan", "--once"], "").await?;
    ensure!(said.code == Some(0), "{}", said.err);
    Ok(())
}

/// Has an event sent and scanned.
async fn happens(fleet: &Fleet, delivery: &Delivery) -> Result<()> {
    fleet.deliver_ok(delivery).await?;
    scan(fleet).await
}

/// Takes what is in a queue.
async fn take(fleet: &Fleet, queue: Queue) -> Result<Vec<Value>> {
    let session = fleet.session().await?;
    session.declare(&[queue]).await?;
    let mut tasks = Vec::new();
    while let Some(received) = session.take(queue).await? {
        tasks.push(serde_json::from_slice(received.body())?);
        received.ack().await?;
    }
    session.close().await;
    Ok(tasks)
}

#[tokio::test]
async fn late_doubled_and_swapped_events_lead_to_where_the_last_leads() {
    run_test_with(by_hand(), async |fleet: &mut Fleet| -> Result<()> {
        let repo = repo(fleet, "true").await?;
        let (pull, opened) = fleet.draft_pull("alice", &repo, &change()).await?;
        let second = "2".repeat(40).parse()?;
        let pushed = fleet.forge.push(&repo, pull.number, &second)?;
        let third = "3".repeat(40).parse()?;
        let pushed_again = fleet.forge.push(&repo, pull.number, &third)?;
        for event in [&pushed_again, &pushed, &opened, &pushed] {
            happens(fleet, event).await?;
        }
        assert_eq!(fleet.statuses(&repo, &third), ["debian pending: Not yet tested"]);
        assert_eq!(fleet.statuses(&repo, &second).len() + fleet.statuses(&repo, &pull.sha).len(), 0);
        for task in take(fleet, Public).await? {
            assert_eq!(task["job"]["sha"], third.as_str());
        }
        // One that comes after the end of the pull leads to nothing.
        fleet.forge.close(&repo, pull.number)?;
        happens(fleet, &pushed_again).await?;
        assert_eq!(take(fleet, Public).await?, [] as [Value; 0]);
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn an_event_is_tasks_within_four_request_times() {
    let contexts: Vec<_> = (0..30).map(|it| format!("debian/{it}")).collect();
    let scan = format!("allow-list = [\"alice\"]\n[scan.test-map.\"octo/app\"]\nmain = {contexts:?}\n");
    run_test_with(Setup { scan, ..by_hand() }, async |fleet: &mut Fleet| -> Result<()> {
        let repo = repo(fleet, "true").await?;
        let (pull, opened) = fleet.draft_pull("alice", &repo, &change()).await?;
        let delay = Duration::from_secs(1);
        fleet.forge.delay(delay);
        happens(fleet, &opened).await?;
        let requests = fleet.forge.requests();
        assert_eq!(requests.len(), 32, "{requests:#?}");
        let (first, last) = (requests.first().context("requests")?, requests.last().context("requests")?);
        // The first was answered after one.
        let all = last.at.duration_since(first.at).unsigned_abs() + delay;
        assert!(all < delay * 4, "{all:?}");
        let tasks = take(fleet, Public).await?;
        let queued: Vec<_> =
            tasks.iter().map(|it| it["job"]["context"].as_str().unwrap_or_default()).collect();
        assert_eq!(queued, contexts);
        assert_eq!(fleet.statuses(&repo, &pull.sha).len(), 30);
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn a_context_can_name_bots_and_another_repository() {
    run_test_with(
        Setup { scan: "allow-list = [\"alice\"]\nbots-repo = \"octo/bots\"\n".to_owned(), ..by_hand() },
        async |fleet: &mut Fleet| -> Result<()> {
            let repo = repo(fleet, "true").await?;
            let bots = fleet.create_repo("octo/bots", &change()).await?;
            let (bots_pull, _) = fleet.draft_pull("alice", &bots, &[]).await?;
            let (pull, _) = fleet.draft_pull("alice", &repo, &change()).await?;
            let context = format!("debian/x@bots#{}@gitea:o/other/stable", bots_pull.number);
            let status = NewStatus::new(context.parse()?, StatusState::Pending, DIRECT);
            happens(fleet, &fleet.forge.set_status(&repo, &pull.sha, status)?).await?;
            let tasks = take(fleet, Public).await?;
            let job = &tasks[0]["job"];
            assert_eq!(job["env"]["COCKPIT_BOTS_REF"], bots_pull.sha.as_str());
            assert_eq!(
                job["command_subject"],
                json!({"forge": "gitea", "repo": "o/other", "branch": "stable"})
            );
            assert_eq!(
                (&job["env"]["TEST_SCENARIO"], &job["env"]["BASE_BRANCH"]),
                (&json!("x"), &json!("stable"))
            );
            Ok(())
        },
    )
    .await;
}

#[tokio::test]
async fn an_issue_asks_for_what_its_check_list_says() {
    run_test_with(by_hand(), async |fleet: &mut Fleet| -> Result<()> {
        let bots = fleet.create_repo("octo/bots", &change()).await?;
        let app = repo(fleet, "true").await?;
        let forge = &fleet.forge;
        let body = "Please:\r\n\r\n```\r\n* [ ] image-refresh code\r\n```\r\n+ [X] done\r\n+ [ ] image-refresh rhel-9\r\n";
        let opened = forge.open_issue(&bots, "Refresh", body, "alice")?;
        happens(fleet, &opened).await?;
        assert_eq!(take(fleet, Internal).await?, [] as [Value; 0], "it has no label");
        let number = forge.issues(&bots)?[0].number;
        happens(fleet, &forge.label_issue(&bots, number, "bot")?).await?;
        let tasks = take(fleet, Internal).await?;
        let job = &tasks[0]["job"];
        assert_eq!((job["context"].as_str(), job["pull"].as_u64()), (Some("image-refresh/rhel-9"), None));
        let command = ["./image-refresh", "--verbose", "--issue=1", "rhel-9"];
        assert_eq!((&job["command"], &job["secrets"]), (&json!(command), &json!(["github-token", "image-upload"])));
        assert_eq!(tasks[0]["human"], "issue-1 image-refresh rhel-9 main");
        let title = forge.edit_issue(&bots, number, Field::Title, "Another title")?;
        happens(fleet, &title).await?;
        assert_eq!(take(fleet, Internal).await?, [] as [Value; 0], "its body is as it was");
        let text = forge.edit_issue(&bots, number, Field::Body, "- [ ] image-refresh debian")?;
        happens(fleet, &text).await?;
        assert_eq!(take(fleet, Public).await?[0]["job"]["context"], "image-refresh/debian");
        forge.close_issue(&bots, number)?;
        happens(fleet, &text).await?;
        assert_eq!(take(fleet, Public).await?, [] as [Value; 0], "it is closed");
        let elsewhere = forge.open_issue(&app, "Refresh", "- [ ] image-refresh debian", "alice")?;
        let before = forge.requests().len();
        happens(fleet, &elsewhere).await?;
        assert_eq!(forge.requests().len(), before, "nothing can be asked for there");
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn a_pull_asks_for_what_its_check_list_says() {
    run_test_with(by_hand(), async |fleet: &mut Fleet| -> Result<()> {
        let bots = fleet.create_repo("octo/bots", &change()).await?;
        let (pull, _) = fleet.draft_pull("alice", &bots, &change()).await?;
        let text = fleet.forge.edit(&bots, pull.number, Field::Body, "* [ ] image-refresh debian")?;
        happens(fleet, &text).await?;
        assert_eq!(take(fleet, Public).await?, [] as [Value; 0], "it has no label");
        happens(fleet, &fleet.forge.label(&bots, pull.number, "bot")?).await?;
        let tasks = take(fleet, Public).await?;
        let job = &tasks[0]["job"];
        assert_eq!((job["sha"].as_str(), job["pull"].as_u64()), (Some(pull.sha.as_str()), Some(1)));
        assert_eq!(tasks[0]["human"], "issue-1 image-refresh debian pull/1/head");
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn the_results_of_a_merged_pull_are_wanted() {
    run_test_with(by_hand(), async |fleet: &mut Fleet| -> Result<()> {
        let repo = repo(fleet, "true").await?;
        let (pull, _) = fleet.draft_pull("alice", &repo, &change()).await?;
        happens(fleet, &fleet.forge.merge(&repo, pull.number)?).await?;
        let tasks = take(fleet, Statistics).await?;
        assert_eq!(tasks[0]["statistics"]["sha"], pull.sha.as_str());
        Ok(())
    })
    .await;
    let scan =
        "merged-pull-command = \"./store-tests --repo %{repo} %{sha} && ./prometheus-stats\"\n".to_owned();
    run_test_with(Setup { scan, ..by_hand() }, async |fleet: &mut Fleet| -> Result<()> {
        let repo = repo(fleet, "true").await?;
        let (pull, _) = fleet.draft_pull("alice", &repo, &change()).await?;
        happens(fleet, &fleet.forge.merge(&repo, pull.number)?).await?;
        let command = format!("./store-tests --repo octo/app {} && ./prometheus-stats", pull.sha);
        assert_eq!(take(fleet, Statistics).await?, [json!({ "command": command })]);
        Ok(())
    })
    .await;
}

/// A `pull_request` event that was changed by hand.
fn changed(event: &Delivery, place: &str, value: Value) -> Result<String> {
    let mut payload: Value = serde_json::from_str(&event.payload)?;
    *payload.pointer_mut(place).with_context(|| place.to_owned())? = value;
    Ok(json!({"event": event.event.as_str(), "request": payload}).to_string())
}

#[tokio::test]
async fn bad_events_are_dead_or_harmless_and_the_next_is_dealt_with_at_once() {
    run_test_with(by_hand(), async |fleet: &mut Fleet| -> Result<()> {
        let repo = repo(fleet, "true").await?;
        let (pull, opened) = fleet.draft_pull("alice", &repo, &change()).await?;
        let status = |context: &str, description: &str| {
            json!({"event": "status", "request": {
                "sha": pull.sha, "context": context, "state": "pending", "description": description,
                "repository": {"full_name": repo},
            }})
            .to_string()
        };
        let deep = "[".repeat(10_000) + &"]".repeat(10_000);
        let long = format!("{}(direct trigger)", "é".repeat(50_000));
        let dead = [
            (changed(&opened, "/pull_request/head", json!({}))?, "pull_request.head"),
            (changed(&opened, "/pull_request/number", json!("1"))?, "pull_request.number"),
            (changed(&opened, "/pull_request/labels", json!(["x"]))?, "pull_request.labels"),
            (changed(&opened, "/repository/full_name", json!("../app"))?, "repository.full_name"),
            (changed(&opened, "/repository/full_name", json!("octo/.."))?, "repository.full_name"),
            (changed(&opened, "/pull_request/base/ref", json!("a..b"))?, "pull_request.base.ref"),
            (format!("{{\"event\": \"pull_request\", \"request\": {deep}}}"), "pull_request payload"),
            (format!("{{\"event\": {deep}, \"request\": {{}}}}"), "not an event envelope"),
            (status("", DIRECT), "context"),
            (status(&"@".repeat(1000), DIRECT), "context"),
            (json!({"event": "issues", "request": {"action": "opened"}}).to_string(), "issue"),
        ];
        let harmless = [
            status("@", DIRECT),
            status(&"@".repeat(200), DIRECT),
            status("/slow", DIRECT),
            status("debian@../etc", DIRECT),
            status("debian\\..", DIRECT),
            status("debian", &"x".repeat(100_000)),
            json!({"event": "deployment", "request": {"x": 1}}).to_string(),
            json!({"event": "issues", "request": {
                "action": "labeled", "repository": {"full_name": repo}, "issue": {"number": 1, "labels": [{}, {"name": null}]},
            }})
            .to_string(),
            changed(&opened, "/action", json!("größer 🚢"))?,
        ];
        // Whose fork is gone, and who writes in another script.
        let pulls = [
            changed(&opened, "/pull_request/head/repo", Value::Null)?,
            changed(&opened, "/pull_request/labels", json!([{}, {"name": null}, {"name": "Ω"}]))?,
            changed(&opened, "/pull_request/title", json!("größer 🚢 \u{202e}"))?,
            changed(&opened, "/pull_request/user", Value::Null)?,
            status("debian/größer 🚢", &long),
        ];
        for body in dead.iter().map(|(body, _)| body).chain(&harmless).chain(&pulls) {
            fleet.publish_raw("webhook", body).await?;
        }
        start_scanner(fleet).await?;
        wait_for_empty_webhook(fleet).await?;
        let found = fleet.take_dead().await?;
        for (body, reason) in &dead {
            let it = found.iter().find(|it| it.body == *body).with_context(|| format!("{body} is not dead"))?;
            assert!(it.reason.contains(reason), "{reason}: {it:?}");
        }
        assert_eq!(found.len(), dead.len(), "{found:#?}");
        let (good, event) = fleet.draft_pull("alice", &repo, &change()).await?;
        fleet.deliver_ok(&event).await?;
        fleet.wait_for(&good, "debian", StatusState::Pending).await?;
        wait_for_empty_webhook(fleet).await?;
        let settled: Vec<_> = fleet.worker(0)?.events().into_iter().filter(|it| it["message"] == "settled").collect();
        assert!(!fleet.worker(0)?.said().contains("begins anew"), "a slot lost its channel");
        let longest = settled.iter().filter_map(|it| it["duration_ms"].as_str()?.parse::<u64>().ok()).max();
        assert!(longest.is_some_and(|it| it < 1000), "{settled:#?}");
        let contexts: Vec<_> = take(fleet, Public).await?.iter().map(|it| it["job"]["context"].clone()).collect();
        assert_eq!(contexts.iter().filter(|it| *it == "debian").count(), 5, "{contexts:?}");
        assert_eq!(contexts.iter().filter(|it| *it == "debian/größer 🚢").count(), 1, "{contexts:?}");
        assert_eq!(contexts.len(), 6, "{contexts:?}");
        Ok(())
    })
    .await;
}

/// Waits until a scanner has dealt with all events.
async fn wait_for_empty_webhook(fleet: &mut Fleet) -> Result<()> {
    let session = fleet.session().await?;
    let end = std::time::Instant::now() + tests::fleet::DEADLINE;
    loop {
        let waiting = session.depth(Queue::Webhook).await?;
        if waiting == 0 && fleet.busy().await? == 0 {
            session.close().await;
            return Ok(());
        }
        ensure!(std::time::Instant::now() < end, "{waiting} events are not dealt with");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
