//! Containers: what operators see of them.

use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, Result};
use common::forge::StatusState;
use run_queue::execute::{Container, Engine as Containers};
use serde_json::{Value, json};
use tests::disk::Disk;
use tests::engine::Engine;
use tests::fleet::{DEADLINE, Fleet, Setup, run_test, run_test_with};
use tests::wait::until;
use tokio::io::AsyncReadExt;

use super::{change, repo};

/// Waits for a branch without a word.
const GATE: &str = "while ! git ls-remote --exit-code origin refs/heads/go > /dev/null; do :; done";

/// The same engine as the fleet's, for the test's own process.
fn engine(fleet: &Fleet) -> Result<Containers> {
    let mut words = vec!["env".to_owned()];
    words.extend(fleet.engine.environment().into_iter().map(|(name, value)| format!("{name}={value}")));
    words.push("podman".to_owned());
    Containers::new(words).context("an engine")
}

#[tokio::test]
async fn a_container_whose_worker_died_is_taken_over_with_all_that_it_printed() {
    run_test_with(Setup { worker: false, ..Setup::default() }, async |fleet: &mut Fleet| -> Result<()> {
        repo(
            fleet,
            &format!(
                "seq 50000; {GATE}; echo kept > $TEST_ATTACHMENTS/left; seq 50001 100000; printf last; exit 7"
            ),
        )
        .await?;
        let tip = fleet.git.resolve("octo/app", "main").await?;
        fleet.publish("public", &json!({"job": {"repo": "octo/app", "sha": tip}}).to_string()).await?;
        fleet.start_worker(&["execute"]).await?;
        fleet.wait_for_container().await?;
        fleet.kill_worker(0).await?;
        let engine = engine(fleet)?;
        let name = fleet.engine.containers().await?.pop().context("no container")?.name;
        let label = "--format={{index .Config.Labels \"flotilla.worker\"}}";
        let worker = fleet.engine.run(&["inspect", label, &name]).await?;
        let found = engine.find(worker.trim()).await?.into_iter().find(|it| it.name == name);
        let found = found.context("it is not found")?;
        assert!(found.runs && found.owner.attempt.number() == 1, "{found:?}");
        let mut container = Container::take_over(&engine, found).await?;
        container.started().await?;
        fleet.git.branch("octo/app", "go", "main").await?;
        let mut text = Vec::new();
        let output = container.output().context("no output")?;
        tokio::time::timeout(DEADLINE, output.read_to_end(&mut text)).await??;
        let text = String::from_utf8(text)?;
        assert!(
            text.contains("Cloning into 'make-checkout-workdir'"),
            "it begins with its first byte: {text}"
        );
        assert!(text.lines().filter_map(|it| it.parse::<u32>().ok()).eq(1..=100_000), "{text}");
        assert!(text.ends_with("\n100000\nlast"), "{:?}", text.get(text.len() - 100..));
        assert_eq!((container.ended().await?, container.ended().await?), (7, 7));
        let mut copying = container.copy_out("/var/tmp/attachments").await?;
        let mut archive = Vec::new();
        copying.stream().context("no stream")?.read_to_end(&mut archive).await?;
        copying.finish().await?;
        assert!(archive.windows(4).any(|it| it == b"kept"));
        container.remove().await?;
        assert_eq!(fleet.engine.containers().await?, []);
        // What the worker had of its own is left, as it was killed; the file of the output is not.
        for entry in std::fs::read_dir(fleet.config_file().with_file_name("tmp"))? {
            let path = entry?.path();
            assert!(!path.ends_with(&name), "{}", path.display());
            std::fs::remove_dir_all(path)?;
        }
        let session = fleet.session().await?;
        let again = session.take(common::queue::Queue::Public).await?.context("the task is back")?;
        again.ack().await?;
        session.close().await;
        Ok(())
    })
    .await;
}

/// podman behind a socket, as a pod sees its node's.
async fn behind_a_socket(engine: &Engine, folder: &Path) -> Result<(tokio::process::Child, String)> {
    let url = format!("unix://{}", folder.join("podman.sock").display());
    let mut service = engine.podman();
    service.args(["system", "service", "--time=0", &url]).stdout(Stdio::null()).stderr(Stdio::null());
    let service = service.spawn()?;
    until("podman's socket", async || Ok(folder.join("podman.sock").exists())).await?;
    Ok((service, format!("command = [\"podman\", \"--remote\", \"--url={url}\"]")))
}

