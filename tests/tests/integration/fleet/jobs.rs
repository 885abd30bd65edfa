//! Jobs: what developers see of them.

use anyhow::Result;
use common::forge::StatusState;
use common::id::{BranchName, Context as StatusContext};
use serde_json::json;
use tests::fleet::{DEADLINE, Fleet, Setup, run_test, run_test_with};
use tests::forge::{Fault, Reply};
use tests::git::File;
use tests::wait::until;

use super::{change, repo};

#[tokio::test]
async fn a_red_test_is_a_failure_with_its_exit_code() {
    run_test(async |fleet: &mut Fleet| -> Result<()> {
        let repo = repo(fleet, "echo about to fail >&2; exit 3").await?;
        let pull = fleet.open_pull(&repo, &change()).await?;
        let status = fleet.wait_for(&pull, "debian", StatusState::Failure).await?;
        assert_eq!(
            status.description.as_deref(),
            Some(&*format!("Container exited with code 3 [{}]", common::hostname()))
        );
        let log = fleet.log_text(&status).await?;
        assert!(log.contains("about to fail\n"), "{log}");
        assert!(log.ends_with("*** Failure: Container exited with code 3\n"), "{log}");
        fleet.settle().await
    })
    .await;
}

#[tokio::test]
async fn the_log_can_be_followed_while_the_job_runs() {
    run_test(async |fleet: &mut Fleet| -> Result<()> {
        let gate = "while ! git ls-remote --exit-code origin refs/heads/go; do :; done";
        let repo =
            repo(fleet, &format!("echo the first line; {gate} > /dev/null; echo the last line")).await?;
        let pull = fleet.open_pull(&repo, &change()).await?;
        let running = |it: &tests::forge::StatusRecord| {
            it.description.as_deref().is_some_and(|it| it.starts_with("In progress"))
        };
        let status = fleet.forge.wait_for_status(&repo, &pull.sha, "debian", DEADLINE, running).await?;
        let folder = fleet.log_folder(&status)?;
        let is_live = async || {
            let chunks = std::fs::read_to_string(folder.join("log.chunks")).unwrap_or_default();
            let sizes: Vec<u64> = serde_json::from_str(&chunks).unwrap_or_default();
            let (mut text, mut start) = (String::new(), 0);
            for size in sizes {
                let name = format!("log.{start}-{}", start + size);
                text += &std::fs::read_to_string(folder.join(name)).unwrap_or_default();
                start += size;
            }
            Ok(text.contains("the first line\n"))
        };
        until("the live log", is_live).await?;
        assert!(!folder.join("log").exists(), "the whole log is there when the job has ended");
        fleet.git.branch("octo/app", "go", "main").await?;
        let status = fleet.wait_for(&pull, "debian", StatusState::Success).await?;
        assert!(fleet.log_text(&status).await?.contains("the last line\n"));
        assert!(!folder.join("log.chunks").exists(), "that is how a reader knows that it is over");
        fleet.settle().await
    })
    .await;
}

#[tokio::test]
async fn a_fast_log_is_complete_and_in_order() {
    run_test(async |fleet: &mut Fleet| -> Result<()> {
        let script = "i=0; while [ $i -lt 200000 ]; do echo \"line $i\"; i=$((i+1)); done; printf 'no newline at the end'";
        let repo = repo(fleet, script).await?;
        let pull = fleet.open_pull(&repo, &change()).await?;
        let status = fleet.wait_for(&pull, "debian", StatusState::Success).await?;
        let log = fleet.log_text(&status).await?;
        let lines: Vec<_> = log.lines().filter(|it| it.starts_with("line ")).collect();
        assert_eq!(lines.len(), 200_000);
        assert!(lines.iter().enumerate().all(|(number, line)| *line == format!("line {number}")));
        assert!(log.contains("line 199999\nno newline at the end\n"), "{:?}", log.get(log.len() - 200..));
        fleet.settle().await
    })
    .await;
}

