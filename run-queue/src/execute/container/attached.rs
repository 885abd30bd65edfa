//! The output of a container that is elsewhere: its files are not ours, so a process of the engine stays attached.
//!
//! `podman logs --follow` of 4.3 loses the middle of what a container says fast; attached, it is complete and in order. The container
//! does not need that process: its monitor keeps a second copy of the output, from which the rest comes when the process is killed.

use std::process::Stdio;

use bytes::{Bytes, BytesMut};
use futures_util::stream;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::net::unix::pipe;
use tokio::process::ChildStdout;

use super::client::Client;
use super::ending::State;
use super::engine::Engine;
use super::error::EngineError;
use super::output::{Output, reader};

/// How much is read at a time, in bytes.
const PIECE: usize = 64 * 1024;

/// The output of a container, through a process that is attached to it. Without one, all comes when the container has ended.
pub(super) fn attach(engine: Engine, name: String, client: Option<Client>) -> Output {
    let attached =
        Attached { engine, name, source: client.map_or(Source::Nothing, Source::begin), copied: 0 };
    reader(stream::try_unfold(attached, async |mut it| Ok(it.next().await?.map(|piece| (piece, it)))))
}

/// The exit code of a container that is elsewhere, when it has ended.
pub(super) async fn wait(engine: &Engine, name: &str) -> Result<i32, EngineError> {
    match engine.state(name).await? {
        State::Stopped(code) | State::Ended(code) => return Ok(code),
        State::Made => return Err(EngineError::NeverRan { name: name.to_owned() }),
        State::Running(_) => {}
    }
    let mut wait = engine.command("wait");
    let output = wait.arg(name).output().await.map_err(|it| engine.missing(it))?;
    if !output.status.success() {
        return Err(engine.refused("wait", output.status, &output.stderr));
    }
    let answer = String::from_utf8_lossy(&output.stdout);
    answer.trim().parse().map_err(|_| engine.misunderstood("wait", &answer))
}

struct Attached {
    engine: Engine,
    name: String,
    source: Source,
    /// How many bytes have come.
    copied: u64,
}

enum Source {
    /// Attached since the container began.
    Client(Client, Option<ChildStdout>),
    /// Not attached, or not any more.
    Nothing,
    /// The container has ended, and the engine says its output once more.
    Copy(pipe::Receiver),
}

impl Source {
    fn begin(mut client: Client) -> Self {
        let stdout = client.stdout();
        Self::Client(client, stdout)
    }
}

impl Attached {
    async fn next(&mut self) -> Result<Option<Bytes>, EngineError> {
        loop {
            let piece = match &mut self.source {
                Source::Client(_, Some(stdout)) => read(stdout).await?,
                Source::Client(_, None) | Source::Nothing => Bytes::new(),
                Source::Copy(copy) => read(copy).await?,
            };
            if !piece.is_empty() {
                self.copied += piece.len() as u64;
                return Ok(Some(piece));
            }
            let whole = match std::mem::replace(&mut self.source, Source::Nothing) {
                Source::Client(client, _) => self.is_whole(client).await?,
                Source::Nothing => false,
                Source::Copy(_) => true,
            };
            if whole {
                return Ok(None);
            }
            wait(&self.engine, &self.name).await?;
            self.source = Source::Copy(self.copy().await?);
        }
    }

    /// Whether all has come. Where nothing ran, the engine's words say why.
    async fn is_whole(&self, mut client: Client) -> Result<bool, EngineError> {
        let status = client.ended(&self.engine).await?;
        let is_killed = status.code().is_none();
        match self.engine.state(&self.name).await {
            Ok(State::Stopped(_) | State::Ended(_)) => Ok(!is_killed),
            Ok(State::Running(_)) => Ok(false),
            Ok(State::Made) | Err(EngineError::Refused { .. }) => {
                Err(self.engine.refused("run", status, &client.words().await))
            }
            Err(error) => Err(error),
        }
    }

    /// The engine's own copy, without what has come.
    async fn copy(&self) -> Result<pipe::Receiver, EngineError> {
        let (reader, writer) = std::io::pipe().map_err(failed)?;
        let mut logs = self.engine.command("logs");
        // It ends with the pipe, so nobody has to keep it.
        logs.arg(&self.name).stdout(writer).stderr(Stdio::null()).kill_on_drop(false);
        logs.spawn().map_err(|it| self.engine.missing(it))?;
        drop(logs);
        let mut output = pipe::Receiver::from_owned_fd(reader.into()).map_err(failed)?;
        let skipped = tokio::io::copy(&mut (&mut output).take(self.copied), &mut tokio::io::sink()).await;
        skipped.map_err(failed)?;
        Ok(output)
    }
}

async fn read(source: &mut (impl AsyncRead + Unpin)) -> Result<Bytes, EngineError> {
    let mut piece = BytesMut::with_capacity(PIECE);
    source.read_buf(&mut piece).await.map_err(failed)?;
    Ok(piece.freeze())
}

fn failed(source: std::io::Error) -> EngineError {
    EngineError::Io { what: "the container's output", source }
}
