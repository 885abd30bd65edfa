//! The programs that people run by hand.

use anyhow::{Result, ensure};
use common::forge::{NewStatus, StatusState};
use common::id::RepoName;
use common::queue::Queue;
use serde_json::{Value, json};
use tests::fleet::{Fleet, Setup, binary, run_test_with};
use tokio::process::Command;

use super::{change, repo};

const DIRECT: &str = "Not yet tested (direct trigger)";

fn by_hand() -> Setup {
    Setup { webhook: false, worker: false, ..Setup::default() }
}

/// What a program prints on its standard output; it must end with this exit code.
async fn out(fleet: &Fleet, program: &str, code: i32, arguments: &[&str]) -> Result<String> {
    let said = fleet.run_program(program, arguments, "").await?;
    ensure!(said.code == Some(code), "{program} {arguments:?} ended with {:?}: {}", said.code, said.err);
    Ok(said.out)
}

/// What it says on its standard error, without its log.
async fn err(fleet: &Fleet, program: &str, code: i32, arguments: &[&str]) -> Result<String> {
    let said = fleet.run_program(program, &[arguments, &["--log", "off"]].concat(), "").await?;
    ensure!(said.code == Some(code), "{program} {arguments:?} ended with {:?}: {}", said.code, said.err);
    Ok(said.err)
}

async fn take(fleet: &Fleet, queue: Queue) -> Result<Vec<Value>> {
    let session = fleet.session().await?;
    let mut tasks = Vec::new();
    while let Some(received) = session.take(queue).await? {
        tasks.push(serde_json::from_slice(received.body())?);
        received.ack().await?;
    }
    session.close().await;
    Ok(tasks)
}

/// Sets a status without telling anybody.
fn set(
    fleet: &Fleet,
    repo: &RepoName,
    sha: &common::id::CommitSha,
    context: &str,
    state: StatusState,
    text: &str,
) -> Result<()> {
    fleet.forge.set_status(repo, sha, NewStatus::new(context.parse()?, state, text))?;
    Ok(())
}

