//! How jobs end, and who is told.

use std::process::Stdio;

use anyhow::{Context, Result};
use common::forge::{NewStatus, StatusState};
use rustix::process::{Pid, Signal, kill_process};
use tests::fleet::{DEADLINE, Fleet, Pull};
use tests::forge::Access;

use super::{configure, file, finished, log, program, repo, run_test, run_to, settings};
use crate::fleet::change;

async fn pull(fleet: &Fleet, script: &str) -> Result<Pull> {
    let repo = repo(fleet, script).await?;
    Ok(fleet.draft_pull("alice", &repo, &change()).await?.0)
}

#[tokio::test]
async fn a_green_job_is_told_and_its_log_can_be_watched() {
    run_test(async |fleet: &mut Fleet| -> Result<()> {
        configure(fleet, "")?;
        let script =
            "printf 'caf\\303\\251 \\377\\033[1m\\n'; echo shot > \"$TEST_ATTACHMENTS/a.txt\"; cat README";
        let pull = pull(fleet, script).await?;
        let words = ["--debug", "run", "octo/app", "--pull", "1", "--context", "debian", "--slug", "s"];
        let said = run_to(fleet, 0, &words).await?;
        let expected = ["debian pending: In progress [host]", "debian success: Success [host]"];
        assert_eq!(fleet.statuses(&pull.repo, &pull.sha), expected);
        let log = log(fleet, "s")?;
        assert!(log.contains("caf\u{e9} \u{fffd}\u{1b}[1m\na change\n"), "{log}");
        assert!(log.starts_with(&format!("debian@octo/app#{}\n", pull.sha.short(12))), "{log}");
        assert!(log.ends_with("Job ran successfully.  :)\n"), "{log}");
        assert_eq!(String::from_utf8(said.out)?, log, "what is shown is the log");
        assert!(said.err.contains("DEBUG"), "{}", said.err);
        assert!(fleet.logs_dir().join("s/a.txt").exists());
        let url = format!("{}/s/log.html", fleet.logs_url());
        assert!(said.err.ends_with(&format!("job-runner: Success; log: {url}\n")), "{}", said.err);
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn a_red_job_opens_its_issue_and_runs_what_it_was_told() {
    run_test(async |fleet: &mut Fleet| -> Result<()> {
        configure(fleet, "")?;
        let pull = pull(fleet, "true").await?;
        let report = r#"{"labels": ["nightly"]}"#;
        let words = [
            "run",
            "octo/app",
            "--sha",
            pull.sha.as_str(),
            "--context",
            "c",
            "--slug",
            "s",
            "--report",
            report,
            "--env",
            "WORD=a b",
            "--target",
            "main",
            "sh",
            "-c",
            "echo \"[$WORD]\"; exit 4",
            "--pull",
        ];
        let said = run_to(fleet, 1, &words).await?;
        let expected = ["c pending: In progress [host]", "c failure: Container exited with code 4 [host]"];
        assert_eq!(fleet.statuses(&pull.repo, &pull.sha), expected);
        assert!(log(fleet, "s")?.ends_with("[a b]\n\n*** Failure: Container exited with code 4\n"));
        assert!(said.out.is_empty(), "nobody asked for the log");
        let issues = fleet.forge.issues(&pull.repo)?;
        assert_eq!((issues.len(), issues[0].title.as_str()), (1, "c failed"));
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn a_commit_with_a_verdict_is_tested_once_more() {
    run_test(async |fleet: &mut Fleet| -> Result<()> {
        configure(fleet, "")?;
        let pull = pull(fleet, "true").await?;
        let red = NewStatus::new("debian".parse()?, StatusState::Failure, "long ago");
        fleet.forge.set_status(&pull.repo, &pull.sha, red)?;
        let message = format!(
            r#"{{"job": {{"repo": "octo/app", "pull": 1, "sha": "{}", "context": "debian"}}, "human": "x"}}"#,
            pull.sha
        );
        run_to(fleet, 0, &["json", &message]).await?;
        assert_eq!(
            fleet.statuses(&pull.repo, &pull.sha).last().context("a status")?,
            "debian success: Success [host]"
        );
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn a_pull_that_is_closed_or_has_moved_on_is_not_tested() {
    run_test(async |fleet: &mut Fleet| -> Result<()> {
        configure(fleet, "")?;
        let old = pull(fleet, "true").await?;
        let new = fleet.git.extend_pull("octo/app", 1, &change()).await?.parse()?;
        fleet.forge.push(&old.repo, old.number, &new)?;
        let words = ["run", "octo/app", "--pull", "1", "--sha", old.sha.as_str(), "--context", "debian"];
        run_to(fleet, 1, &words).await?;
        let expected = ["debian pending: In progress [host]", "debian failure: octo/app#1 changed [host]"];
        assert_eq!(fleet.statuses(&old.repo, &old.sha), expected);
        fleet.forge.close(&old.repo, old.number)?;
        run_to(fleet, 1, &["run", "octo/app", "--pull", "1", "--context", "debian"]).await?;
        let expected = ["debian pending: In progress [host]", "debian failure: octo/app#1 is closed [host]"];
        assert_eq!(fleet.statuses(&old.repo, &new), expected);
        // Who means the commit, whatever becomes of the pull, leaves the pull away.
        run_to(fleet, 0, &["run", "octo/app", "--sha", new.as_str()]).await.map(drop)
    })
    .await;
}

#[tokio::test]
async fn without_post_nothing_is_written_and_it_is_said_what_would_be() {
    run_test(async |fleet: &mut Fleet| -> Result<()> {
        // The token alone is for reading.
        std::fs::write(file(fleet, "job-runner.toml"), settings(fleet, ""))?;
        let pull = pull(fleet, "exit 1").await?;
        let words = ["run", "octo/app", "--pull", "1", "--context", "debian", "--report", "{}"];
        let said = run_to(fleet, 1, &words).await?;
        assert!(fleet.statuses(&pull.repo, &pull.sha).is_empty());
        assert!(fleet.forge.issues(&pull.repo)?.is_empty());
        for word in [
            "would post a status",
            "In progress",
            "exited with code 1",
            "would open an issue",
            "debian failed",
        ] {
            assert!(said.err.contains(word), "{word}: {}", said.err);
        }
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn who_stops_a_job_has_it_told_as_cancelled() {
    run_test(async |fleet: &mut Fleet| -> Result<()> {
        configure(fleet, "")?;
        let pull = pull(fleet, "echo it runs; sleep 1000").await?;
        for (number, signal) in [Signal::INT, Signal::TERM].into_iter().enumerate() {
            let (context, slug) = (format!("c{number}"), format!("s{number}"));
            let mut command = program(fleet)?;
            command.args(["run", "octo/app", "--pull", "1", "--context", &context, "--slug", &slug]);
            command.stdout(Stdio::piped()).stderr(Stdio::piped());
            let child = command.spawn()?;
            fleet.wait_for_container().await?;
            let container = fleet.engine.containers().await?.pop().context("a container")?.id;
            let label = "--format={{index .Config.Labels \"flotilla.worker\"}}";
            let label = fleet.engine.run(&["inspect", label, &container]).await?;
            assert_eq!(
                label.trim(),
                format!("by-hand/{}", common::hostname()),
                "no worker takes it for its own"
            );
            let id = child.id().and_then(|it| i32::try_from(it).ok()).and_then(Pid::from_raw);
            kill_process(id.context("it has ended")?, signal)?;
            let output = tokio::time::timeout(DEADLINE, child.wait_with_output()).await??;
            assert_eq!(output.status.code(), Some(130), "{}", String::from_utf8_lossy(&output.stderr));
            assert!(fleet.engine.containers().await?.is_empty());
            let expected = format!("{context} error: Cancelled [host]");
            assert_eq!(fleet.statuses(&pull.repo, &pull.sha).last(), Some(&expected));
            assert!(log(fleet, &slug)?.ends_with("\n*** Job cancelled\n"));
        }
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn what_is_not_the_users_fault_has_an_exit_code_of_its_own() {
    run_test(async |fleet: &mut Fleet| -> Result<()> {
        configure(fleet, "")?;
        let pull = pull(fleet, "true").await?;
        let by_hand = ["run", "octo/app", "--pull", "1", "--context", "debian"];
        let said =
            run_to(fleet, 3, &[&by_hand[..], &["--container", "localhost/nowhere:none"]].concat()).await?;
        assert!(said.err.contains("job-runner: Internal error: `podman run` ended with"), "{}", said.err);
        let expected = ["debian pending: In progress [host]", "debian error: Internal error [host]"];
        assert_eq!(fleet.statuses(&pull.repo, &pull.sha), expected);
        let broken = settings(fleet, "post = true")
            .replace("[container]\n", "[container]\ncommand = [\"no-such-engine\"]\n");
        std::fs::write(file(fleet, "broken.toml"), broken)?;
        let config = file(fleet, "broken.toml").display().to_string();
        let said = run_to(fleet, 3, &[&by_hand[..], &["-F", &config]].concat()).await?;
        assert!(said.err.contains("the container engine `no-such-engine` cannot be started"), "{}", said.err);
        let away = settings(fleet, "").replace(fleet.forge.url(), "http://127.0.0.1:1/");
        std::fs::write(file(fleet, "away.toml"), away)?;
        let mut command = program(fleet)?;
        command.args(["-F", "away.toml"]).args(by_hand).current_dir(file(fleet, ""));
        assert_eq!(finished(&mut command).await?.code, Some(3));
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn a_forge_that_does_not_listen_is_waited_for_as_long_as_the_person_likes() {
    run_test(async |fleet: &mut Fleet| -> Result<()> {
        configure(fleet, "")?;
        let pull =
            pull(fleet, "while ! git ls-remote --exit-code origin refs/heads/go; do :; done > /dev/null")
                .await?;
        let mut command = program(fleet)?;
        command.args(["run", "octo/app", "--pull", "1", "--context", "c", "--slug", "s"]);
        let child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
        fleet.wait_for_container().await?;
        fleet.forge.set_access(Access::Token("another".to_owned()));
        fleet.git.branch("octo/app", "go", "main").await?;
        fleet.forge.wait_for_request(DEADLINE, |it| it.method == "POST" && it.status == Some(401)).await?;
        let id = child.id().and_then(|it| i32::try_from(it).ok()).and_then(Pid::from_raw);
        kill_process(id.context("it has ended")?, Signal::INT)?;
        let output = tokio::time::timeout(DEADLINE, child.wait_with_output()).await??;
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(3), "{said}");
        assert!(
            said.contains("job-runner: Success; log: ") && said.contains("the forge does not know: "),
            "{said}"
        );
        assert!(log(fleet, "s")?.ends_with("Job ran successfully.  :)\n"));
        assert_eq!(fleet.statuses(&pull.repo, &pull.sha), ["c pending: In progress [host]"]);
        Ok(())
    })
    .await;
}
