//! Room on this host's disks. Without it nothing is begun: no task is to blame, so none loses an attempt by it, and other hosts have room.

use std::fs::DirBuilder;
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::handler::{Failure, Work};

/// Bytes. More than what is written down about a job before it begins.
const LEAST: usize = 256 * 1024;
/// How long a slot rests that has found no room. A worker that can do nothing is always free: it must not go through all that waits.
const REST: Duration = Duration::from_secs(10);

/// Whether there is room in each of these folders. If not, the message is for others, or for later.
pub(super) async fn look(folders: [&Path; 2], work: &Work) -> Result<(), Failure> {
    let Err(reason) = is_in(folders).await else { return Ok(()) };
    tracing::error!(reason, "this host has no room for a job, and leaves it to others");
    tokio::select! {
        () = tokio::time::sleep(REST) => {}
        () = work.stopping.cancelled() => {}
        () = work.cancelled.cancelled() => return Err(Failure::Abandoned),
    }
    Err(Failure::Later { reason, at_least: Duration::ZERO })
}

/// Whether there is room in each of these folders; the error is why not.
pub(super) async fn is_in<const N: usize>(folders: [&Path; N]) -> Result<(), String> {
    let folders = folders.map(Path::to_owned);
    let looked = tokio::task::spawn_blocking(move || folders.iter().try_for_each(try_folder)).await;
    looked.unwrap_or(Ok(()))
}

fn try_folder(folder: &PathBuf) -> Result<(), String> {
    let tried = || -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        tempfile::tempfile_in(folder)?.write_all(&vec![0; LEAST])
    };
    tried().map_err(|error| format!("{} cannot be written to: {error}", folder.display()))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_folder_that_cannot_be_written_to_is_named() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(try_folder(&folder.path().join("a/b")), Ok(()));
        fs::write(folder.path().join("file"), "").unwrap();
        let problem = try_folder(&folder.path().join("file/c")).unwrap_err();
        assert!(problem.contains("file/c cannot be written to: "), "{problem}");
        assert_eq!(fs::read_dir(folder.path().join("a/b")).unwrap().count(), 0, "nothing is left");
    }
}