#[tokio::test]
async fn a_pull_is_rebased_onto_its_base_before_it_is_tested() {
    run_test(async |fleet: &mut Fleet| -> Result<()> {
        let repo = repo(fleet, "cat README MAIN").await?;
        let (pull, delivery) = fleet.draft_pull("alice", &repo, &change()).await?;
        let tip = fleet.git.commit("octo/app", "main", "Go on", &[File::new("MAIN", "from main\n")]).await?;
        fleet.forge.push_branch(&repo, &BranchName::new("main")?, &tip.parse()?)?;
        fleet.deliver_ok(&delivery).await?;
        let status = fleet.wait_for(&pull, "debian", StatusState::Success).await?;
        assert!(fleet.log_text(&status).await?.contains("a change\nfrom main\n"));
        fleet.settle().await
    })
    .await;
}

#[tokio::test]
async fn a_pull_that_does_not_rebase_is_red() {
    run_test(async |fleet: &mut Fleet| -> Result<()> {
        let repo = repo(fleet, "true").await?;
        let (pull, delivery) = fleet.draft_pull("alice", &repo, &change()).await?;
        let tip =
            fleet.git.commit("octo/app", "main", "Conflict", &[File::new("README", "another\n")]).await?;
        fleet.forge.push_branch(&repo, &BranchName::new("main")?, &tip.parse()?)?;
        fleet.deliver_ok(&delivery).await?;
        fleet.wait_for(&pull, "debian", StatusState::Failure).await?;
        fleet.settle().await
    })
    .await;
}

#[tokio::test]
async fn a_new_push_ends_the_old_run() {
    run_test(async |fleet: &mut Fleet| -> Result<()> {
        let repo = repo(fleet, "if grep -q old README; then sleep 1000; fi").await?;
        let old = fleet.open_pull(&repo, &[File::new("README", "old\n")]).await?;
        let running = |it: &tests::forge::StatusRecord| {
            it.description.as_deref().is_some_and(|it| it.starts_with("In progress"))
        };
        fleet.forge.wait_for_status(&repo, &old.sha, "debian", DEADLINE, running).await?;
        let new = fleet.push(&old, &[File::new("README", "new\n")]).await?;
        let ended = fleet.wait_for(&old, "debian", StatusState::Failure).await?;
        assert!(
            ended.description.as_deref().is_some_and(|it| it.starts_with("octo/app#1 changed")),
            "{ended}"
        );
        fleet.wait_for(&new, "debian", StatusState::Success).await?;
        fleet.settle().await
    })
    .await;
}

#[tokio::test]
async fn a_closed_pull_is_not_tested() {
    run_test_with(Setup { worker: false, ..Setup::default() }, async |fleet: &mut Fleet| -> Result<()> {
        let repo = repo(fleet, "true").await?;
        let pull = fleet.open_pull(&repo, &change()).await?;
        fleet.start_worker(&["scan"]).await?;
        fleet.wait_for(&pull, "debian", StatusState::Pending).await?;
        fleet.forge.close(&repo, pull.number)?;
        fleet.start_worker(&["execute"]).await?;
        let status = fleet.wait_for(&pull, "debian", StatusState::Failure).await?;
        assert!(
            status.description.as_deref().is_some_and(|it| it.starts_with("octo/app#1 is closed")),
            "{status}"
        );
        let log = fleet.log_text(&status).await?;
        assert!(log.ends_with("*** Failure: octo/app#1 is closed\n") && !log.contains("Cloning"), "{log}");
        fleet.settle().await
    })
    .await;
}

#[tokio::test]
async fn a_job_that_runs_too_long_is_ended() {
    run_test(async |fleet: &mut Fleet| -> Result<()> {
        let repo =
            repo(fleet, "echo early > $TEST_ATTACHMENTS/early; trap '' TERM; while :; do sleep 1; done")
                .await?;
        let tip = fleet.git.resolve("octo/app", "main").await?;
        let job = json!({"job": {"repo": "octo/app", "sha": tip, "context": "by-hand", "timeout": 1}});
        fleet.publish("public", &job.to_string()).await?;
        let deadline = DEADLINE * 2;
        let status = fleet
            .forge
            .wait_for_state(&repo, &tip.parse()?, "by-hand", StatusState::Failure, deadline)
            .await?;
        assert!(
            status.description.as_deref().is_some_and(|it| it.starts_with("Timeout after 1 minutes")),
            "{status}"
        );
        assert!(fleet.log_text(&status).await?.ends_with("*** Failure: Timeout after 1 minutes\n"));
        assert!(fleet.log_folder(&status)?.join("early").exists(), "what it left is kept");
        fleet.settle().await
    })
    .await;
}

