//! What a job left under `/var/tmp/attachments`. All of it is hostile: names may lead out of the folder, links may point
//! anywhere, sizes may be absurd.

mod unpack;

use std::path::Path;
use std::time::Duration;

use common::logs::{AttachmentLimits, Destination, Log, LogError};
use tokio::io::AsyncReadExt as _;
use tokio_util::io::SyncIoBridge;

pub(super) use self::unpack::remove_abandoned;
use self::unpack::{Unpacked, unpack};
use super::container::{Container, Copying, EngineError};

/// Where jobs leave them.
pub(super) const FOLDER: &str = "/var/tmp/attachments";
/// How long reading them may take.
const PATIENCE: Duration = Duration::from_mins(10);

/// Why attachments are missing.
#[derive(Debug, thiserror::Error)]
pub(super) enum AttachmentError {
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error("the engine has not copied the attachments within {} min", PATIENCE.as_secs() / 60)]
    Slow,
    #[error("unpack the attachments")]
    Unpack(#[source] std::io::Error),
    #[error("store the attachments")]
    Store(#[from] LogError),
}

/// Copies them beside the log, keeping sub-folders. What can't be kept is listed in the log and in the index.
pub(super) async fn collect(
    container: &mut Container,
    logs: &Destination,
    log: &mut Log,
) -> Result<(), AttachmentError> {
    if container.is_known_empty(Path::new(FOLDER)).await {
        return Ok(());
    }
    let unpacked = fetch(container.copy_out(FOLDER).await?, logs).await?;
    log.attach_files(unpacked.files).await?;
    for (name, reason) in &unpacked.left_out.files {
        log.write(format!("Attachment left out: {name}: {reason}\n")).await?;
    }
    log.leave_out(unpacked.left_out);
    Ok(())
}

/// From the engine to the worker's disk.
async fn fetch(mut copying: Copying, logs: &Destination) -> Result<Unpacked, AttachmentError> {
    let stream =
        copying.stream().ok_or_else(|| AttachmentError::Unpack(std::io::ErrorKind::BrokenPipe.into()))?;
    let limits = logs.attachments;
    let stream = SyncIoBridge::new(stream.take(most_read(limits).saturating_mul(2)));
    let scratch = logs.spool.clone();
    let unpacking = tokio::task::spawn_blocking(move || unpack(stream, &scratch, limits, most_read(limits)));
    let unpacked = match tokio::time::timeout(PATIENCE, unpacking).await {
        // Dropping the copy ends the engine's process, and with it the stream and who reads it.
        Err(_) => return Err(AttachmentError::Slow),
        Ok(unpacked) => unpacked.map_err(std::io::Error::other).and_then(|it| it),
    };
    match unpacked {
        // The engine is not asked how it liked to be left with the rest; it ends with the copy.
        Ok(unpacked) if unpacked.is_cut => Ok(unpacked),
        unpacked => {
            // What the engine says is the better reason for a stream that ends early.
            copying.finish().await?;
            unpacked.map_err(AttachmentError::Unpack)
        }
    }
}

/// How many bytes are read to find files that are kept between others that are too large. A file of nothing but holes costs
/// its author nothing and us its whole length.
fn most_read(limits: AttachmentLimits) -> u64 {
    limits.bytes.saturating_mul(2).saturating_add(64 * 1024 * 1024)
}
