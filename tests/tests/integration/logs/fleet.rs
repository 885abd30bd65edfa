//! A pull request whose log goes to a bucket.

use anyhow::{Context, Result};
use common::forge::StatusState;
use tests::fleet::{DEADLINE, Fleet, Setup, run_test_with};
use tests::forge::StatusRecord;
use tests::s3::S3Server;
use tests::wait::until;

use crate::fleet::{change, repo};

/// The text of an object beside the page that a status points to.
async fn beside(server: &S3Server, status: &StatusRecord, name: &str) -> Result<String> {
    let url = status.target_url.as_deref().context("a status without a log")?;
    let page = server.follow(url).await?.with_context(|| format!("{url} leads nowhere"))?;
    assert_eq!(page.kind, "text/html");
    let url = url.strip_suffix("log.html").context("no log's page")?;
    let object =
        server.follow(&format!("{url}{name}")).await?.with_context(|| format!("{name} is not there"))?;
    Ok(object.text()?.to_owned())
}

#[tokio::test]
async fn a_job_has_its_log_in_the_bucket() -> Result<()> {
    common::crypto::install();
    let server = S3Server::start().await?;
    let setup = Setup { config: server.config(), ..Setup::default() };
    run_test_with(setup, async |fleet: &mut Fleet| -> Result<()> {
        let repo = repo(fleet, "echo hello from $TEST_OS; mkdir -p $TEST_ATTACHMENTS/sub; echo shot > \"$TEST_ATTACHMENTS/sub/a b.txt\"").await?;
        let pull = fleet.open_pull(&repo, &change()).await?;
        let status = fleet.wait_for(&pull, "debian", StatusState::Success).await?;
        let log = beside(&server, &status, "log").await?;
        assert!(log.contains("hello from debian\n") && log.ends_with("Job ran successfully.  :)\n"), "{log}");
        assert_eq!(beside(&server, &status, "sub/a%20b.txt").await?, "shot\n");
        assert!(beside(&server, &status, "index.html").await?.contains("./sub/a%20b.txt"));
        assert_eq!(server.keys()?.len(), 4, "{:?}", server.keys()?);
        fleet.settle().await
    })
    .await;
    Ok(())
}

/// It ends while the bucket is away; nothing of it is lost, and it is not run again.
#[tokio::test]
async fn a_job_outlasts_an_outage_of_the_bucket() -> Result<()> {
    common::crypto::install();
    let mut server = S3Server::start().await?;
    let setup = Setup { config: server.config(), ..Setup::default() };
    run_test_with(setup, async |fleet: &mut Fleet| -> Result<()> {
        let gate = "while ! git ls-remote --exit-code origin refs/heads/go; do :; done";
        let repo =
            repo(fleet, &format!("echo the first line; {gate} > /dev/null; echo the last line")).await?;
        let pull = fleet.open_pull(&repo, &change()).await?;
        let running =
            |it: &StatusRecord| it.description.as_deref().is_some_and(|it| it.starts_with("In progress"));
        let status = fleet.forge.wait_for_status(&repo, &pull.sha, "debian", DEADLINE, running).await?;
        let folder =
            server.keys()?.first().and_then(|it| it.rsplit_once('/')).context("no log")?.0.to_owned();
        server.wait_until_visible(&folder, "the first line\n").await?;
        assert!(
            beside(&server, &status, "log").await.is_err(),
            "the whole log is there when the job has ended"
        );
        server.go_away().await;
        fleet.git.branch("octo/app", "go", "main").await?;
        // The container ends; what is left to do is the log's end.
        let ended = async || Ok(fleet.engine.running_containers().await?.is_empty());
        until("the end of the job", ended).await?;
        server.come_back().await?;
        let status = fleet.wait_for(&pull, "debian", StatusState::Success).await?;
        let log = beside(&server, &status, "log").await?;
        assert!(log.contains("the first line\n") && log.contains("the last line\n"), "{log}");
        assert_eq!(
            fleet.statuses(&repo, &pull.sha),
            [
                "debian pending: Not yet tested",
                "debian pending: In progress [host]",
                "debian success: Success [host]"
            ]
        );
        fleet.settle().await
    })
    .await;
    Ok(())
}
