//! A pull request becomes a finished job.

use anyhow::Result;
use common::forge::StatusState;
use tests::fleet::{Fleet, run_test};

use super::{change, repo};

#[tokio::test]
async fn an_opened_pull_request_is_run_and_reported() {
    run_test(async |fleet: &mut Fleet| -> Result<()> {
        let repo =
            repo(fleet, "echo hello from $TEST_OS; cat README; echo shot > $TEST_ATTACHMENTS/a.txt").await?;
        let pull = fleet.open_pull(&repo, &change()).await?;
        let status = fleet.wait_for(&pull, "debian", StatusState::Success).await?;
        assert_eq!(
            fleet.statuses(&repo, &pull.sha),
            [
                "debian pending: Not yet tested",
                "debian pending: In progress [host]",
                "debian success: Success [host]",
            ]
        );
        let log = fleet.log_text(&status).await?;
        assert!(log.contains("hello from debian\na change\n"), "{log}");
        assert!(log.ends_with("Job ran successfully.  :)\n"), "{log}");
        let folder = fleet.log_folder(&status)?;
        assert_eq!(std::fs::read_to_string(folder.join("a.txt"))?, "shot\n");
        assert!(std::fs::read_to_string(folder.join("index.html"))?.contains("a.txt"));
        fleet.settle().await
    })
    .await;
}
