//! A worker whose disk is full.

use std::fs::{OpenOptions, read_dir, read_to_string};
use std::path::PathBuf;

use anyhow::Result;
use common::forge::StatusState;
use tests::disk::Disk;
use tests::fleet::{DEADLINE, Fleet, Setup, run_test_with};
use tests::wait::until_some;

use super::{change, repo};

/// A fleet whose containers print to a disk that can be full; none where nobody may make one.
fn small_spool() -> Result<Option<(Disk, Setup)>> {
    let Some(disk) = Disk::make()? else {
        eprintln!("skipped: only root can make a small disk");
        return Ok(None);
    };
    let spool = serde_json::Value::from(disk.folder().display().to_string());
    let setup = Setup { config: format!("[logs]\nspool-dir = {spool}\n"), ..Setup::default() };
    Ok(Some((disk, setup)))
}

/// Its messages go where there is room, and none of them is dead by it.
#[tokio::test]
async fn a_worker_without_room_begins_nothing_and_costs_no_attempt() -> Result<()> {
    let Some((disk, setup)) = small_spool()? else { return Ok(()) };
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

/// The engine's monitor goes on, and says nothing of it.
#[tokio::test]
async fn what_a_job_prints_without_room_is_not_taken_for_all_it_printed() -> Result<()> {
    let Some((disk, setup)) = small_spool()? else { return Ok(()) };
    run_test_with(setup, async |fleet: &mut Fleet| -> Result<()> {
        let gate = "while ! git ls-remote --exit-code origin refs/heads/go; do :; done > /dev/null 2>&1";
        let repo = repo(fleet, &format!("echo waits; {gate}; seq 3000")).await?;
        let pull = fleet.open_pull(&repo, &change()).await?;
        let waiting = async || {
            let outputs = read_dir(disk.folder())?.flatten().map(|it| it.path().join("output"));
            let is_waiting = |it: &PathBuf| read_to_string(it).is_ok_and(|it| it.contains("waits"));
            Ok(outputs.into_iter().find(is_waiting))
        };
        let output = until_some("a job that waits", waiting).await?;
        // In a file without a block of its own nothing shows that something is missing.
        OpenOptions::new().write(true).open(&output)?.set_len(0)?;
        disk.fill()?;
        fleet.git.branch(repo.as_str(), "go", "main").await?;
        let again = |event: &serde_json::Value| (event["message"] == "tried again later").then_some(());
        fleet.worker(0)?.wait_until("that it is tried again", DEADLINE, again).await?;
        disk.clear()?;
        let status = fleet.wait_for(&pull, "debian", StatusState::Success).await?;
        let log = fleet.log_text(&status).await?;
        assert_eq!(log.lines().filter(|it| it.parse::<u32>().is_ok()).count(), 3000, "{log}");
        fleet.settle().await
    })
    .await;
    Ok(())
}
