//! The secrets of jobs: who gets which, and what is left of them.

use anyhow::{Context, Result, ensure};
use common::forge::{NewStatus, StatusState};
use common::id::{PullNumber, RepoName};
use rustix::process::Signal;
use serde_json::{Value, json};
use tests::fleet::{DEADLINE, Fleet, Pull, Setup, run_test_with};
use tests::git::File;

use super::change;

/// A secret for everybody, one for a repository, one for listed authors, and a folder.
const SECRETS: &str = r#"
[container.secrets]
open = ["--volume=%{open}:/run/s/open:ro"]
ours = ["--volume=%{ours}:/run/s/ours:ro"]
listed = ["--volume=%{listed}:/run/s/listed:ro"]
[secrets.inline]
open = "sesame"
ours = "hunter\n2 🔑\n"
[secrets.inline.listed]
".key" = "key"
cert = "cert"
[secrets.allow.ours]
repos = ["octo/app", "none/*"]
authors = "any"
[secrets.allow.listed]
"#;

/// Tells which secrets a job has, and that each is what it should be.
const SCRIPT: &str = "#!/bin/sh -e\necho \"has:$(cd /run/s 2>/dev/null && echo * || echo ' none')\"\n\
    if [ -e /run/s/ours ]; then [ \"$(cat /run/s/ours)\" = \"$(printf 'hunter\\n2 \\360\\237\\224\\221')\" ]; fi\n\
    if [ -e /run/s/listed ]; then [ \"$(cat /run/s/listed/.key /run/s/listed/cert)\" = keycert ]; fi\n";

fn setup() -> Setup {
    Setup {
        config: SECRETS.to_owned(),
        scan: "allow-list = [\"alice\"]\nsecrets = [\"open\", \"ours\", \"listed\"]\n\
               [scan.test-map]\n\"octo/app\" = {main = [\"debian\"]}\n\"octo/other\" = {main = [\"debian\"]}\n"
            .to_owned(),
        ..Setup::default()
    }
}

async fn repo(fleet: &Fleet, name: &str) -> Result<RepoName> {
    fleet.create_repo(name, &[File::new(".cockpit-ci/run", SCRIPT).executable()]).await
}

/// What a job's log says that it had, and that it was not given.
async fn told(fleet: &Fleet, pull: &Pull, context: &str) -> Result<(String, Vec<String>)> {
    let status = fleet.wait_for(pull, context, StatusState::Success).await?;
    let log = fleet.log_text(&status).await?;
    ensure!(!log.contains("sesame") && !log.contains("hunter"), "secrets stay out of logs: {log}");
    let had = log.lines().find_map(|it| it.strip_prefix("has:")).with_context(|| log.clone())?;
    let not_given = log.lines().filter_map(|it| it.strip_prefix("Not given: ")).map(str::to_owned).collect();
    Ok((had.to_owned(), not_given))
}

#[tokio::test]
async fn a_rule_says_whose_jobs_get_a_secret() {
    run_test_with(setup(), async |fleet: &mut Fleet| -> Result<()> {
        let (app, other) = (repo(fleet, "octo/app").await?, repo(fleet, "octo/other").await?);
        let listed = fleet.open_pull(&app, &change()).await?;
        assert_eq!(told(fleet, &listed, "debian").await?, ("listed open ours".to_owned(), vec![]));
        let elsewhere = fleet.open_pull(&other, &change()).await?;
        let (had, not_given) = told(fleet, &elsewhere, "debian").await?;
        assert_eq!(had, "listed open");
        let expected = "the secret `ours` is withheld: by secrets.allow.ours it is not for octo/other";
        assert_eq!(not_given, [expected]);
        // A maintainer has the pull of a stranger tested: that is no word for its secrets.
        let stranger = fleet.open_pull_as("mallory", &app, &change()).await?;
        fleet.wait_for(&stranger, "debian", StatusState::Pending).await?;
        let trigger =
            NewStatus::new("debian".parse()?, StatusState::Pending, "Not yet tested (direct trigger)");
        fleet.deliver_ok(&fleet.forge.set_status(&app, &stranger.sha, trigger)?).await?;
        let (had, not_given) = told(fleet, &stranger, "debian").await?;
        assert_eq!(had, "open ours");
        assert!(
            not_given[0].contains("not for pulls of \"mallory\", who is not on the allow list"),
            "{not_given:?}"
        );
        fleet.settle().await?;
        let said = fleet.worker(0)?.said();
        assert!(!said.contains("sesame") && !said.contains("hunter"), "secrets stay out of logs");
        Ok(())
    })
    .await;
}

