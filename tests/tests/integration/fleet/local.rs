//! What `tests/run-local.sh` shows, and what it leaves behind: the log, and nothing else.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tests::engine::Engine;
use tests::{leftovers, settings};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

const DEADLINE: Duration = Duration::from_mins(1);
/// A process that was killed takes a moment to be gone.
const GONE: Duration = Duration::from_secs(5);

/// The program as it runs, in a temporary folder of its own.
struct Show {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    said: Vec<String>,
    folder: TempDir,
    run: String,
}

/// How it ended.
struct Ended {
    code: Option<i32>,
    said: Vec<String>,
    errors: String,
}

impl Show {
    fn start(arguments: &[&str]) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let scratch = folder.path().join("tmp");
        fs::create_dir(&scratch)?;
        let run = format!("local-{}", uuid::Uuid::now_v7().simple());
        let mut child = Command::new(env!("CARGO_BIN_EXE_run-local"))
            .args(arguments)
            .env("TMPDIR", &scratch)
            .env(settings::RUN, &run)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(File::create(folder.path().join("errors"))?)
            .kill_on_drop(true)
            .spawn()?;
        let lines = BufReader::new(child.stdout.take().context("a pipe")?).lines();
        Ok(Self { child, lines, said: Vec::new(), folder, run })
    }

    /// Reads to the line that has all these words, and gives it.
    async fn until(&mut self, words: &[&str]) -> Result<String> {
        loop {
            let line = timeout(DEADLINE, self.lines.next_line()).await.ok().and_then(Result::ok).flatten();
            let line = line.with_context(|| format!("no {words:?} in:\n{}", self.said.join("\n")))?;
            self.said.push(line.clone());
            if words.iter().all(|it| line.contains(it)) {
                return Ok(line);
            }
        }
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        let id = self.child.id().and_then(|it| Pid::from_raw(it.cast_signed())).context("a process id")?;
        Ok(kill_process(id, signal)?)
    }

    async fn press_enter(&mut self) -> Result<()> {
        Ok(self.child.stdin.as_mut().context("a pipe")?.write_all(b"\n").await?)
    }

    /// Waits for its end; nothing may be left then.
    async fn end(mut self) -> Result<Ended> {
        while let Some(line) = timeout(DEADLINE, self.lines.next_line()).await?? {
            self.said.push(line);
        }
        let status = timeout(DEADLINE, self.child.wait()).await??;
        let errors = fs::read_to_string(self.folder.path().join("errors"))?;
        self.nothing_is_left().await?;
        Ok(Ended { code: status.code(), said: self.said, errors })
    }

    async fn nothing_is_left(&self) -> Result<()> {
        let end = Instant::now() + GONE;
        while !leftovers::processes(&self.run).is_empty() && Instant::now() < end {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let processes = leftovers::processes(&self.run);
        ensure!(processes.is_empty(), "left: {processes:?}");
        let containers = leftovers::containers(&Engine::open().await?, &self.run, &[]).await?.ours;
        ensure!(containers.is_empty(), "left: {containers:?}");
        let files: Vec<_> = fs::read_dir(self.folder.path().join("tmp"))?.collect::<Result<_, _>>()?;
        ensure!(files.is_empty(), "left: {files:?}");
        Ok(())
    }
}

impl Ended {
    /// The file that the last line names.
    fn log(&self) -> Result<PathBuf> {
        let last = self.said.last().context("a last line")?;
        Ok(last.strip_prefix("log").with_context(|| format!("{last} is no log"))?.trim().into())
    }
}

/// Takes away what stays for people.
fn remove_log(log: &Path) -> Result<()> {
    let folder = log.ancestors().find(|it| it.parent().is_some_and(|it| it.ends_with("run-local")));
    Ok(fs::remove_dir_all(folder.context("a folder below run-local")?)?)
}

#[tokio::test]
async fn a_pull_request_is_shown_from_its_event_to_its_log() -> Result<()> {
    let mut show = Show::start(&[])?;
    for step in [
        ["credentials", "CN=cockpit-amqp"],
        ["broker", "RabbitMQ at 127.0.0.1:"],
        ["webhook", "connected to the broker"],
        ["worker", "connected to the broker to execute"],
        ["", "alice opens pull request #1 of octo/app"],
        ["event", "goes into the queue webhook; the broker confirms it"],
        ["scan", "debian for octo/app"],
        ["status", "debian is pending: Not yet tested"],
        ["task", "is taken from the queue public, attempt 1"],
        ["status", "debian is pending: In progress"],
        ["container", " runs localhost/flotilla-test"],
        ["│", "ok 1 the change is here: a change"],
        ["│", "Job ran successfully.  :)"],
        ["status", "debian is success: Success"],
        ["task", "is acknowledged after"],
        ["stopped", "run-queue 0, exit status: 0"],
        ["success", "debian: Success"],
    ] {
        show.until(&step).await?;
    }
    let ended = show.end().await?;
    assert_eq!((ended.code, ended.errors.as_str()), (Some(0), ""));
    assert!(ended.said.iter().any(|it| it.contains("webhook      answers 200 queued")));
    assert!(ended.said.iter().all(|it| !it.contains('\x1b')), "colours without a terminal");
    let log = ended.log()?;
    assert!(fs::read_to_string(&log)?.ends_with("Job ran successfully.  :)\n"));
    assert!(log.with_file_name("machine.txt").is_file());
    remove_log(&log)
}

