//! A person at a terminal who looks into the container of a red job.

use std::process::Stdio;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};
use tests::fleet::{DEADLINE, Fleet};
use tests::wait::until;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};

use super::{configure, log, program, repo, run_test};

/// The program on a pseudo terminal, which util-linux' `script` makes.
fn on_a_terminal(fleet: &Fleet, words: &str) -> Result<Child> {
    let program = program(fleet)?;
    let program = program.as_std();
    let mut command = Command::new("script");
    command.args(["--quiet", "--return", "--echo", "never", "--command"]);
    let program_and_words = format!("{} {words}", program.get_program().to_string_lossy());
    command.arg(format!("echo id=$$.; exec {program_and_words}")).arg("/dev/null");
    for (name, value) in program.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
    command.spawn().context("script of util-linux does not start")
}

/// Reads what is on the screen until it shows this.
async fn wait_for(child: &mut Child, seen: &mut String, text: &str) -> Result<()> {
    let end = Instant::now() + DEADLINE;
    let out = child.stdout.as_mut().context("no screen")?;
    while !seen.contains(text) {
        ensure!(Instant::now() < end, "no {text:?} on the screen:\n{seen}");
        let mut piece = [0; 4096];
        let bytes = tokio::time::timeout(DEADLINE, out.read(&mut piece)).await??;
        ensure!(bytes > 0, "it ended before {text:?}:\n{seen}");
        *seen += &String::from_utf8_lossy(piece.get(..bytes).unwrap_or_default());
    }
    Ok(())
}

/// The id of the program itself.
fn id(seen: &str) -> Result<Pid> {
    let id = seen.split_once("id=").and_then(|(_, rest)| rest.split_once('.')).context("no id")?.0;
    Pid::from_raw(id.parse()?).context("no id")
}

/// How many images there are of this fleet's containers, which have its label.
async fn images(fleet: &Fleet) -> Result<usize> {
    let own =
        fleet.engine.run_args().into_iter().find_map(|it| it.strip_prefix("--label=").map(str::to_owned));
    let filter = format!("--filter=label={}", own.context("no label")?);
    let all = fleet.engine.run(&["images", "--format={{.Repository}}", &filter]).await?;
    Ok(all.lines().filter(|it| it.contains("flotilla-shell")).count())
}

#[tokio::test]
async fn a_shell_shows_what_a_red_job_has_left() {
    run_test(async |fleet: &mut Fleet| -> Result<()> {
        let secrets =
            "[container.secrets]\nkey = [\"--volume=%{key}:/s/key:ro\"]\n[secrets.inline]\nkey = \"opens\"\n";
        configure(fleet, secrets)?;
        repo(fleet, "echo traces > left-behind; exit 7").await?;
        let words = "--shell-on-failure run octo/app --slug s --context c --secret key --env WHO=me";
        let mut child = on_a_terminal(fleet, words)?;
        let mut seen = String::new();
        wait_for(&mut child, &mut seen, "a shell in the failed container").await?;
        // By then everybody else has what they wait for.
        assert!(log(fleet, "s")?.ends_with("*** Failure: Container exited with code 7\n"));
        assert_eq!(images(fleet).await?, 1);
        let keys = child.stdin.as_mut().context("no keyboard")?;
        keys.write_all(b"echo \"<$(cat left-behind) $WHO $(cat /s/key) $((40 + 2))>\"; exit 5\n").await?;
        keys.flush().await?;
        wait_for(&mut child, &mut seen, "<traces me opens 42>").await?;
        let status = tokio::time::timeout(DEADLINE, child.wait()).await??;
        assert_eq!(status.code(), Some(1), "the job's, not the shell's: {seen}");
        assert_eq!(images(fleet).await?, 0);
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn a_shell_that_is_ended_from_outside_leaves_nothing() {
    run_test(async |fleet: &mut Fleet| -> Result<()> {
        configure(fleet, "")?;
        repo(fleet, "exit 7").await?;
        let mut child = on_a_terminal(fleet, "--shell-on-failure run octo/app --slug s")?;
        let mut seen = String::new();
        wait_for(&mut child, &mut seen, "a shell in the failed container").await?;
        let keys = child.stdin.as_mut().context("no keyboard")?;
        keys.write_all(b"echo $((40 + 2)) is here\n").await?;
        keys.flush().await?;
        wait_for(&mut child, &mut seen, "42 is here").await?;
        kill_process(id(&seen)?, Signal::TERM)?;
        let status = tokio::time::timeout(DEADLINE, child.wait()).await??;
        assert_eq!(status.code(), Some(1), "the job was red: {seen}");
        assert!(fleet.engine.containers().await?.is_empty());
        until("the end of the image", async || Ok(images(fleet).await? == 0)).await
    })
    .await;
}