#[tokio::test]
async fn behind_a_socket_jobs_are_the_same_and_outlive_the_attached_process() {
    let folder = tempfile::tempdir().unwrap();
    let engine = Engine::open().await.unwrap();
    let (_service, container) = behind_a_socket(&engine, folder.path()).await.unwrap();
    run_test_with(Setup { container, ..Setup::default() }, async |fleet: &mut Fleet| -> Result<()> {
        let script = format!("seq 20000; {GATE}; echo x > $TEST_ATTACHMENTS/left; seq 20001 40000; exit 3");
        let repo = repo(fleet, &script).await?;
        let pull = fleet.open_pull(&repo, &change()).await?;
        fleet.wait_for_container().await?;
        let clients = fleet.engine.attached_clients()?;
        assert_eq!(clients.len(), 1, "{clients:?}");
        rustix::process::kill_process(clients[0], rustix::process::Signal::KILL)?;
        fleet.git.branch("octo/app", "go", "main").await?;
        let status = fleet.wait_for(&pull, "debian", StatusState::Failure).await?;
        assert!(
            status.description.as_deref().is_some_and(|it| it.contains("exited with code 3")),
            "{status}"
        );
        let log = fleet.log_text(&status).await?;
        assert!(log.lines().filter_map(|it| it.parse::<u32>().ok()).eq(1..=40_000), "{log}");
        assert!(fleet.log_folder(&status)?.join("left").exists());
        fleet.settle().await
    })
    .await;
}

/// The end of the log of a job that could not begin, and the reason why its message is dead.
async fn trouble(setup: Setup, expected: &str) {
    let setup = Setup { roles: "attempts = 1".to_owned(), ..setup };
    run_test_with(setup, async |fleet: &mut Fleet| -> Result<()> {
        let repo = repo(fleet, "true").await?;
        let tip = fleet.git.resolve("octo/app", "main").await?;
        let job = json!({"job": {"repo": "octo/app", "sha": tip, "context": "c"}});
        fleet.publish("public", &job.to_string()).await?;
        let status =
            fleet.forge.wait_for_state(&repo, &tip.parse()?, "c", StatusState::Error, DEADLINE).await?;
        assert!(status.description.as_deref().is_some_and(|it| it.starts_with("Internal error")), "{status}");
        let log = fleet.log_text(&status).await?;
        let last = log.split("*** Internal error: ").nth(1).with_context(|| log.clone())?;
        assert!(last.contains(expected), "{log}");
        let dead = fleet.wait_for_dead().await?;
        assert!(
            dead.reason.starts_with("out of attempts: ") && dead.reason.contains(expected),
            "{}",
            dead.reason
        );
        fleet.settle().await
    })
    .await;
}

#[tokio::test]
async fn an_engine_that_is_not_there_is_an_error() {
    let container = "command = [\"/nonexistent/podman\"]".to_owned();
    trouble(Setup { container, ..Setup::default() }, "`/nonexistent/podman` cannot be started").await;
}

#[tokio::test]
async fn an_engine_that_does_not_know_its_options_is_an_error() {
    trouble(
        Setup { run_args: vec!["--no-such-option".to_owned()], ..Setup::default() },
        "unknown flag: --no-such-option",
    )
    .await;
}

#[tokio::test]
async fn a_mount_of_something_that_is_not_there_is_an_error() {
    let run_args = vec!["--volume=/nonexistent/by/operator:/x".to_owned()];
    trouble(Setup { run_args, ..Setup::default() }, "/nonexistent/by/operator").await;
}

#[tokio::test]
async fn jobs_have_a_network_of_their_own() -> Result<()> {
    let engine = Engine::open().await?;
    if engine.run(&["run", "--rm", "--network=private", engine.image(), "true"]).await.is_err() {
        eprintln!("skipped: this machine has no networks for containers");
        return Ok(());
    }
    // The server of repositories listens on this machine alone.
    trouble(Setup { own_network: true, ..Setup::default() }, "the repository could not be cloned").await;
    Ok(())
}

#[tokio::test]
async fn a_job_that_is_waiting_for_its_image_can_be_ended() {
    // An engine that never gets on with it, as a registry that hangs makes it.
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("engine");
    let text = "#!/bin/sh\ncase \"$1\" in\ninfo) echo false ;;\nrun) echo begun >> \"$0.begun\"; exec sleep 1000 ;;\nrm) echo removed >> \"$0.removed\" ;;\nesac\n";
    std::fs::write(&script, text).unwrap();
    std::fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let container = format!("command = [\"{}\"]", script.display());
    run_test_with(Setup { container, ..Setup::default() }, async |fleet: &mut Fleet| -> Result<()> {
        let repo = repo(fleet, "true").await?;
        let pull = fleet.open_pull(&repo, &change()).await?;
        until("the engine's call", async || Ok(folder.path().join("engine.begun").exists())).await?;
        fleet.forge.close(&repo, pull.number)?;
        let status = fleet.wait_for(&pull, "debian", StatusState::Failure).await?;
        let log = fleet.log_text(&status).await?;
        assert!(log.ends_with("*** Failure: octo/app#1 is closed\n"), "{log}");
        assert!(folder.path().join("engine.removed").exists());
        fleet.settle().await
    })
    .await;
}

