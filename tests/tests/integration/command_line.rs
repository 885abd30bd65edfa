//! What programs say before they do anything.

use std::path::Path;

use anyhow::Result;
use tests::fleet::binary;
use tokio::process::Command;

struct Said {
    code: Option<i32>,
    out: String,
    err: String,
}

async fn run(program: &str, arguments: &[&str], folder: &Path) -> Result<Said> {
    let output = Command::new(binary(program)?)
        .args(arguments)
        .current_dir(folder)
        .env_remove("FLOTILLA_CONFIG")
        .env_remove("AMQP_SERVER")
        .env("HOME", folder)
        .output()
        .await?;
    let text = |it: Vec<u8>| String::from_utf8_lossy(&it).into_owned();
    Ok(Said { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) })
}

#[tokio::test]
async fn every_program_explains_itself() -> Result<()> {
    let folder = tempfile::tempdir()?;
    for (program, word) in [
        ("webhook", "--listen"),
        ("run-queue", "execute"),
        ("publish-queue", "--queue"),
        ("inspect-queue", "--human"),
        ("credentials", "fleet"),
        ("tests-scan", "--pull-data"),
        ("issue-scan", "--issues-data"),
        ("tests-trigger", "--requeue"),
        ("job-runner", "--shell-on-failure"),
    ] {
        let said = run(program, &["--help"], folder.path()).await?;
        assert_eq!(said.code, Some(0), "{program}");
        assert!(said.out.contains(word), "{program}: {}", said.out);
        assert_eq!(run(program, &["--version"], folder.path()).await?.code, Some(0), "{program}");
        assert_eq!(run(program, &["--nonsense"], folder.path()).await?.code, Some(2), "{program}");
    }
    Ok(())
}

#[tokio::test]
async fn all_problems_of_a_configuration_are_reported_at_once() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let config = "[broker]\namqp = \"nowhere\"\ninternal-queue = \"public\"\n\n\
                  [execute]\nslots = 0\nqueues = [\"webhook\"]\nspeed = 9\n\n\
                  [scan.test-map]\n\"o\" = { main = [\"@\"] }\n\n\
                  [logs]\ndriver = \"s3\"\n\n[nonsense]\n";
    std::fs::write(folder.path().join("c.toml"), config)?;
    let said = run("run-queue", &["--check-config", "--config", "c.toml"], folder.path()).await?;
    assert_eq!(said.code, Some(2));
    for problem in [
        "c.toml:2: broker.amqp: ",
        "c.toml:3: broker.internal-queue: expected",
        "c.toml:6: execute.slots: expected a whole number from 1 to 256",
        "c.toml:7: execute.queues: expected queues of tasks",
        "c.toml:8: execute.speed: is no known key",
        "c.toml:11: scan.test-map.o: expected [forge:]owner/name",
        "logs.s3.url: is missing",
        "c.toml:16: nonsense: is no known table",
    ] {
        assert!(said.err.contains(problem), "{problem}\nis not in\n{}", said.err);
    }
    Ok(())
}

#[tokio::test]
async fn the_job_runner_configuration_of_an_existing_deployment_is_valid() -> Result<()> {
    let folder = tempfile::tempdir()?;
    std::fs::write(folder.path().join("token"), "s3cret\n")?;
    let config = "[logs]\ndriver = \"local\"\n[logs.local]\ndir = \"logs\"\nlink = \"https://logs.example/\"\n\
                  [logs.s3]\nurl = \"https://bucket.example/\"\nkey = [{file=\"token\"}]\n\
                  [forge.github]\ndriver = \"github\"\npost = true\ntoken = [{file=\"token\"}]\n\
                  [container]\ncommand = [\"podman-remote\", \"--url=unix:///podman.sock\"]\n\
                  run-args = [\"--memory=24g\"]\ndefault-image = \"ghcr.io/octo/tasks:latest\"\n\
                  [container.secrets]\nimage-upload = [\"-v=%{image-upload}:/run/secrets/s3-keys:ro\"]\n\
                  [secrets.external]\nimage-upload = \"~/.config/s3-keys\"\n\
                  [secrets.inline]\ntoken = [{file=\"token\"}]\nfolder = {one = \"1\", two = [{file=\"token\"}]}\n";
    std::fs::write(folder.path().join("job-runner.toml"), config)?;
    let said = run("run-queue", &["--check-config", "--config", "job-runner.toml"], folder.path()).await?;
    assert_eq!(said.code, Some(0), "{}", said.err);
    Ok(())
}