#[tokio::test]
async fn tests_scan_prints_jobs_and_posts_what_makes_them_queued() {
    run_test_with(by_hand(), async |fleet: &mut Fleet| -> Result<()> {
        let repo = repo(fleet, "true").await?;
        let (pull, event) = fleet.draft_pull("alice", &repo, &change()).await?;
        let dry = out(fleet, "tests-scan", 0, &["--repo", "octo/app", "-n"]).await?;
        assert_eq!(fleet.statuses(&repo, &pull.sha).len(), 0);
        let printed = out(fleet, "tests-scan", 0, &["--repo", "octo/app"]).await?;
        let without_time = |it: &str| {
            it.lines().filter(|it| !it.contains("\"slug\"")).map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(without_time(&printed), without_time(&dry));
        assert!(printed.starts_with("{\n    \"repo\": \"octo/app\",\n    \"sha\": \""), "{printed}");
        let job: Value = serde_json::from_str(&printed)?;
        assert_eq!(
            (&job["context"], &job["pull"], &job["report"]),
            (&json!("debian"), &json!(1), &Value::Null)
        );
        assert_eq!(fleet.statuses(&repo, &pull.sha), [format!("debian pending: {DIRECT}")]);
        // The event alone is enough, and says where it happened.
        let told = out(fleet, "tests-scan", 0, &["--pull-data", &event.payload, "-v"]).await?;
        let short = pull.sha.short(7);
        assert_eq!(
            told,
            format!("pull-1      debian                    {short}      (octo/app) [bots@main]   {{main}}\n")
        );
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn tests_scan_finds_commits_and_says_what_it_does_not_find() {
    run_test_with(by_hand(), async |fleet: &mut Fleet| -> Result<()> {
        let repo = repo(fleet, "true").await?;
        let (pull, event) = fleet.draft_pull("alice", &repo, &change()).await?;
        let (other, _) = fleet.draft_pull("alice", &repo, &change()).await?;
        let here = ["--repo", "octo/app", "-n"];
        let with = |more: &[&'static str]| [&here[..], more].concat();
        let sha =
            [&here[..], &["-s", pull.sha.short(9), "-v", "-c", "rhel-9", "-c", "debian/x@bots#9"]].concat();
        let lines = out(fleet, "tests-scan", 0, &sha).await?;
        let columns: Vec<_> =
            lines.lines().map(|it| it.split_whitespace().take(2).collect::<Vec<_>>()).collect();
        assert_eq!(columns, [["pull-1", "rhel-9"], ["pull-1", "debian/x"]], "{lines}");
        assert!(lines.contains("[bots@xxx]"), "{lines}");
        let all = out(fleet, "tests-scan", 0, &with(&["-v"])).await?;
        let found: Vec<_> = all.lines().filter_map(|it| it.split_whitespace().nth(2)).collect();
        let mut expected = [pull.sha.short(7), other.sha.short(7)];
        expected.sort_unstable();
        expected.reverse();
        assert_eq!(found, expected);
        let bare = out(fleet, "tests-scan", 0, &with(&["--sha", "abcdef0123", "-c", "debian"])).await;
        // No such commit: the forge has no statuses for it.
        assert!(bare.is_err());
        let commit = "c".repeat(40).parse()?;
        fleet.forge.add_commit(&repo, &commit)?;
        let bare =
            out(fleet, "tests-scan", 0, &[&here[..], &["-s", commit.as_str(), "-c", "debian"]].concat())
                .await?;
        let job: Value = serde_json::from_str(&bare)?;
        assert_eq!(
            job["report"],
            json!({"title": format!("Tests failed on {commit}"), "labels": ["nightly"]})
        );
        for number in ["77", "0", "x"] {
            let said = err(fleet, "tests-scan", 1, &[&here[..], &["-p", number]].concat()).await?;
            assert_eq!(said, format!("Can't find pull request {number}\n"));
        }
        for more in [["-p", "1"], ["--sha", "abcdef"]] {
            out(fleet, "tests-scan", 2, &[&["--pull-data", &event.payload], &more[..]].concat()).await?;
        }
        out(fleet, "tests-scan", 2, &["--pull-data", "{\"pull_request\": 1}"]).await?;
        out(fleet, "tests-scan", 2, &["--repo", "octo"]).await?;
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn tests_scan_queues_at_a_broker() {
    run_test_with(by_hand(), async |fleet: &mut Fleet| -> Result<()> {
        let repo = repo(fleet, "true").await?;
        let (pull, _) = fleet.draft_pull("alice", &repo, &change()).await?;
        let amqp = fleet.broker.address().to_owned();
        let arguments =
            ["--repo", "octo/app", "-p", "1", "-c", "debian", "-c", "rhel-9/devel", "--amqp", &amqp];
        assert_eq!(out(fleet, "tests-scan", 0, &arguments).await?, "");
        let expected = ["debian pending: Not yet tested", "rhel-9/devel pending: Not yet tested"];
        let mut statuses = fleet.statuses(&repo, &pull.sha);
        statuses.sort();
        assert_eq!(statuses, expected);
        assert_eq!(take(fleet, Queue::Public).await?[0]["job"]["context"], "debian");
        assert_eq!(take(fleet, Queue::Internal).await?[0]["job"]["context"], "rhel-9/devel");
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn issue_scan_prints_and_queues() {
    run_test_with(by_hand(), async |fleet: &mut Fleet| -> Result<()> {
        let bots = fleet.create_repo("octo/bots", &change()).await?;
        let body = "* [x] image-refresh arch\n* [ ] image-refresh debian\n* [ ] image-refresh rhel-9\n";
        let event = fleet.forge.open_issue(&bots, "Refresh", body, "alice")?;
        assert_eq!(out(fleet, "issue-scan", 0, &["--repo", "octo/bots"]).await?, "");
        assert_eq!(out(fleet, "issue-scan", 0, &["--issues-data", &event.payload]).await?, "", "no label");
        let number = fleet.forge.issues(&bots)?[0].number;
        let event = fleet.forge.label_issue(&bots, number, "bot")?;
        let (pull, _) = fleet.draft_pull("alice", &bots, &change()).await?;
        fleet.forge.label(&bots, pull.number, "bot")?;
        fleet.forge.edit(&bots, pull.number, tests::forge::Field::Body, "- [ ] image-refresh rhel-9")?;
        let human = out(fleet, "issue-scan", 0, &["--repo", "octo/bots", "-v"]).await?;
        assert_eq!(human, "issue-2 image-refresh rhel-9 pull/2/head\nissue-1 image-refresh debian main\n");
        let file = fleet.logs_dir().join("event.json");
        std::fs::write(&file, &event.payload)?;
        let told = out(fleet, "issue-scan", 0, &["--event-data-file", &file.display().to_string()]).await?;
        assert!(told.starts_with("{\"job\": {\"repo\": \"octo/bots\", \"sha\": \""), "{told}");
        let amqp = fleet.broker.address().to_owned();
        out(fleet, "issue-scan", 0, &["--repo", "octo/bots", "--amqp", &amqp]).await?;
        let tasks = take(fleet, Queue::Public).await?;
        let (mut printed, mut queued): (Value, Value) = (serde_json::from_str(&told)?, tasks[0].clone());
        for it in [&mut printed, &mut queued] {
            it["job"]["slug"].take();
        }
        assert_eq!(queued, printed);
        assert_eq!(take(fleet, Queue::Internal).await?[0]["job"]["sha"], pull.sha.as_str());
        out(fleet, "issue-scan", 2, &["--issues-data", "{\"repository\": {\"full_name\": \"o/r\"}}"]).await?;
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn tests_trigger_asks_for_runs() {
    run_test_with(by_hand(), async |fleet: &mut Fleet| -> Result<()> {
        use StatusState::{Failure, Pending, Success};
        let repo = repo(fleet, "true").await?;
        let (pull, _) = fleet.draft_pull("alice", &repo, &change()).await?;
        set(fleet, &repo, &pull.sha, "debian", Failure, "Timeout")?;
        set(fleet, &repo, &pull.sha, "rhel-9", Success, "Success")?;
        set(fleet, &repo, &pull.sha, "debian/slow", Pending, "In progress [x]")?;
        set(fleet, &repo, &pull.sha, "other-ci", Failure, "x")?;
        let here = |more: &[&'static str]| [&["--repo", "octo/app"], more].concat();
        let on = "triggering on pull request 1\n";
        assert_eq!(err(fleet, "tests-trigger", 0, &here(&["-n", "1"])).await?, format!("debian: {on}"));
        assert_eq!(fleet.statuses(&repo, &pull.sha).len(), 4, "it was only said");
        assert_eq!(err(fleet, "tests-trigger", 0, &here(&["1"])).await?, format!("debian: {on}"));
        assert_eq!(fleet.statuses(&repo, &pull.sha)[4], format!("debian pending: {DIRECT}"));
        let said =
            err(fleet, "tests-trigger", 1, &here(&["1", "debian", "rhel-9", "suse", "debian/new"])).await?;
        let expected = format!(
            "ignoring unknown context suse\ndebian: isn't in triggerable state (is: pending)\n\
             rhel-9: isn't in triggerable state (is: success)\ndebian/new: {on}"
        );
        assert_eq!(said, expected);
        let said =
            err(fleet, "tests-trigger", 0, &here(&["1", "--requeue", "debian", "--bots-pr", "7"])).await?;
        assert_eq!(said, format!("debian@bots#7: {on}"));
        assert_eq!(
            err(fleet, "tests-trigger", 0, &here(&["--requeue", "1", "debian"])).await?,
            format!("debian: {on}")
        );
        assert_eq!(
            err(fleet, "tests-trigger", 0, &here(&["-f", "1", "rhel-9"])).await?,
            format!("rhel-9: {on}")
        );
        let said = err(fleet, "tests-trigger", 0, &here(&["1", "image:debian"])).await?;
        assert_eq!(said, format!("debian@octo/app: {on}"));
        assert_eq!(err(fleet, "tests-trigger", 1, &here(&["99"])).await?, "99 is not a pull request.\n");
        let (stranger, _) = fleet.draft_pull("mallory", &repo, &change()).await?;
        let said = err(fleet, "tests-trigger", 1, &here(&["2", "debian"])).await?;
        assert_eq!(said, "Pull request author 'mallory' isn't allowed. Override with --allow.\n");
        err(fleet, "tests-trigger", 0, &here(&["-a", "2", "debian"])).await?;
        assert_eq!(fleet.statuses(&repo, &stranger.sha), [format!("debian pending: {DIRECT}")]);
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn tests_trigger_takes_the_commit_that_a_branch_tracks() {
    run_test_with(by_hand(), async |fleet: &mut Fleet| -> Result<()> {
        let repo = repo(fleet, "true").await?;
        let folder = tempfile::tempdir()?;
        let url = format!("{}/octo/app", fleet.git.url());
        let clone =
            Command::new("git").args(["clone", "-q", &url, "."]).current_dir(folder.path()).status().await?;
        ensure!(clone.success(), "git clone {url}");
        let tip = Command::new("git").args(["rev-parse", "HEAD"]).current_dir(folder.path()).output().await?;
        let tip: common::id::CommitSha = String::from_utf8(tip.stdout)?.trim().parse()?;
        let config = fleet.config_file().display().to_string();
        // The repository is the one of the checkout, too.
        let trigger = Command::new(binary("tests-trigger")?)
            .args(["--config", &config, "--log", "off", "-", "debian"])
            .current_dir(folder.path())
            .output()
            .await?;
        let said = String::from_utf8(trigger.stderr)?;
        assert_eq!((trigger.status.code(), said.as_str()), (Some(0), "debian: triggering on origin/main\n"));
        assert_eq!(fleet.statuses(&repo, &tip), [format!("debian pending: {DIRECT}")]);
        Ok(())
    })
    .await;
}