#[tokio::test]
async fn ctrl_c_in_the_middle_leaves_nothing() -> Result<()> {
    let mut show = Show::start(&["--job", "sleep 60"])?;
    show.until(&["container", " runs "]).await?;
    show.signal(Signal::INT)?;
    let ended = show.end().await?;
    assert_eq!(ended.code, Some(130), "{}", ended.errors);
    assert_eq!(ended.errors.trim(), "run-local: interrupted");
    Ok(())
}

#[tokio::test]
async fn ctrl_c_at_the_start_leaves_nothing() -> Result<()> {
    let mut show = Show::start(&[])?;
    show.until(&["broker", "starting"]).await?;
    show.signal(Signal::INT)?;
    let ended = show.end().await?;
    assert_eq!(ended.code, Some(130), "{}", ended.errors);
    Ok(())
}

#[tokio::test]
async fn a_worker_that_dies_is_named_with_what_it_said() -> Result<()> {
    let mut show = Show::start(&["--job", "sleep 60"])?;
    let worker = show.until(&["worker", "to execute"]).await?;
    let id = worker.split_whitespace().skip_while(|it| *it != "process").nth(1).context("an id")?;
    let id = id.trim_end_matches(',').parse().ok().and_then(Pid::from_raw).context("an id")?;
    show.until(&["container", " runs "]).await?;
    kill_process(id, Signal::KILL)?;
    let ended = show.end().await?;
    assert_eq!(ended.code, Some(1));
    assert!(
        ended.errors.contains("run-queue 0 has ended by itself (signal: 9 (SIGKILL))"),
        "{}",
        ended.errors
    );
    assert!(ended.errors.contains("│ INFO settled"), "{}", ended.errors);
    Ok(())
}

#[tokio::test]
async fn kept_up_its_commands_work_as_printed() -> Result<()> {
    let mut show = Show::start(&["--interactive", "--job", "echo oops; exit 3"])?;
    show.until(&["│", "oops"]).await?;
    show.until(&["status", "debian is failure: Container exited with code 3"]).await?;
    show.until(&["It stays up"]).await?;
    show.until(&["Enter or Ctrl-C ends it"]).await?;
    let (publish, inspect) = (command(&show, "publish-queue")?, command(&show, "inspect-queue")?);
    let curl = command(&show, "curl")?;

    assert!(shell(&publish).await?.contains("published"));
    show.until(&["status", "debian/again is failure"]).await?;
    assert!(shell(&inspect).await?.contains("public"));
    assert!(shell(&curl).await?.contains("queued"));
    show.until(&["scan", "debian for octo/app", "has a verdict"]).await?;

    show.press_enter().await?;
    let ended = show.end().await?;
    assert_eq!((ended.code, ended.errors.as_str()), (Some(1), ""));
    remove_log(&ended.log()?)
}

/// The line to paste that has this program.
fn command(show: &Show, program: &str) -> Result<String> {
    let lines = show.said.iter().skip_while(|it| !it.starts_with("To paste"));
    let found = lines.map(|it| it.trim()).find(|it| it.contains(program) && !it.starts_with('#'));
    found.map(str::to_owned).with_context(|| format!("no {program} in:\n{}", show.said.join("\n")))
}

/// What it says when it is pasted.
async fn shell(line: &str) -> Result<String> {
    let output = Command::new("sh").args(["-c", line]).output().await?;
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    ensure!(output.status.success(), "{line}: {said}");
    Ok(said)
}

/// Nobody should have to install anything to know what it is about.
#[tokio::test]
async fn help_needs_no_toolchain_and_knows_every_option() -> Result<()> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("run-local.sh");
    let help = Command::new("/bin/bash").arg(script).arg("-h").env("PATH", "/bin:/usr/bin").output().await?;
    assert!(help.status.success());
    let help = String::from_utf8(help.stdout)?;
    let known = Command::new(env!("CARGO_BIN_EXE_run-local")).arg("--help").output().await?;
    let known = String::from_utf8(known.stdout)?;
    let options: Vec<_> = known.split_whitespace().filter(|it| it.starts_with("--")).collect();
    assert!(options.len() >= 3, "{known}");
    assert!(options.iter().all(|it| help.contains(it)), "{options:?} in {help}");
    Ok(())
}
