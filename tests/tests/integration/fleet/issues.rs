//! Issues about jobs that failed: one each, whatever gets lost.

use anyhow::Result;
use common::forge::StatusState;
use serde_json::json;
use tests::fleet::{DEADLINE, Fleet, run_test_with};
use tests::forge::Fault;

use super::reports::{BEGUN, Gated, RED, patience, wait_for_message};

#[tokio::test]
async fn lost_answers_neither_double_an_issue_nor_turn_statuses_around() {
    run_test_with(patience(60.0), async |fleet: &mut Fleet| -> Result<()> {
        // For the first status, the last one, and the issue.
        for _ in 0..2 {
            fleet.forge.fault_on("POST /repos/octo/app/statuses", 1, &Fault::Lost);
        }
        fleet.forge.fault_on("POST /repos/octo/app/issues", 1, &Fault::Lost);
        fleet.forge.fault_on("GET /repos/octo/app/issues", 2, &Fault::status(503));
        let job = Gated::begin(fleet, 1, json!({"body": "Look at this."})).await?;
        Gated::open(fleet).await?;
        job.wait_for(fleet, StatusState::Failure).await?;
        fleet.settle().await?;
        let mut statuses = job.statuses(fleet);
        statuses.dedup();
        assert_eq!(statuses, [BEGUN, RED]);
        let issues = fleet.forge.issues(&job.repo)?;
        assert_eq!(issues.len(), 1, "{issues:?}");
        assert_eq!(issues[0].title, "c failed");
        assert!(issues[0].body.starts_with("Look at this.\n\n<!-- flotilla: "), "{}", issues[0].body);
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn a_worker_that_dies_about_an_issue_leaves_one() {
    // The forge has not opened it, or has, and the worker never hears of it.
    for fault in [Fault::Reset, Fault::Lost] {
        run_test_with(patience(3600.0), async |fleet: &mut Fleet| -> Result<()> {
            let job = Gated::begin(fleet, 1, json!({"title": "once"})).await?;
            fleet.forge.go_away("POST /repos/octo/app/issues", &fault);
            Gated::open(fleet).await?;
            let opens = |it: &tests::forge::Recorded| it.method == "POST" && it.path.ends_with("/issues");
            fleet.forge.wait_for_request(DEADLINE, opens).await?;
            fleet.kill_worker(0).await?;
            fleet.forge.come_back();
            fleet.start_worker(&["execute"]).await?;
            fleet.settle().await?;
            assert_eq!(job.statuses(fleet), [BEGUN, RED], "it ran once");
            assert_eq!(fleet.forge.issues(&job.repo)?.len(), 1);
            Ok(())
        })
        .await;
    }
}

#[tokio::test]
async fn a_repository_that_has_no_issues_does_not_keep_a_job() {
    run_test_with(patience(60.0), async |fleet: &mut Fleet| -> Result<()> {
        let job = Gated::begin(fleet, 1, json!({})).await?;
        fleet.forge.fault_on("issues", 1, &Fault::status(410));
        Gated::open(fleet).await?;
        job.wait_for(fleet, StatusState::Failure).await?;
        fleet.settle().await?;
        assert!(fleet.take_dead().await?.is_empty());
        wait_for_message(fleet, 0, "an issue cannot be opened; it is left at that").await
    })
    .await;
}

#[tokio::test]
async fn the_same_job_asked_for_twice_has_one_issue() {
    run_test_with(patience(60.0), async |fleet: &mut Fleet| -> Result<()> {
        let job = Gated::begin(fleet, 1, json!({"body": "Look."})).await?;
        Gated::open(fleet).await?;
        job.wait_for(fleet, StatusState::Failure).await?;
        let again =
            json!({"job": {"repo": job.repo, "sha": job.sha, "context": "c", "slug": "once", "report": {}}});
        fleet.publish("public", &again.to_string()).await?;
        fleet.settle().await?;
        assert_eq!(job.statuses(fleet), [BEGUN, RED]);
        assert_eq!(fleet.forge.issues(&job.repo)?.len(), 1);
        Ok(())
    })
    .await;
}
