//! Work that is stale when it is taken, or that somebody else does or has done.

use anyhow::{Context, Result};
use common::forge::{NewStatus, StatusState};
use serde_json::{Value, json};
use tests::fleet::{DEADLINE, Fleet, Setup, run_test, run_test_with};
use tests::git::File;

use super::{change, repo};

fn no_worker() -> Setup {
    Setup { worker: false, ..Setup::default() }
}

/// Turns one event into tasks.
async fn scan(fleet: &Fleet) -> Result<()> {
    let scanned = fleet.run_program("run-queue", &["scan", "--once"], "").await?;
    assert_eq!(scanned.code, Some(0), "{}", scanned.err);
    Ok(())
}

#[tokio::test]
async fn a_push_ends_the_jobs_that_wait_for_older_commits() {
    run_test_with(no_worker(), async |fleet: &mut Fleet| -> Result<()> {
        let repo = repo(fleet, "cat README").await?;
        let first = fleet.open_pull(&repo, &[File::new("README", "first\n")]).await?;
        scan(fleet).await?;
        let second = fleet.push(&first, &[File::new("README", "second\n")]).await?;
        scan(fleet).await?;
        let third = fleet.push(&second, &[File::new("README", "third\n")]).await?;
        scan(fleet).await?;
        fleet.start_worker(&["execute"]).await?;
        let status = fleet.wait_for(&third, "debian", StatusState::Success).await?;
        assert!(fleet.log_text(&status).await?.contains("third\n"));
        fleet.settle().await?;
        for old in [&first, &second] {
            let story = ["debian pending: Not yet tested", "debian failure: octo/app#1 changed [host]"];
            assert_eq!(fleet.statuses(&repo, &old.sha), story, "it never began");
            let status = fleet.wait_for(old, "debian", StatusState::Failure).await?;
            let log = fleet.log_text(&status).await?;
            assert!(log.ends_with("\n*** Failure: octo/app#1 changed\n"), "{log}");
            assert!(!log.contains("Image:") && log.contains("Not run"), "{log}");
        }
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn the_order_of_the_events_does_not_matter() {
    run_test_with(no_worker(), async |fleet: &mut Fleet| -> Result<()> {
        let repo = repo(fleet, "true").await?;
        let (first, opened) = fleet.draft_pull("alice", &repo, &change()).await?;
        let sha = fleet.git.extend_pull(repo.as_str(), first.number.get(), &[File::new("X", "x\n")]).await?;
        let pushed = fleet.forge.push(&repo, first.number, &sha.parse()?)?;
        let second = tests::fleet::Pull { sha: sha.parse()?, ..first.clone() };
        for delivery in [&pushed, &opened, &pushed] {
            fleet.deliver_ok(delivery).await?;
        }
        fleet.start_worker(&[]).await?;
        fleet.wait_for(&second, "debian", StatusState::Success).await?;
        fleet.settle().await?;
        let ends = |sha| fleet.statuses(&repo, sha).last().cloned().unwrap_or_default();
        assert_eq!(ends(&second.sha), "debian success: Success [host]");
        // The forge's own words for the older commit may have been lost: what matters is that it is not green.
        let first_ends = ends(&first.sha);
        assert!(
            ["", "debian failure: octo/app#1 changed [host]"].contains(&first_ends.as_str()),
            "{first_ends}"
        );
        let runs = fleet.statuses(&repo, &second.sha).iter().filter(|it| it.contains("In progress")).count();
        assert_eq!(runs, 1);
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn jobs_of_a_closed_pull_do_not_begin() {
    run_test_with(no_worker(), async |fleet: &mut Fleet| -> Result<()> {
        let repo = repo(fleet, "true").await?;
        let pull = fleet.open_pull(&repo, &change()).await?;
        scan(fleet).await?;
        fleet.forge.close(&repo, pull.number)?;
        fleet.start_worker(&["execute"]).await?;
        fleet.settle().await?;
        let story = ["debian pending: Not yet tested", "debian failure: octo/app#1 is closed [host]"];
        assert_eq!(fleet.statuses(&repo, &pull.sha), story);
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn a_job_for_a_commit_does_not_care_what_became_of_a_pull() {
    run_test(async |fleet: &mut Fleet| -> Result<()> {
        let repo = repo(fleet, "cat README").await?;
        let old = fleet.open_pull(&repo, &[File::new("README", "old\n")]).await?;
        fleet.wait_for(&old, "debian", StatusState::Success).await?;
        fleet.push(&old, &[File::new("README", "new\n")]).await?;
        fleet.settle().await?;
        fleet.forge.close(&repo, old.number)?;
        let by_hand = json!({"job": {"repo": repo, "sha": old.sha, "pull": null, "context": "by-hand"}});
        fleet.publish("public", &by_hand.to_string()).await?;
        let status = fleet.wait_for(&old, "by-hand", StatusState::Success).await?;
        assert!(fleet.log_text(&status).await?.contains("old\n"));
        // The command's own pull is none of the job's.
        let elsewhere = json!({"job": {
            "repo": repo, "sha": old.sha, "context": "elsewhere",
            "command_subject": {"forge": "", "repo": repo, "pull": old.number},
        }});
        fleet.publish("public", &elsewhere.to_string()).await?;
        let status = fleet.wait_for(&old, "elsewhere", StatusState::Success).await?;
        assert!(fleet.log_text(&status).await?.contains("new\n"));
        fleet.settle().await
    })
    .await;
}

#[tokio::test]
async fn stale_work_that_reports_nothing_leaves_nothing() {
    run_test(async |fleet: &mut Fleet| -> Result<()> {
        let repo = repo(fleet, "true").await?;
        let pull = fleet.open_pull(&repo, &change()).await?;
        fleet.wait_for(&pull, "debian", StatusState::Success).await?;
        fleet.forge.close(&repo, pull.number)?;
        let job = json!({"job": {"repo": repo, "sha": pull.sha, "pull": pull.number, "slug": "quiet"}});
        fleet.publish("public", &job.to_string()).await?;
        let stale = |event: &Value| (event["message"] == "the job is stale; nothing is run").then_some(());
        fleet.worker(0)?.wait_until("that it is stale", DEADLINE, stale).await?;
        fleet.settle().await?;
        assert!(!fleet.logs_dir().join("quiet").exists());
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn a_pull_that_there_never_was_is_nobodys_red_test() {
    run_test(async |fleet: &mut Fleet| -> Result<()> {
        let repo = repo(fleet, "true").await?;
        let tip = fleet.git.resolve("octo/app", "main").await?;
        let job = json!({"job": {"repo": repo, "sha": tip, "pull": 99, "target": "main", "context": "c"}});
        fleet.publish("public", &job.to_string()).await?;
        let dead = fleet.wait_for_dead().await?;
        assert!(dead.reason.contains("pulls/99") && dead.attempt == 1, "{dead:?}");
        assert_eq!(fleet.statuses(&repo, &tip.parse()?), ["c error: Internal error [host]"]);
        fleet.settle().await
    })
    .await;
}

#[tokio::test]
async fn work_that_has_a_verdict_is_not_done_again() {
    run_test(async |fleet: &mut Fleet| -> Result<()> {
        let repo = repo(fleet, "true").await?;
        let tip = fleet.git.resolve("octo/app", "main").await?;
        let sha = tip.parse()?;
        let red = NewStatus::new("red".parse()?, StatusState::Failure, "as somebody said");
        fleet.forge.set_status(&repo, &sha, red)?;
        for context in ["red", "green", "green"] {
            let job = json!({"job": {"repo": repo, "sha": tip, "context": context, "slug": context}});
            fleet.publish("public", &job.to_string()).await?;
            fleet.settle().await?;
        }
        let story = [
            "red failure: as somebody said",
            "green pending: In progress [host]",
            "green success: Success [host]",
        ];
        assert_eq!(fleet.statuses(&repo, &sha), story);
        assert!(!fleet.logs_dir().join("red").exists(), "no log for what does not run");
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn two_messages_for_the_same_work_at_once_are_one_run() {
    run_test_with(no_worker(), async |fleet: &mut Fleet| -> Result<()> {
        let gate = "while ! git ls-remote --exit-code origin refs/heads/go; do :; done";
        let repo = repo(fleet, &format!("{gate} > /dev/null")).await?;
        let tip = fleet.git.resolve("octo/app", "main").await?;
        // The forge by its name and as the default one, and on different queues: the same work.
        let job = |forge: &str| json!({"job": {"repo": repo, "forge": forge, "sha": tip, "context": "c"}});
        fleet.publish("public", &job("").to_string()).await?;
        fleet.publish("internal", &job("github").to_string()).await?;
        fleet.start_worker(&["execute", "--slots", "2"]).await?;
        let waits = |event: &Value| {
            let reason = event["reason"].as_str()?;
            (event["message"] == "has to wait").then(|| reason.to_owned())
        };
        let reason = fleet.worker(0)?.wait_until("that one has to wait", DEADLINE, waits).await?;
        assert!(reason.contains("the same work"), "{reason}");
        fleet.wait_for_container().await?;
        fleet.git.branch("octo/app", "go", "main").await?;
        fleet.settle().await?;
        let story = ["c pending: In progress [host]", "c success: Success [host]"];
        assert_eq!(fleet.statuses(&repo, &tip.parse()?), story);
        let events = fleet.worker(0)?.events();
        let acked = events.iter().filter(|it| it["settled"] == "acked").count();
        assert_eq!(acked, 2, "the second found the verdict");
        events.iter().find(|it| it["settled"] == "delayed").context("one had to wait")?;
        Ok(())
    })
    .await;
}