#[tokio::test]
async fn containers_have_their_bounds_and_say_whose_they_are() {
    let container = "capabilities = [\"CHOWN\"]\npids = 100\nmemory-megabytes = 300\n".to_owned();
    run_test_with(Setup { container, ..Setup::default() }, async |fleet: &mut Fleet| -> Result<()> {
        repo(fleet, GATE).await?;
        fleet.publish("public", r#"{"job": {"repo": "octo/app", "branch": "main", "slug": "s"}}"#).await?;
        fleet.wait_for_container().await?;
        let id = fleet.engine.containers().await?.pop().context("no container")?.id;
        let all: Value = serde_json::from_str(&fleet.engine.run(&["inspect", &id]).await?)?;
        let (labels, host) = (&all[0]["Config"]["Labels"], &all[0]["HostConfig"]);
        let worker = labels["flotilla.worker"].as_str().context("no worker")?;
        assert!(worker.starts_with(&format!("{}.", common::hostname())), "{worker}");
        assert_eq!(labels["flotilla.attempt"], "1");
        let name = format!("flotilla-{}-1-", labels["flotilla.task"].as_str().context("no task")?);
        assert!(all[0]["Name"].as_str().is_some_and(|it| it.starts_with(&name)), "{name}");
        let output = labels["flotilla.output"].as_str().context("no output")?;
        let mode = std::os::unix::fs::PermissionsExt::mode(
            &Path::new(output).parent().context("a folder")?.metadata()?.permissions(),
        );
        assert_eq!(mode & 0o777, 0o700, "nobody else reads what jobs print");
        assert_eq!(
            (&host["PidsLimit"], &host["Memory"], &host["MemorySwap"]),
            (&json!(100), &json!(314_572_800), &json!(314_572_800))
        );
        assert_eq!((&host["PidMode"], &host["Privileged"]), (&json!("private"), &json!(false)));
        assert_ne!(host["IpcMode"], "host");
        assert_eq!(all[0]["EffectiveCaps"], json!(["CAP_CHOWN"]));
        fleet.git.branch("octo/app", "go", "main").await?;
        fleet.settle().await?;
        assert!(!Path::new(output).exists());
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn a_container_that_somebody_removes_is_an_error_and_runs_again() {
    run_test(async |fleet: &mut Fleet| -> Result<()> {
        let repo = repo(fleet, GATE).await?;
        let pull = fleet.open_pull(&repo, &change()).await?;
        fleet.wait_for_container().await?;
        fleet.engine.remove_containers().await?;
        fleet.git.branch("octo/app", "go", "main").await?;
        fleet.wait_for(&pull, "debian", StatusState::Success).await?;
        fleet.settle().await?;
        let statuses = fleet.statuses(&repo, &pull.sha);
        assert_eq!(statuses[2], "debian error: Internal error [host]", "{statuses:?}");
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn a_container_that_has_no_room_on_the_disk_is_tried_again() -> Result<()> {
    let Some(disk) = Disk::make()? else {
        eprintln!("skipped: only root can make a small disk");
        return Ok(());
    };
    let engine = Engine::open().await?;
    let images = engine.run(&["info", "--format={{.Store.GraphRoot}}"]).await?;
    let [root, run] = ["root", "run"].map(|it| disk.folder().join(it).display().to_string());
    let options = [
        format!("--root={root}"),
        format!("--runroot={run}"),
        format!("--storage-opt=imagestore={}", images.trim()),
    ];
    let [root, run, images] = options.each_ref().map(String::as_str);
    let setup = Setup {
        container: format!("command = {}", json!(["podman", root, run, images])),
        roles: "retry-seconds = 0.5\nattempts = 10\n".to_owned(),
        ..Setup::default()
    };
    run_test_with(setup, async |fleet: &mut Fleet| -> Result<()> {
        let repo = repo(fleet, "echo ran").await?;
        // What the engine needs before it can make any container is there.
        fleet.engine.run(&[root, run, images, "images"]).await?;
        disk.fill()?;
        let pull = fleet.open_pull(&repo, &change()).await?;
        fleet.wait_for(&pull, "debian", StatusState::Error).await?;
        let words = |it: &Value| {
            it["reason"].as_str().filter(|it| it.contains("no space left on device")).map(str::to_owned)
        };
        fleet.worker(0)?.wait_until("the engine's words", DEADLINE, words).await?;
        disk.clear()?;
        let status = fleet.wait_for(&pull, "debian", StatusState::Success).await?;
        assert!(fleet.log_text(&status).await?.contains("ran\n"));
        fleet.settle().await
    })
    .await;
    Ok(())
}
