//! A worker whose disk is full.

use anyhow::Result;
use common::forge::StatusState;
use tests::disk::Disk;
use tests::fleet::{DEADLINE, Fleet, Setup, run_test_with};

use super::{change, repo};

/// Its messages go where there is room, and none of them is dead by it.
#[tokio::test]
async fn a_worker_without_room_begins_nothing_and_costs_no_attempt() -> Result<()> {
    let Some(disk) = Disk::make()? else {
        eprintln!("skipped: only root can make a small disk");
        return Ok(());
    };
    let spool = serde_json::Value::from(disk.folder().display().to_string());
    let setup = Setup { config: format!("[logs]\nspool-dir = {spool}\n"), ..Setup::default() };
    run_test_with(setup, async |fleet: &mut Fleet| -> Result<()> {
        let repo = repo(fleet, "echo ran").await?;
        disk.fill()?;
        let pull = fleet.open_pull(&repo, &change()).await?;
        let waits = |event: &serde_json::Value| (event["message"] == "has to wait").then_some(());
        fleet.worker(0)?.wait_until("that it has no room", DEADLINE, waits).await?;
        assert_eq!(fleet.statuses(&repo, &pull.sha), ["debian pending: Not yet tested"]);
        disk.clear()?;
        let status = fleet.wait_for(&pull, "debian", StatusState::Success).await?;
        assert!(fleet.log_text(&status).await?.contains("ran\n"));
        let story = [
            "debian pending: Not yet tested",
            "debian pending: In progress [host]",
            "debian success: Success [host]",
        ];
        assert_eq!(fleet.statuses(&repo, &pull.sha), story);
        let ended = |event: &serde_json::Value| {
            (event["message"] == "the job has ended").then(|| event["span"]["attempt"].as_u64())
        };
        let attempt = fleet.worker(0)?.wait_until("that it has ended", DEADLINE, ended).await?;
        assert_eq!(attempt, Some(1));
        fleet.settle().await
    })
    .await;
    Ok(())
}
