//! Jobs that a person runs by hand.

mod configuration;
mod ends;
mod old;
mod shell;
mod usage;

use std::path::PathBuf;
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use common::id::RepoName;
use tests::fleet::{DEADLINE, Fleet, Setup, binary, run_test_with};
use tokio::process::Command;

/// What the program said.
#[derive(Debug)]
struct Said {
    code: Option<i32>,
    out: Vec<u8>,
    err: String,
}

/// A fleet in which nobody works, for one who runs jobs by hand.
async fn run_test(test: impl AsyncFnOnce(&mut Fleet) -> Result<()>) {
    run_test_with(Setup { webhook: false, worker: false, ..Setup::default() }, test).await;
}

/// A file beside the fleet's configuration.
fn file(fleet: &Fleet, name: &str) -> PathBuf {
    fleet.config_file().with_file_name(name)
}

/// The text of a job-runner.toml: the fleet's forge, engine and folder of logs. `forge` are further keys of the forge.
fn settings(fleet: &Fleet, forge: &str) -> String {
    let text = |it: &str| serde_json::Value::from(it).to_string();
    format!(
        "[execute]\npoll-seconds = 0.2\nqueues = [\"elsewhere\"]\n\
         [forge.github]\napi-url = {}\nclone-url = {}\ntoken = [{{file=\"forge-token\"}}]\n{forge}\n\
         [logs.local]\ndir = {}\nlink = {}\n\
         [container]\nrun-args = {}\ndefault-image = {}\n",
        text(fleet.forge.url()),
        text(&fleet.git.url()),
        text(&fleet.logs_dir().display().to_string()),
        text(fleet.logs_url()),
        serde_json::Value::from(fleet.engine.run_args()),
        text(fleet.engine.image()),
    )
}

/// Writes the person's configuration, which posts, with these further tables.
fn configure(fleet: &Fleet, more: &str) -> Result<()> {
    Ok(std::fs::write(file(fleet, "job-runner.toml"), settings(fleet, "post = true") + more)?)
}

/// The program with the person's own configuration and a home of their own, ready for arguments.
fn program(fleet: &Fleet) -> Result<Command> {
    let home = file(fleet, "home");
    let scratch = file(fleet, "tmp");
    std::fs::create_dir_all(&scratch)?;
    let mut command = Command::new(binary("job-runner")?);
    command
        .envs(fleet.engine.environment())
        .env("HOME", &home)
        .env("TMPDIR", scratch)
        .env("JOB_RUNNER_CONFIG", file(fleet, "job-runner.toml"))
        .env_remove("XDG_CONFIG_HOME")
        .env_remove("FLOTILLA_LOG")
        .stdin(Stdio::null())
        .kill_on_drop(true);
    Ok(command)
}

async fn finished(command: &mut Command) -> Result<Said> {
    let output = tokio::time::timeout(DEADLINE, command.output()).await.context("it does not end")??;
    let err = String::from_utf8(output.stderr)?;
    ensure!(!err.contains("panicked"), "{err}");
    Ok(Said { code: output.status.code(), out: output.stdout, err })
}

async fn run(fleet: &Fleet, arguments: &[&str]) -> Result<Said> {
    finished(program(fleet)?.args(arguments)).await
}

/// The same; it must end with this exit code.
async fn run_to(fleet: &Fleet, code: i32, arguments: &[&str]) -> Result<Said> {
    let said = run(fleet, arguments).await?;
    ensure!(said.code == Some(code), "{arguments:?} ended with {:?}, not {code}:\n{}", said.code, said.err);
    Ok(said)
}

/// The log in this folder.
fn log(fleet: &Fleet, slug: &str) -> Result<String> {
    let file = fleet.logs_dir().join(slug).join("log");
    std::fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))
}

/// A repository whose tests are this script.
async fn repo(fleet: &Fleet, script: &str) -> Result<RepoName> {
    crate::fleet::repo(fleet, script).await
}
