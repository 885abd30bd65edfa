//! Files out of a container.

use tokio::io::AsyncReadExt;
use tokio::process::{Child, ChildStdout};

use super::engine::{Engine, WORDS};
use super::error::EngineError;

/// A folder of a container, as a tar stream; see [`super::Container::copy_out`].
pub struct Copying {
    pub(super) engine: Engine,
    pub(super) child: Child,
    pub(super) stdout: Option<ChildStdout>,
}

impl Copying {
    /// The stream, once.
    pub const fn stream(&mut self) -> Option<ChildStdout> {
        self.stdout.take()
    }

    /// Whether all came.
    pub async fn finish(mut self) -> Result<(), EngineError> {
        let mut words = Vec::new();
        if let Some(stderr) = self.child.stderr.take() {
            let read = stderr.take(WORDS as u64 * 4).read_to_end(&mut words).await;
            read.map_err(|source| EngineError::Io { what: "the engine's words", source })?;
        }
        let status = self.child.wait().await.map_err(|it| self.engine.missing(it))?;
        if status.success() { Ok(()) } else { Err(self.engine.refused("cp", status, &words)) }
    }
}
