//! What a job left under `/var/tmp/attachments`. All of it is hostile: names may lead out of the folder, links may point
//! anywhere, sizes may be absurd.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use common::logs::{AttachmentName, LeftOut, Log, LogError};
use tar::EntryType;
use tempfile::TempDir;
use tokio::io::AsyncReadExt as _;
use tokio_util::io::SyncIoBridge;

use super::container::{Container, EngineError};

/// Where jobs leave them.
pub(super) const FOLDER: &str = "/var/tmp/attachments";
/// How many files at most.
const MOST_FILES: usize = 2000;
/// How many bytes at most, together.
const MOST_BYTES: u64 = 2 * 1024 * 1024 * 1024;
/// How many bytes are read to find them.
const MOST_READ: u64 = 2 * MOST_BYTES;
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
    scratch: &Path,
    log: &mut Log,
) -> Result<(), AttachmentError> {
    let mut copying = container.copy_out(FOLDER).await?;
    let Some(stream) = copying.stream() else { return Ok(()) };
    // A file of nothing but holes costs its author nothing and us its whole length.
    let stream = SyncIoBridge::new(stream.take(MOST_READ));
    let scratch = scratch.to_owned();
    let unpacking = tokio::task::spawn_blocking(move || unpack(stream, &scratch, MOST_FILES, MOST_BYTES));
    let unpacked = match tokio::time::timeout(PATIENCE, unpacking).await {
        // Dropping the copy ends the engine's process, and with it the stream and who reads it.
        Err(_) => return Err(AttachmentError::Slow),
        Ok(unpacked) => unpacked.map_err(std::io::Error::other).and_then(|it| it),
    };
    let unpacked = match (unpacked, copying.finish().await) {
        (Ok(unpacked), Ok(())) => unpacked,
        // What the engine says is the better reason for a stream that ends early.
        (_, Err(error)) => return Err(error.into()),
        (Err(error), Ok(())) => return Err(AttachmentError::Unpack(error)),
    };
    for (name, path) in &unpacked.files {
        let file = tokio::fs::File::open(path).await.map_err(AttachmentError::Unpack)?;
        log.attach(name, file).await?;
    }
    for (name, reason) in &unpacked.left_out.files {
        log.write(format!("Attachment left out: {name}: {reason}\n")).await?;
    }
    log.leave_out(unpacked.left_out);
    Ok(())
}

/// The folder goes with it.
struct Unpacked {
    files: Vec<(AttachmentName, PathBuf)>,
    left_out: LeftOut,
    folder: TempDir,
}

/// Files become numbered files of ours; nothing that the stream says becomes a path.
fn unpack(
    stream: impl Read,
    scratch: &Path,
    most_files: usize,
    most_bytes: u64,
) -> std::io::Result<Unpacked> {
    let folder = tempfile::Builder::new().prefix("flotilla-attachments-").tempdir_in(scratch)?;
    let mut unpacked = Unpacked { files: Vec::new(), left_out: LeftOut::default(), folder };
    let mut bytes = 0;
    let mut archive = tar::Archive::new(stream);
    for entry in archive.entries()? {
        let mut entry = entry?;
        let raw = entry.path_bytes().into_owned();
        let shown: String = String::from_utf8_lossy(&raw).escape_debug().take(200).collect();
        let name = AttachmentName::new(raw.strip_prefix(b"./").unwrap_or(&raw));
        let refused = match (entry.header().entry_type(), &name) {
            (EntryType::Directory, _) => continue,
            (EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse, Ok(_)) => None,
            (EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse, Err(error)) => {
                Some(error.to_string())
            }
            _ => Some("not a regular file".to_owned()),
        };
        let over = unpacked.files.len() >= most_files || bytes + entry.size() > most_bytes;
        match (refused, name) {
            (None, Ok(name)) if !over => {
                bytes += entry.size();
                let path = unpacked.folder.path().join(unpacked.files.len().to_string());
                store(&mut entry, &path)?;
                unpacked.files.push((name, path));
            }
            (None, _) => {
                unpacked.left_out.add(shown, format!("more than {most_files} files or {most_bytes} bytes"));
            }
            (Some(reason), _) => unpacked.left_out.add(shown, reason),
        }
    }
    // What comes after the end of the archive is padding; whoever writes it must not find nobody there.
    std::io::copy(&mut archive.into_inner(), &mut std::io::sink())?;
    Ok(unpacked)
}

