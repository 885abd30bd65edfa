//! What the forge is told in the end, whatever the forge, the broker and the worker go through meanwhile.

use anyhow::{Context, Result};
use common::forge::{NewStatus, StatusState};
use common::id::{CommitSha, RepoName};
use rustix::process::Signal;
use serde_json::{Value, json};
use tests::broker::Restart;
use tests::fleet::{DEADLINE, Fleet, Setup, run_test_with};
use tests::forge::{Fault, StatusRecord};

use super::{repo, with_own_broker};

pub(super) const BEGUN: &str = "c pending: In progress [host]";
const GREEN: &str = "c success: Success [host]";
pub(super) const RED: &str = "c failure: Container exited with code 1 [host]";

/// No receiver, and a worker that performs, which waits so long for a forge at the end of a job.
pub(super) fn patience(seconds: f64) -> Setup {
    Setup {
        webhook: false,
        worker: false,
        execute: format!("slots = 1\npoll-seconds = 0.2\nreport-patience-seconds = {seconds}\n"),
        ..Setup::default()
    }
}

/// A job whose container has begun, and waits for the test.
pub(super) struct Gated {
    pub(super) repo: RepoName,
    pub(super) sha: CommitSha,
}

impl Gated {
    pub(super) async fn begin(fleet: &mut Fleet, exit: u8, report: Value) -> Result<Self> {
        let gate = "while ! git ls-remote --exit-code origin refs/heads/go; do :; done > /dev/null";
        let repo = repo(fleet, &format!("{gate}; exit {exit}")).await?;
        let sha = fleet.git.resolve("octo/app", "main").await?.parse()?;
        let job =
            json!({"job": {"repo": repo, "sha": sha, "context": "c", "slug": "once", "report": report}});
        fleet.publish("public", &job.to_string()).await?;
        fleet.start_worker(&["execute"]).await?;
        fleet.wait_for_container().await?;
        Ok(Self { repo, sha })
    }

    /// Lets it end.
    pub(super) async fn open(fleet: &Fleet) -> Result<()> {
        fleet.git.branch("octo/app", "go", "main").await?;
        Ok(())
    }

    /// Lets it end while the forge is away.
    async fn open_without_forge(fleet: &Fleet) -> Result<()> {
        fleet.forge.go_away("", &Fault::status(502));
        Self::open(fleet).await
    }

    pub(super) fn statuses(&self, fleet: &Fleet) -> Vec<String> {
        fleet.statuses(&self.repo, &self.sha)
    }

    pub(super) async fn wait_for(&self, fleet: &Fleet, state: StatusState) -> Result<StatusRecord> {
        fleet.forge.wait_for_state(&self.repo, &self.sha, "c", state, DEADLINE).await
    }
}

pub(super) async fn wait_for_message(fleet: &mut Fleet, worker: usize, message: &str) -> Result<()> {
    let said = |event: &Value| (event["message"] == message).then_some(());
    fleet.worker(worker)?.wait_until(message, DEADLINE, said).await
}

async fn metric(fleet: &mut Fleet, line: &str) -> Result<bool> {
    let address = fleet.worker(0)?.listening("operator endpoints").await?;
    let metrics = reqwest::get(format!("http://{address}/metrics")).await?.text().await?;
    Ok(metrics.lines().any(|it| it == line))
}