/// Runs a job by hand and says what it had.
async fn had(fleet: &Fleet, context: &str, job: Value) -> Result<String> {
    let mut job = job;
    job["context"] = context.into();
    job["secrets"] = json!(["open", "ours", "listed"]);
    let (repo, sha) = (job["repo"].as_str().unwrap_or_default(), job["sha"].as_str().unwrap_or_default());
    let pull = Pull { repo: repo.parse()?, number: PullNumber::new(1).context("1")?, sha: sha.parse()? };
    fleet.publish("public", &json!({"job": job}).to_string()).await?;
    told(fleet, &pull, context).await.map(|it| it.0)
}

#[tokio::test]
async fn what_counts_is_what_the_forge_says_of_a_commit() {
    run_test_with(setup(), async |fleet: &mut Fleet| -> Result<()> {
        let (app, _other) = (repo(fleet, "octo/app").await?, repo(fleet, "octo/other").await?);
        let tip = fleet.git.resolve("octo/app", "main").await?;
        let other_tip = fleet.git.resolve("octo/other", "main").await?;
        let (pull, _) = fleet.draft_pull("mallory", &app, &change()).await?;
        let stranger = pull.sha.as_str();
        // The tip of a branch is the repository's own.
        assert_eq!(had(fleet, "tip", json!({"repo": "octo/app", "sha": tip})).await?, "listed open ours");
        // A stranger's commit is, without its pull, nobody's.
        assert_eq!(had(fleet, "bare", json!({"repo": "octo/app", "sha": stranger})).await?, "open ours");
        assert_eq!(
            had(fleet, "pull", json!({"repo": "octo/app", "pull": 1, "sha": stranger})).await?,
            "open ours"
        );
        // What runs counts, and what it runs for.
        let from = |subject: Value| json!({"repo": "octo/app", "sha": tip, "command_subject": subject});
        let subject = json!({"forge": "", "repo": "octo/other", "branch": "main"});
        assert_eq!(had(fleet, "from-other", from(subject)).await?, "listed open");
        let subject = json!({"forge": "", "repo": "octo/app", "pull": 1});
        assert_eq!(had(fleet, "from-stranger", from(subject)).await?, "open ours");
        let subject = json!({"forge": "", "repo": "octo/app", "pull": 1, "sha": tip});
        assert_eq!(had(fleet, "from-another", from(subject)).await?, "open ours");
        let for_other = json!({
            "repo": "octo/other", "sha": other_tip,
            "command_subject": {"forge": "", "repo": "octo/app", "branch": "main"},
        });
        assert_eq!(had(fleet, "for-other", for_other).await?, "listed open");
        fleet.settle().await
    })
    .await;
}

/// Publishes a job that has a secret and waits for a word, and starts a worker that runs it.
async fn start_waiting(fleet: &mut Fleet) -> Result<(RepoName, String)> {
    let wait = "#!/bin/sh\n[ -e /run/s/open ] || exit 1\nuntil git ls-remote --exit-code origin refs/heads/go; do :; done\n";
    let repo = fleet.create_repo("octo/app", &[File::new(".cockpit-ci/run", wait).executable()]).await?;
    let tip = fleet.git.resolve("octo/app", "main").await?;
    let job = json!({"job": {"repo": "octo/app", "sha": tip, "context": "c", "secrets": ["open"]}});
    fleet.publish("public", &job.to_string()).await?;
    fleet.start_worker(&["execute"]).await?;
    fleet.wait_for_container().await?;
    ensure!(fleet.secrets_in_memory()?.len() == 1, "{:?}", fleet.secrets_in_memory());
    Ok((repo, tip))
}

