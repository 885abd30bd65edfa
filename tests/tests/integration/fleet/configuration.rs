//! The scanner's files change while it runs.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use common::forge::StatusState;
use serde_json::Value;
use tests::fleet::{DEADLINE, Fleet, Setup, run_test_with};

use super::{change, repo};

/// A fleet whose worker has not been started, since its files are not there.
fn without_files() -> Setup {
    let scan = "test-map = \"map.yaml\"\nallow-list = \"allowed\"\nreload-seconds = 0.05\n";
    Setup { worker: false, scan: scan.to_owned(), ..Setup::default() }
}

/// Replaces a file beside the configuration as a whole.
fn write(fleet: &Fleet, name: &str, text: &str) -> Result<()> {
    let file = fleet.config_file().with_file_name(name);
    let new = file.with_extension("new");
    fs::write(&new, text)?;
    Ok(fs::rename(new, file)?)
}

/// A number of the worker's `/metrics`.
async fn metric(fleet: &mut Fleet, name: &str) -> Result<f64> {
    let address = fleet.worker(0)?.listening("operator endpoints").await?;
    let metrics = reqwest::get(format!("http://{address}/metrics")).await?.text().await?;
    let found = metrics.lines().find_map(|it| it.strip_prefix(name)?.trim().parse().ok());
    found.ok_or_else(|| anyhow::anyhow!("no {name} in\n{metrics}"))
}

async fn wait_for_metric(fleet: &mut Fleet, name: &str, wanted: f64) -> Result<()> {
    let end = Instant::now() + DEADLINE;
    while (metric(fleet, name).await? - wanted).abs() > 0.5 {
        ensure!(Instant::now() < end, "{name} is not {wanted} within {DEADLINE:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

/// The contexts that a new pull is tested with.
async fn tested(fleet: &mut Fleet, repo: &common::id::RepoName) -> Result<Vec<String>> {
    let pull = fleet.open_pull(repo, &change()).await?;
    fleet.settle().await?;
    let statuses = fleet.statuses(repo, &pull.sha);
    Ok(statuses
        .iter()
        .filter_map(|it| it.strip_suffix(" success: Success [host]").map(str::to_owned))
        .collect())
}

const OK: &str = "flotilla_scan_settings_ok";
const GOOD: &str = "flotilla_scan_settings_reloads_total{result=\"Good\"}";
const BROKEN: &str = "flotilla_scan_settings_reloads_total{result=\"Broken\"}";

#[tokio::test]
async fn changed_files_count_and_broken_ones_leave_what_was() {
    run_test_with(without_files(), async |fleet: &mut Fleet| -> Result<()> {
        write(fleet, "map.yaml", "octo/app:\n  main: [one]\n")?;
        write(fleet, "allowed", "alice\n")?;
        fleet.start_worker(&[]).await?;
        let repo = repo(fleet, "true").await?;
        assert_eq!(tested(fleet, &repo).await?, ["one"]);

        write(fleet, "map.yaml", "octo/app:\n  main:\n  - images: [two, three]\n")?;
        wait_for_metric(fleet, GOOD, 1.0).await?;
        assert_eq!(sorted(tested(fleet, &repo).await?), ["three", "two"]);

        write(fleet, "map.yaml", "octo/app:\n  main: [four]\n  main: [five]\n")?;
        wait_for_metric(fleet, OK, 0.0).await?;
        wait_for_metric(fleet, BROKEN, 1.0).await?;
        let loud = |event: &Value| {
            let problems = event["problems"].as_str().filter(|_| event["level"] == "ERROR")?;
            Some(problems.to_owned())
        };
        let said = fleet.worker(0)?.wait_until("what is broken", DEADLINE, loud).await?;
        assert!(said.contains("map.yaml:3: \"octo/app\".main: is there twice"), "{said}");
        assert_eq!(sorted(tested(fleet, &repo).await?), ["three", "two"]);

        write(fleet, "map.yaml", "octo/app:\n  main: [four]\n")?;
        wait_for_metric(fleet, OK, 1.0).await?;
        assert_eq!(tested(fleet, &repo).await?, ["four"]);

        write(fleet, "allowed", "bob\n")?;
        wait_for_metric(fleet, GOOD, 3.0).await?;
        let pull = fleet.open_pull_as("alice", &repo, &change()).await?;
        fleet.wait_for(&pull, "four", StatusState::Pending).await?;
        fleet.settle().await?;
        assert_eq!(fleet.statuses(&repo, &pull.sha), ["four pending: Manual testing required"]);
        assert!(metric(fleet, "flotilla_scan_settings_read_timestamp_seconds").await? > 1e9);
        Ok(())
    })
    .await;
}

fn sorted(mut texts: Vec<String>) -> Vec<String> {
    texts.sort();
    texts
}
