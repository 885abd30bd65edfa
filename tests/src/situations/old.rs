//! Playing a situation with the old programs.

use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, Result};
use serde::Deserialize;
use serde_json::json;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use super::observe::{Message, Observed, printed, timeless};
use super::ours::Stage;
use super::{AMQP, Situation, generate, interop};

/// Their driver, `interop/old_scanners.py`, as a process.
pub struct OldPrograms {
    _child: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

#[derive(Deserialize)]
struct Answer {
    exit: i32,
    crash: Option<String>,
    out: String,
    err: String,
    messages: Vec<Message>,
}

impl OldPrograms {
    /// Loads them from a checkout, with a python that has pika.
    pub async fn start(python: &str, checkout: &Path) -> Result<Self> {
        let mut child = Command::new(python)
            .arg(interop("old_scanners.py"))
            .arg(checkout)
            // They keep contexts in sets: the same order each time.
            .env("PYTHONHASHSEED", "0")
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start {python}"))?;
        let mut input = child.stdin.take().context("stdin")?;
        let output = BufReader::new(child.stdout.take().context("stdout")?).lines();
        let common = json!({"map": generate::test_map(), "allow": generate::ALLOWED});
        input.write_all(format!("{common}\n").as_bytes()).await?;
        Ok(Self { _child: child, input, output })
    }

    /// Plays one, on a stage of its own.
    pub async fn play(&mut self, situation: &Situation) -> Result<Observed> {
        let stage = Stage::set(situation).await?;
        let arguments: Vec<_> =
            situation.arguments.iter().map(|it| it.replace(AMQP, "broker:5671")).collect();
        let environment: serde_json::Map<_, _> =
            stage.environment().into_iter().map(|(name, value)| (name, value.into())).collect();
        let line = json!({
            "program": situation.program, "arguments": arguments, "environment": environment, "folder": stage.folder(),
        });
        self.input.write_all(format!("{line}\n").as_bytes()).await?;
        let answer = self.output.next_line().await?.context("the old programs' driver has ended")?;
        let Answer { exit, crash, out, err, messages } = serde_json::from_str(&answer)?;
        let message = |it: Message| Message { body: timeless(it.body), ..it };
        let observed = Observed {
            exit,
            crash: crash.map(|it| stage.without_addresses(&it)),
            out: printed(&out),
            err: err.lines().map(|it| stage.without_addresses(it)).collect(),
            messages: messages.into_iter().map(message).collect(),
            ..Observed::default()
        };
        Ok(observed.with_exchanges(stage.tap.exchanges()))
    }
}