#[tokio::test]
async fn a_forge_that_is_away_for_long_costs_no_slot_and_hears_of_it_in_the_end() {
    run_test_with(patience(0.2), async |fleet: &mut Fleet| -> Result<()> {
        let job = Gated::begin(fleet, 0, Value::Null).await?;
        Gated::open_without_forge(fleet).await?;
        fleet.wait_for_kept(1).await?;
        fleet.settle().await?;
        assert!(metric(fleet, "flotilla_reports_kept 1").await?);
        // The only slot is free.
        fleet.publish("public", r#"{"command": "true"}"#).await?;
        fleet.settle().await?;
        assert_eq!(job.statuses(fleet), [BEGUN]);
        fleet.forge.come_back();
        job.wait_for(fleet, StatusState::Success).await?;
        fleet.wait_for_kept(0).await?;
        assert_eq!(job.statuses(fleet), [BEGUN, GREEN]);
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn a_kept_report_outlives_the_worker() {
    run_test_with(patience(0.2), async |fleet: &mut Fleet| -> Result<()> {
        let job = Gated::begin(fleet, 1, json!({"title": "it failed", "labels": ["nightly"]})).await?;
        Gated::open_without_forge(fleet).await?;
        fleet.wait_for_kept(1).await?;
        fleet.settle().await?;
        fleet.kill_worker(0).await?;
        // A message that asks for the same finds that it is done.
        let again = json!({"job": {"repo": job.repo, "sha": job.sha, "context": "c"}});
        fleet.publish("public", &again.to_string()).await?;
        fleet.start_worker(&["execute"]).await?;
        fleet.forge.come_back();
        let status = job.wait_for(fleet, StatusState::Failure).await?;
        assert!(fleet.log_text(&status).await?.ends_with("*** Failure: Container exited with code 1\n"));
        fleet.wait_for_kept(0).await?;
        fleet.settle().await?;
        assert_eq!(job.statuses(fleet), [BEGUN, RED]);
        let issues = fleet.forge.issues(&job.repo)?;
        assert_eq!(issues.len(), 1, "{issues:?}");
        assert_eq!(
            (issues[0].title.as_str(), issues[0].labels.as_slice()),
            ("it failed", &["nightly".into()][..])
        );
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn a_process_that_takes_one_message_sends_what_is_kept() {
    run_test_with(patience(0.2), async |fleet: &mut Fleet| -> Result<()> {
        let job = Gated::begin(fleet, 0, Value::Null).await?;
        Gated::open_without_forge(fleet).await?;
        fleet.wait_for_kept(1).await?;
        fleet.settle().await?;
        fleet.kill_worker(0).await?;
        fleet.forge.come_back();
        let once = fleet.run_program("run-queue", &["execute", "--once"], "").await?;
        assert_eq!(once.code, Some(1), "nothing to take: {}", once.err);
        assert_eq!(job.statuses(fleet), [BEGUN, GREEN]);
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn a_report_that_another_attempt_has_overtaken_is_dropped() {
    run_test_with(patience(0.2), async |fleet: &mut Fleet| -> Result<()> {
        let job = Gated::begin(fleet, 0, Value::Null).await?;
        Gated::open_without_forge(fleet).await?;
        fleet.wait_for_kept(1).await?;
        fleet.settle().await?;
        fleet.kill_worker(0).await?;
        let newer = NewStatus::new("c".parse()?, StatusState::Pending, "In progress [elsewhere]");
        fleet.forge.set_status(&job.repo, &job.sha, newer)?;
        fleet.forge.come_back();
        fleet.start_worker(&["execute"]).await?;
        wait_for_message(fleet, 0, "a kept report comes too late and is dropped").await?;
        fleet.wait_for_kept(0).await?;
        assert_eq!(job.statuses(fleet), [BEGUN, "c pending: In progress [elsewhere]"]);
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn a_job_that_is_asked_for_again_runs_whatever_is_kept() {
    run_test_with(patience(0.2), async |fleet: &mut Fleet| -> Result<()> {
        let job = Gated::begin(fleet, 1, Value::Null).await?;
        Gated::open_without_forge(fleet).await?;
        fleet.wait_for_kept(1).await?;
        fleet.settle().await?;
        fleet.kill_worker(0).await?;
        let again = NewStatus::new("c".parse()?, StatusState::Pending, "Not yet tested (direct trigger)");
        fleet.forge.set_status(&job.repo, &job.sha, again)?;
        fleet.forge.come_back();
        let message = json!({"job": {"repo": job.repo, "sha": job.sha, "context": "c"}});
        fleet.publish("public", &message.to_string()).await?;
        fleet.start_worker(&["execute"]).await?;
        job.wait_for(fleet, StatusState::Failure).await?;
        fleet.wait_for_kept(0).await?;
        fleet.settle().await?;
        assert_eq!(job.statuses(fleet), [BEGUN, "c pending: Not yet tested (direct trigger)", BEGUN, RED]);
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn what_is_kept_of_one_attempt_does_not_come_after_the_next() {
    run_test_with(patience(0.2), async |fleet: &mut Fleet| -> Result<()> {
        // The first attempt is infrastructure's trouble, of which the forge cannot be told; the second does better.
        let trouble = "git ls-remote --exit-code origin refs/heads/second > /dev/null || exit 121";
        let gate = "while ! git ls-remote --exit-code origin refs/heads/go; do :; done > /dev/null";
        let repo = repo(fleet, &format!("{gate}; {trouble}")).await?;
        let sha: CommitSha = fleet.git.resolve("octo/app", "main").await?.parse()?;
        let job = json!({"job": {"repo": repo, "sha": sha, "context": "c"}});
        fleet.publish("public", &job.to_string()).await?;
        fleet.start_worker(&["execute"]).await?;
        fleet.wait_for_container().await?;
        fleet.forge.go_away("POST", &Fault::status(502));
        Gated::open(fleet).await?;
        fleet.wait_for_kept(1).await?;
        fleet.git.branch("octo/app", "second", "main").await?;
        fleet.forge.come_back();
        fleet.forge.wait_for_state(&repo, &sha, "c", StatusState::Success, DEADLINE).await?;
        fleet.settle().await?;
        let mut statuses = fleet.statuses(&repo, &sha);
        // It may have been told in time, or been dropped.
        statuses.retain(|it| it != "c error: Internal error [host]");
        assert_eq!(statuses, [BEGUN, BEGUN, GREEN]);
        let all = fleet.statuses(&repo, &sha);
        assert_eq!(all[all.len() - 2..], [BEGUN, GREEN], "nothing came between: {all:?}");
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn what_is_kept_is_sent_in_its_order_and_garbage_is_no_obstacle() {
    run_test_with(patience(60.0), async |fleet: &mut Fleet| -> Result<()> {
        let repo = repo(fleet, "true").await?;
        let sha: CommitSha = fleet.git.resolve("octo/app", "main").await?.parse()?;
        let folder = fleet.state_dir().join("reports");
        std::fs::create_dir_all(&folder)?;
        let contexts: Vec<_> = (10..60).rev().map(|it| format!("c{it}")).collect();
        for (number, context) in contexts.iter().enumerate() {
            let status = json!({"context": context, "state": "success", "description": "Success [host]"});
            let report = json!({"forge": "github", "repo": repo, "sha": sha, "task": "t", "context": context,
                                "begun": null, "status": status, "issue": null});
            let record = json!({"version": 1, "record": report});
            std::fs::write(folder.join(format!("{number:03}.json")), record.to_string())?;
        }
        std::fs::write(folder.join("0005.json"), "{\"version\": 1, \"rec")?;
        let unknown = json!({"forge": "github", "repo": repo, "sha": "f".repeat(40), "task": "t", "context": "c",
            "begun": null, "status": {"context": "c", "state": "success", "description": "x"}, "issue": null});
        std::fs::write(
            folder.join("0006.json"),
            json!({"version": 1, "record": unknown}).to_string(),
        )?;
        // A hiccup in the middle, and an answer that is lost.
        fleet.forge.fault_on("POST", 1, &Fault::status(503));
        fleet.forge.fault_on("POST", 1, &Fault::Lost);
        fleet.start_worker(&["execute"]).await?;
        fleet.wait_for_kept(1).await?;
        let posted = fleet.forge.statuses(&repo, &sha);
        let mut posted: Vec<_> = posted.iter().rev().map(|it| it.context.clone()).collect();
        posted.dedup();
        assert_eq!(posted, contexts);
        assert_eq!(fleet.kept_reports()?, ["0005.json.aside"]);
        wait_for_message(fleet, 0, "the forge refuses a kept report, which is dropped").await?;
        Ok(std::fs::remove_file(folder.join("0005.json.aside"))?)
    })
    .await;
}

#[tokio::test]
async fn a_worker_that_is_asked_to_end_does_not_wait_for_the_forge() {
    for signals in [&[Signal::TERM][..], &[Signal::TERM, Signal::INT]] {
        run_test_with(patience(3600.0), async |fleet: &mut Fleet| -> Result<()> {
            let job = Gated::begin(fleet, 0, Value::Null).await?;
            fleet.forge.go_away("", &Fault::Hang);
            Gated::open(fleet).await?;
            let tells = |it: &tests::forge::Recorded| it.method == "POST" && it.status.is_none();
            fleet.forge.wait_for_request(DEADLINE, tells).await?;
            for signal in signals {
                fleet.worker(0)?.signal(*signal)?;
            }
            fleet.worker_ended(0).await?;
            assert_eq!(fleet.waiting().await?, [], "it is done, and nobody does it again");
            assert_eq!(fleet.kept_reports()?.len(), 1);
            fleet.forge.come_back();
            fleet.start_worker(&["execute"]).await?;
            job.wait_for(fleet, StatusState::Success).await?;
            fleet.wait_for_kept(0).await?;
            assert_eq!(job.statuses(fleet), [BEGUN, GREEN]);
            Ok(())
        })
        .await;
    }
}

#[tokio::test]
async fn a_finished_job_whose_delivery_is_lost_does_not_run_again() {
    let mut setup = patience(3600.0);
    setup.execute.push_str("fence-seconds = 1\ntakeover-seconds = 4\n");
    with_own_broker(setup, async |fleet: &mut Fleet| -> Result<()> {
        let job = Gated::begin(fleet, 0, Value::Null).await?;
        fleet.broker.sync().await?;
        Gated::open_without_forge(fleet).await?;
        let tells = |it: &tests::forge::Recorded| it.method == "POST" && it.status == Some(502);
        fleet.forge.wait_for_request(DEADLINE, tells).await?;
        fleet.broker.kill()?;
        fleet.wait_for_kept(1).await?;
        fleet.broker.restart(Restart::Hard).await?;
        fleet.forge.come_back();
        job.wait_for(fleet, StatusState::Success).await?;
        fleet.wait_for_kept(0).await?;
        fleet.settle().await?;
        assert_eq!(job.statuses(fleet), [BEGUN, GREEN]);
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn a_report_that_can_neither_be_sent_nor_kept_keeps_its_slot() {
    run_test_with(patience(0.2), async |fleet: &mut Fleet| -> Result<()> {
        let job = Gated::begin(fleet, 0, Value::Null).await?;
        let folder = fleet.state_dir().join("reports");
        std::fs::remove_dir_all(&folder)?;
        std::fs::write(&folder, "the disk is full, nearly")?;
        Gated::open_without_forge(fleet).await?;
        wait_for_message(fleet, 0, "a report can neither be sent nor kept").await?;
        assert_eq!(fleet.busy().await?, 1, "it is not acknowledged");
        std::fs::remove_file(&folder)?;
        fleet.wait_for_kept(1).await?;
        fleet.forge.come_back();
        job.wait_for(fleet, StatusState::Success).await?;
        fleet.wait_for_kept(0).await?;
        fleet.settle().await
    })
    .await;
}

#[tokio::test]
async fn a_worker_that_could_not_keep_a_report_does_not_begin() {
    run_test_with(patience(60.0), async |fleet: &mut Fleet| -> Result<()> {
        std::fs::write(fleet.state_dir(), "no folder")?;
        let said = fleet.run_program("run-queue", &["execute"], "").await?;
        assert_eq!(said.code, Some(2));
        let all = said.out + &said.err;
        assert!(
            all.contains("reports cannot be kept (worker.state-dir): ") && all.contains("cannot be made"),
            "{all}"
        );
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn who_follows_the_link_of_any_status_finds_out_why() {
    run_test_with(patience(60.0), async |fleet: &mut Fleet| -> Result<()> {
        let repo = repo(fleet, "true").await?;
        let sha = fleet.git.resolve("octo/app", "main").await?;
        let job = json!({"job": {"repo": repo, "sha": sha, "pull": 99, "context": "c", "slug": "why"}});
        fleet.publish("public", &job.to_string()).await?;
        fleet.start_worker(&["execute"]).await?;
        fleet.wait_for_dead().await?;
        let status =
            fleet.forge.wait_for_state(&repo, &sha.parse()?, "c", StatusState::Error, DEADLINE).await?;
        let log = fleet.log_text(&status).await.context("the log of what did not begin")?;
        assert!(
            log.ends_with("*** Internal error: GET repos/octo/app/pulls/99 of forge `github`: not found\n"),
            "{log}"
        );
        fleet.settle().await
    })
    .await;
}