#[tokio::test]
async fn a_killed_workers_secrets_are_gone_when_the_next_one_starts() {
    let execute = "slots = 2\npoll-seconds = 0.2\nfence-seconds = 1\ntakeover-seconds = 4\n".to_owned();
    let setup = Setup { worker: false, execute, ..setup() };
    run_test_with(setup, async |fleet: &mut Fleet| -> Result<()> {
        let (repo, tip) = start_waiting(fleet).await?;
        let left = fleet.secrets_in_memory()?;
        fleet.kill_worker(0).await?;
        assert_eq!(fleet.secrets_in_memory()?, left, "nobody was there to remove them");
        fleet.engine.remove_containers().await?;
        // What else it left is not what this is about.
        std::fs::remove_dir_all(fleet.folders()[0].join("tmp"))?;
        fleet.start_worker(&["execute"]).await?;
        let removed = |event: &Value| {
            let text = event["message"].as_str().unwrap_or_default();
            text.contains("left by a worker that is gone").then_some(())
        };
        fleet.worker(0)?.wait_until("that it has removed them", DEADLINE, removed).await?;
        assert!(!left[0].exists());
        fleet.wait_for_container().await?;
        // Another worker leaves those of the living alone.
        fleet.start_worker(&["scan"]).await?;
        fleet.start_worker(&["execute", "--slots", "1"]).await?;
        assert_eq!(fleet.secrets_in_memory()?.len(), 1);
        fleet.git.branch("octo/app", "go", "main").await?;
        fleet.forge.wait_for_state(&repo, &tip.parse()?, "c", StatusState::Success, DEADLINE).await?;
        fleet.settle().await
    })
    .await;
}

#[tokio::test]
async fn a_worker_that_leaves_takes_its_secrets_with_it() {
    let setup = Setup { worker: false, ..setup() };
    run_test_with(setup, async |fleet: &mut Fleet| -> Result<()> {
        let (repo, tip) = start_waiting(fleet).await?;
        fleet.worker(0)?.signal(Signal::TERM)?;
        fleet.worker(0)?.signal(Signal::INT)?;
        fleet.worker_ended(0).await?;
        assert!(fleet.secrets_in_memory()?.is_empty());
        fleet.git.branch("octo/app", "go", "main").await?;
        fleet.start_worker(&["execute"]).await?;
        fleet.forge.wait_for_state(&repo, &tip.parse()?, "c", StatusState::Success, DEADLINE).await?;
        fleet.settle().await
    })
    .await;
}

#[tokio::test]
async fn a_worker_that_cannot_keep_a_secret_does_not_begin() {
    let setup = Setup { worker: false, webhook: false, ..setup() };
    run_test_with(setup, async |fleet: &mut Fleet| -> Result<()> {
        let folder = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR"))?;
        let text = std::fs::read_to_string(fleet.config_file())?;
        let memory = format!("[secrets]\ndir = \"{}\"", folder.path().display());
        let (before, after) = text.split_once("[secrets]\n").context("[secrets]")?;
        let after = after.split_once('\n').context("dir")?.1;
        std::fs::write(fleet.config_file(), format!("{before}{memory}\n{after}"))?;
        let said = fleet.run_program("run-queue", &["execute", "--once"], "").await?;
        assert_eq!(said.code, Some(2), "{said:?}");
        assert!(said.err.contains("no folder in memory for inline secrets"), "{said:?}");
        // A rule about authors is nothing without a list of them.
        let nobody = text.replace("allow-list = [\"alice\"]\n", "");
        std::fs::write(fleet.config_file(), nobody)?;
        let said = fleet.run_program("run-queue", &["execute", "--check-config"], "").await?;
        assert_eq!(said.code, Some(2), "{said:?}");
        assert!(said.err.contains("secrets.allow.listed: asks for the allow list"), "{said:?}");
        let said = fleet.run_program("run-queue", &["scan", "--check-config"], "").await?;
        assert_eq!(said.code, Some(0), "only who performs jobs: {said:?}");
        Ok(())
    })
    .await;
}
