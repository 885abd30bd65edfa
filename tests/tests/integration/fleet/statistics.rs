//! The results of merged pulls.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::Result;
use tempfile::TempDir;
use tests::fleet::{Fleet, Setup, run_test_with};

/// Programs in the place of those that keep the database, and the setup of a fleet that uses them.
fn programs(folder: &Path, store: &str) -> Result<Setup> {
    for (name, rest) in [("store-tests", store), ("prometheus-stats", "")] {
        let file = folder.join(name);
        fs::write(&file, format!("#!/bin/sh\necho \"{name} $*\" >> {}/told\n{rest}\n", folder.display()))?;
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755))?;
    }
    let config = format!(
        "[statistics]\nstore = [\"{0}/store-tests\"]\npublish = [\"{0}/prometheus-stats\"]\ndb = \"{0}/results.db\"\n\
         s3 = \"https://s3.example/metrics\"\nprune-over-megabytes = 1\nprune-days = 9\n",
        folder.display()
    );
    Ok(Setup { webhook: false, config, ..Setup::default() })
}

const TASK: &str = r#"{"statistics": {"repo": "octo/app", "sha": "abcdef"}, "human": "octo/app abcdef"}"#;

#[tokio::test]
async fn results_are_stored_pruned_and_published() {
    let folder = TempDir::new().unwrap();
    let setup = programs(folder.path(), "head -c 1000001 /dev/zero > $2").unwrap();
    run_test_with(setup, async |fleet: &mut Fleet| -> Result<()> {
        fleet.publish("statistics", TASK).await?;
        fleet.settle().await?;
        let (told, db) = (fs::read_to_string(folder.path().join("told"))?, folder.path().join("results.db"));
        let expected = format!(
            "store-tests --db {0} --repo octo/app abcdef\nprometheus-stats --db {0} --prune 9\n\
             prometheus-stats --db {0} --s3 https://s3.example/metrics\n",
            db.display()
        );
        assert_eq!(told, expected);
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn results_that_cannot_be_stored_are_tried_again_and_then_dead() {
    let folder = TempDir::new().unwrap();
    let setup = programs(folder.path(), "exit 4").unwrap();
    run_test_with(setup, async |fleet: &mut Fleet| -> Result<()> {
        fleet.publish("statistics", TASK).await?;
        let dead = fleet.wait_for_dead().await?;
        assert!(
            dead.reason.contains("statistics.store") && dead.reason.contains("exit status: 4"),
            "{dead:?}"
        );
        assert_eq!((dead.attempt, dead.queue.as_str()), (3, "statistics"));
        assert_eq!(fs::read_to_string(folder.path().join("told"))?.lines().count(), 3);
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn results_on_another_queue_are_not_stored() {
    let folder = TempDir::new().unwrap();
    let setup = programs(folder.path(), "").unwrap();
    run_test_with(setup, async |fleet: &mut Fleet| -> Result<()> {
        assert!(fleet.publish("public", TASK).await.is_err(), "publish-queue refuses it");
        fleet.publish_raw("public", TASK).await?;
        let dead = fleet.wait_for_dead().await?;
        assert_eq!(dead.reason, "statistics: does not belong on the queue `public`");
        assert!(!folder.path().join("told").exists());
        Ok(())
    })
    .await;
}