#[tokio::test]
async fn a_job_by_hand_reports_an_issue_and_runs_what_it_is_told() {
    run_test(async |fleet: &mut Fleet| -> Result<()> {
        let repo = repo(fleet, "true").await?;
        let tip = fleet.git.resolve("octo/app", "main").await?;
        let job = json!({"job": {
            "repo": "octo/app", "context": "nightly", "slug": "by//hand:1", "title": "A job by hand",
            "command": ["sh", "-c", "echo \"$GREETING\"; exit 1"], "env": {"GREETING": "two\nlines; $(false)"},
            "report": {"labels": ["nightly"]},
        }});
        fleet.publish("public", &job.to_string()).await?;
        let status =
            fleet.forge.wait_for_state(&repo, &tip.parse()?, "nightly", StatusState::Failure, DEADLINE).await?;
        let log = fleet.log_text(&status).await?;
        assert!(log.starts_with("A job by hand\n") && log.contains("two\nlines; $(false)\n"), "{log}");
        assert!(status.target_url.as_deref().is_some_and(|it| it.ends_with("/by--hand-1/log.html")), "{status}");
        fleet.settle().await?;
        let issues = fleet.forge.issues(&repo)?;
        assert_eq!(issues.len(), 1);
        assert_eq!((issues[0].title.as_str(), issues[0].labels.as_slice()), ("nightly failed", &["nightly".to_owned()][..]));
        assert!(issues[0].body.contains(&tip) && issues[0].body.contains("log.html"), "{}", issues[0].body);
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn a_job_without_a_context_reports_nothing() {
    run_test(async |fleet: &mut Fleet| -> Result<()> {
        let repo = repo(fleet, "echo done").await?;
        let tip = fleet.git.resolve("octo/app", "main").await?;
        fleet.publish("internal", r#"{"job": {"repo": "octo/app", "branch": "main"}}"#).await?;
        fleet.settle().await?;
        assert!(fleet.statuses(&repo, &tip.parse()?).is_empty());
        let log = fleet.logs_dir().join("octo/app/-").join(&tip[..12]).join("log");
        assert!(std::fs::read_to_string(log)?.ends_with("Job ran successfully.  :)\n"));
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn a_job_gets_the_secrets_that_it_names_and_no_others() {
    let config = "[container.secrets]\nopen = [\"--volume=%{open}:/run/open:ro\"]\nother = [\"--volume=%{other}:/run/other:ro\"]\n\
                  [secrets.inline]\nopen = \"sesame\"\nother = \"hidden\"\n";
    run_test_with(Setup { config: config.to_owned(), ..Setup::default() }, async |fleet: &mut Fleet| -> Result<()> {
        let repo = repo(fleet, "test \"$(cat /run/open)\" = sesame; test ! -e /run/other").await?;
        let tip = fleet.git.resolve("octo/app", "main").await?;
        let job = json!({"job": {"repo": "octo/app", "sha": tip, "context": "c", "secrets": ["open", "unheard-of"]}});
        fleet.publish("public", &job.to_string()).await?;
        fleet.forge.wait_for_state(&repo, &tip.parse()?, "c", StatusState::Success, DEADLINE).await?;
        fleet.settle().await?;
        assert!(!fleet.worker(0)?.said().contains("sesame"), "secrets stay out of logs");
        Ok(())
    })
    .await;
}

/// By accident, that is: who wants to tell it finds a way.
#[tokio::test]
async fn a_job_that_prints_its_secrets_shows_nothing() {
    let outside = tempfile::tempdir().unwrap();
    std::fs::write(
        outside.path().join("key"),
        "-----BEGIN KEY-----\nMIIEvgIBADANBgkq/x+y\n-----END KEY-----\n",
    )
    .unwrap();
    let config = format!(
        "[container.secrets]\ntoken = [\"--volume=%{{token}}:/run/token:ro\"]\nkeys = [\"--volume=%{{keys}}:/run/keys:ro\"]\n\
         [secrets.inline]\ntoken = \"open sesame\"\n[secrets.external]\nkeys = {:?}\n",
        outside.path()
    );
    run_test_with(Setup { config, ..Setup::default() }, async |fleet: &mut Fleet| -> Result<()> {
        let script = "cat /run/token; printf '\\nopen '; printf 'sesame.\\n'; base64 /run/token; \
                      sed -n 2p /run/keys/key; cat /run/keys/key; echo https://x.example/?open%20sesame";
        let repo = repo(fleet, script).await?;
        let tip = fleet.git.resolve("octo/app", "main").await?;
        let job =
            json!({"job": {"repo": "octo/app", "sha": tip, "context": "c", "secrets": ["token", "keys"]}});
        fleet.publish("public", &job.to_string()).await?;
        fleet.forge.wait_for_state(&repo, &tip.parse()?, "c", StatusState::Success, DEADLINE).await?;
        let log = fleet.log_text(&fleet.forge.statuses(&repo, &tip.parse()?).remove(0)).await?;
        let shown = "***\n***.\n***=\n***\n***\nhttps://x.example/?***\n";
        assert!(log.contains(shown), "{log}");
        for secret in ["sesame", "b3BlbiBz", "MIIEvg"] {
            assert!(!log.contains(secret), "{secret} in {log}");
        }
        fleet.settle().await
    })
    .await;
}

#[tokio::test]
async fn what_is_not_the_users_fault_is_an_error_and_tried_again() {
    run_test(async |fleet: &mut Fleet| -> Result<()> {
        let repo = repo(fleet, "true").await?;
        let tip = fleet.git.resolve("octo/app", "main").await?;
        let job = json!({"job": {"repo": "octo/app", "sha": tip, "context": "c", "container": "localhost/none:none"}});
        fleet.publish("public", &job.to_string()).await?;
        let dead = fleet.wait_for_dead().await?;
        assert_eq!((dead.attempt, dead.queue.as_str()), (3, "public"));
        assert!(dead.reason.starts_with("out of attempts: ") && dead.reason.contains("localhost/none:none"), "{}", dead.reason);
        let statuses = fleet.statuses(&repo, &tip.parse()?);
        let attempt = ["c pending: In progress [host]", "c error: Internal error [host]"];
        let last = ["c pending: In progress [host]", "c error: Internal error, out of attempts [host]"];
        assert_eq!(statuses, [attempt, attempt, last].concat());
        let status = fleet.forge.statuses(&repo, &tip.parse()?).remove(0);
        let log = fleet.log_text(&status).await?;
        assert!(log.lines().last().is_some_and(|it| it.starts_with("*** Internal error: ")), "{log}");
        fleet.settle().await
    })
    .await;
}

#[tokio::test]
async fn a_commit_that_is_judged_is_not_run_again() {
    run_test(async |fleet: &mut Fleet| -> Result<()> {
        let repo = repo(fleet, "true").await?;
        let pull = fleet.open_pull(&repo, &change()).await?;
        fleet.wait_for(&pull, "debian", StatusState::Success).await?;
        fleet.settle().await?;
        let before = fleet.statuses(&repo, &pull.sha).len();
        let job = json!({"job": {"repo": "octo/app", "pull": 1, "context": StatusContext::new("debian")?}});
        fleet.publish("public", &job.to_string()).await?;
        fleet.settle().await?;
        assert_eq!(fleet.statuses(&repo, &pull.sha).len(), before);
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn a_repository_chooses_its_image_and_its_command() {
    run_test(async |fleet: &mut Fleet| -> Result<()> {
        let files = [
            File::new(".cockpit-ci/container", format!("{}\n", fleet.engine.image())),
            File::new("test/run", "#!/bin/sh\necho the older place of the command\n").executable(),
        ];
        let repo = fleet.create_repo("octo/app", &files).await?;
        let pull = fleet.open_pull(&repo, &change()).await?;
        let status = fleet.wait_for(&pull, "debian", StatusState::Success).await?;
        assert!(fleet.log_text(&status).await?.contains("the older place of the command\n"));
        fleet.settle().await
    })
    .await;
}

#[tokio::test]
async fn the_command_of_another_repository_is_reported_on_the_first() {
    run_test(async |fleet: &mut Fleet| -> Result<()> {
        let repo = repo(fleet, "echo from app").await?;
        let other = File::new("test/run", "#!/bin/sh\necho from other\n").executable();
        fleet.create_repo("octo/other", &[other]).await?;
        let tip = fleet.git.resolve("octo/app", "main").await?;
        let job = json!({"job": {
            "repo": "octo/app", "sha": tip, "context": "c",
            "command_subject": {"forge": "", "repo": "octo/other", "branch": "main"},
        }});
        fleet.publish("public", &job.to_string()).await?;
        let status =
            fleet.forge.wait_for_state(&repo, &tip.parse()?, "c", StatusState::Success, DEADLINE).await?;
        assert!(fleet.log_text(&status).await?.contains("from other\n"));
        fleet.settle().await
    })
    .await;
}

#[tokio::test]
async fn a_repository_that_cannot_be_cloned_is_nobodys_red_test() {
    let setup = Setup { roles: "attempts = 1".to_owned(), ..Setup::default() };
    run_test_with(setup, async |fleet: &mut Fleet| -> Result<()> {
        let repo = repo(fleet, "true").await?;
        let tip = fleet.git.resolve("octo/app", "main").await?;
        std::fs::remove_dir_all(fleet.git.folder().join("repositories/octo/app"))?;
        let job = json!({"job": {"repo": "octo/app", "sha": tip, "context": "c"}});
        fleet.publish("public", &job.to_string()).await?;
        let status =
            fleet.forge.wait_for_state(&repo, &tip.parse()?, "c", StatusState::Error, DEADLINE).await?;
        assert!(fleet.log_text(&status).await?.contains("git clone failed 5 times"));
        let dead = fleet.wait_for_dead().await?;
        assert!(dead.reason.contains("could not be cloned or fetched"), "{}", dead.reason);
        fleet.settle().await
    })
    .await;
}

#[tokio::test]
async fn a_commit_can_be_abbreviated() {
    run_test(async |fleet: &mut Fleet| -> Result<()> {
        repo(fleet, "echo here").await?;
        let tip = fleet.git.resolve("octo/app", "main").await?;
        let job = json!({"job": {"repo": "octo/app", "sha": tip[..8], "slug": "short"}});
        fleet.publish("public", &job.to_string()).await?;
        fleet.settle().await?;
        let log = std::fs::read_to_string(fleet.logs_dir().join("short/log"))?;
        assert!(log.contains("here\n") && log.ends_with("Job ran successfully.  :)\n"), "{log}");
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn attachments_that_cannot_be_had_do_not_change_the_verdict() {
    run_test(async |fleet: &mut Fleet| -> Result<()> {
        let repo = repo(fleet, "rm -rf $TEST_ATTACHMENTS").await?;
        let pull = fleet.open_pull(&repo, &change()).await?;
        let status = fleet.wait_for(&pull, "debian", StatusState::Success).await?;
        assert!(fleet.log_text(&status).await?.contains("Attachments could not be collected: "));
        fleet.settle().await
    })
    .await;
}

#[tokio::test]
async fn a_forge_that_is_away_at_the_end_hears_of_it_later_and_the_job_runs_once() {
    run_test(async |fleet: &mut Fleet| -> Result<()> {
        let gate = "while ! git ls-remote --exit-code origin refs/heads/go; do :; done";
        let repo = repo(fleet, &format!("{gate} > /dev/null")).await?;
        let pull = fleet.open_pull(&repo, &change()).await?;
        fleet.wait_for_container().await?;
        fleet.forge.fail_next(6, 502);
        fleet.git.branch("octo/app", "go", "main").await?;
        fleet.wait_for(&pull, "debian", StatusState::Success).await?;
        fleet.settle().await?;
        assert_eq!(
            fleet.statuses(&repo, &pull.sha),
            [
                "debian pending: Not yet tested",
                "debian pending: In progress [host]",
                "debian success: Success [host]",
            ]
        );
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn a_forge_that_limits_us_is_left_alone_and_no_attempt_is_lost() {
    let setup = Setup { roles: "attempts = 1\nretry-seconds = 0.2".to_owned(), ..Setup::default() };
    run_test_with(setup, async |fleet: &mut Fleet| -> Result<()> {
        let repo = repo(fleet, "true").await?;
        let limited = Reply::problem(429, "slow down").with_header("retry-after", "1");
        fleet.forge.fault_next(3, &Fault::Answer(limited));
        let pull = fleet.open_pull(&repo, &change()).await?;
        fleet.wait_for(&pull, "debian", StatusState::Success).await?;
        fleet.settle().await
    })
    .await;
}