fn store(entry: &mut impl Read, path: &Path) -> std::io::Result<()> {
    let mut file = std::fs::File::create_new(path)?;
    std::io::copy(entry, &mut file)?;
    file.flush()
}

#[cfg(test)]
mod tests {
    use tar::{Builder, Header};

    use super::*;

    fn entry(archive: &mut Builder<Vec<u8>>, path: &str, kind: EntryType, content: &[u8]) {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_size(content.len() as u64);
        // `set_path` would refuse what hostile jobs write.
        let name = &mut header.as_old_mut().name;
        name[..path.len()].copy_from_slice(path.as_bytes());
        if kind == EntryType::Symlink {
            header.set_link_name("/etc/shadow").unwrap();
        }
        header.set_cksum();
        archive.append(&header, content).unwrap();
    }

    fn scratch() -> PathBuf {
        std::env::temp_dir()
    }

    fn names(unpacked: &Unpacked) -> Vec<&str> {
        unpacked.files.iter().map(|(name, _)| name.as_str()).collect()
    }

    #[test]
    fn subfolders_are_kept_and_what_is_hostile_is_left_out() {
        let mut archive = Builder::new(Vec::new());
        entry(&mut archive, "./", EntryType::Directory, b"");
        entry(&mut archive, "./a.png", EntryType::Regular, b"png");
        entry(&mut archive, "./sub/b.log", EntryType::Regular, b"text");
        entry(&mut archive, "./link", EntryType::Symlink, b"");
        entry(&mut archive, "./../up", EntryType::Regular, b"x");
        entry(&mut archive, "/etc/passwd", EntryType::Regular, b"x");
        entry(&mut archive, "./log.html", EntryType::Regular, b"x");
        entry(&mut archive, "./pipe", EntryType::Fifo, b"");
        let stream = archive.into_inner().unwrap();
        let unpacked = unpack(&stream[..], &scratch(), 10, 1000).unwrap();
        assert_eq!(names(&unpacked), ["a.png", "sub/b.log"]);
        assert_eq!(std::fs::read(&unpacked.files[1].1).unwrap(), b"text");
        assert_eq!(unpacked.left_out.total, 5, "{:?}", unpacked.left_out);
    }

    #[test]
    fn number_and_size_are_bounded() {
        let mut archive = Builder::new(Vec::new());
        for name in ["a", "b", "c"] {
            entry(&mut archive, name, EntryType::Regular, b"12345");
        }
        let stream = archive.into_inner().unwrap();
        assert_eq!(names(&unpack(&stream[..], &scratch(), 2, 1000).unwrap()), ["a", "b"]);
        assert_eq!(names(&unpack(&stream[..], &scratch(), 9, 10).unwrap()), ["a", "b"]);
    }

    #[test]
    fn the_stream_is_read_to_its_end() {
        let mut archive = Builder::new(Vec::new());
        entry(&mut archive, "a", EntryType::Regular, b"1");
        let mut stream = archive.into_inner().unwrap();
        stream.extend([0; 8192]);
        let mut rest = &stream[..];
        assert_eq!(names(&unpack(&mut rest, &scratch(), 9, 10).unwrap()), ["a"]);
        assert!(rest.is_empty());
    }

    #[test]
    fn a_broken_stream_is_an_error() {
        assert!(unpack(&[1_u8; 700][..], &scratch(), 10, 10).is_err());
    }
}
