//! What goes wrong with a log.

use std::io;
use std::path::{Path, PathBuf};

use super::s3::S3Error;

/// Why a log could not be kept. All of these are the infrastructure's fault, none the job's.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The file system refused.
    #[error("cannot {doing} {}: {}", path.display(), advice(source))]
    File {
        /// What was tried, as in "cannot … PATH".
        doing: &'static str,
        /// With what.
        path: PathBuf,
        /// The system's words.
        #[source]
        source: io::Error,
    },
    /// A symbolic link or a file is where a log's folder should be.
    #[error("{} is not a folder: move it away, logs are to be kept there", path.display())]
    NotAFolder {
        /// Which.
        path: PathBuf,
    },
    /// What should have been copied into the log, or beside it, could not be read.
    #[error("cannot read {what}")]
    Read {
        /// What.
        what: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The bucket refused, or could not be reached for long.
    #[error(transparent)]
    S3(#[from] S3Error),
    /// The log was given up at an earlier error, or the process is ending.
    #[error("the log was given up before")]
    GivenUp,
}

impl LogError {
    /// For `map_err` on a file operation.
    pub(super) fn file(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { doing, path, source }
    }

    /// For `map_err` on reading what is to be copied.
    pub(super) fn read(what: &str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Read { what: what.to_owned(), source }
    }
}

/// What to do about it.
fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::PermissionDenied => "the user of this process needs the right to write there",
        io::ErrorKind::ReadOnlyFilesystem => "the file system is mounted read-only",
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "there is no space left, free some",
        io::ErrorKind::NotADirectory => "a part of this path is a file, where a folder is needed",
        io::ErrorKind::InvalidFilename => "a part of this name is too long for the file system",
        _ => "the file system refused",
    }
}

/// Runs file operations where they may block. They run to their end even when the caller is dropped.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, LogError> + Send + 'static,
) -> Result<T, LogError> {
    tokio::task::spawn_blocking(work).await.unwrap_or(Err(LogError::GivenUp))
}