#[tokio::test]
async fn no_configuration_at_all_is_valid_where_the_broker_is_this_machine() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let said = run("run-queue", &["--check-config"], folder.path()).await?;
    assert_eq!(said.code, Some(0), "{}", said.err);
    let said = run("webhook", &["--check-config", "--secrets-dir", "nowhere"], folder.path()).await?;
    assert_eq!(said.code, Some(2), "a receiver needs a secret");
    assert!(said.err.contains("nowhere/.config--github-webhook-token"), "{}", said.err);
    Ok(())
}

#[tokio::test]
async fn a_configuration_that_is_right_is_told_as_it_was_understood() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let config = "[scan]\ntest-map = \"map.yaml\"\nallow-list = {users = [\"a\", \"b\"], organisations = [\"octo\"]}\n\
                  [scan.extra-secrets]\n\"octo/app\" = [\"token-of-app\"]\n\
                  [secrets.inline]\ntoken-of-app = \"s3cret\"\n[forge.github]\ntoken = \"s3cret\"\n\
                  [container]\nrun-args = [\"--privileged\"]\ncapabilities = [\"cap_chown\"]\nmemory-megabytes = 0\n";
    let map = "octo/app:\n  main:\n  - arch\n  - images: [fedora, rhel-9]\n    scenarios: ['', devel]\n  _manual: [suse]\n\
               octo/lib:\n  stable-7.10: []\n";
    std::fs::write(folder.path().join("c.toml"), config)?;
    std::fs::write(folder.path().join("map.yaml"), map)?;
    let said = run("run-queue", &["--check-config", "--config", "c.toml"], folder.path()).await?;
    assert_eq!(said.code, Some(0), "{}", said.err);
    for line in [
        "[broker]\n  amqp: localhost\n",
        "[scan]\n  test-map: 2 repositories, 2 branches, 5 contexts, 1 by hand\n    octo/app: 1 branch\n\
        \x20     _manual: 1 context: suse\n\
        \x20     main: 5 contexts: arch, fedora, fedora/devel, rhel-9, rhel-9/devel\n\
        \x20   octo/lib: 1 branch\n      stable-7.10: 0 contexts: -\n",
        "  allow-list: 2 users, 1 organisation\n",
        "  internal-patterns: rhel\n",
        "  extra-secrets: 1 repository\n    octo/app: token-of-app\n",
        "  sweep: at start, every 60 minutes\n",
        "[execute]\n  queues: public\n  slots: 1\n",
        "  run-args: 1 word\n    warning: --privileged gives jobs all rights",
        "  capabilities: CHOWN\n  pids: 2048\n  memory-megabytes: 0\n  network: private\n",
        "[secrets]\n  external: -\n  inline: token-of-app\n",
        "[mail]\n  server: -\n",
        "[forge]\n  default: github\n  github: is posted to\n",
        "[logs]\n  a log's page: file:///",
    ] {
        assert!(said.out.contains(line), "{line}\nis not in\n{}", said.out);
    }
    assert!(!said.out.contains("s3cret"), "{}", said.out);
    let said = run("publish-queue", &["--check-config"], folder.path()).await?;
    assert_eq!(said.out, "[broker]\n  amqp: localhost\n  vhost: /\n  internal-queue: internal\n");
    std::fs::write(folder.path().join(".config--github-webhook-token"), "s3cret")?;
    let said = run("webhook", &["--check-config", "--secrets-dir", "."], folder.path()).await?;
    assert!(said.out.contains("[webhook]\n  listen: 0.0.0.0:8080\n"), "{}", said.out);
    assert!(said.out.contains("  secret-files: 1 secret\n") && !said.out.contains("s3cret"), "{}", said.out);
    Ok(())
}
