//! What is in a log's folder.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use bytes::{Bytes, BytesMut};
use rustix::fs::OFlags;

use super::super::chunks::Span;
use super::super::error::LogError;
use super::super::name::Own;
use super::staged::is_folder;

/// The bytes of a file that are in the span; none if there is no such file.
pub(super) fn part(path: &Path, span: Span) -> Result<Option<Bytes>, LogError> {
    let file = match open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(LogError::file("open", path))?,
    };
    read(&file, span).map(Some).map_err(LogError::file("read", path))
}

/// Never what a link leads to, and without waiting for who writes to a pipe.
fn open(path: &Path) -> io::Result<File> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path)
}

fn read(file: &File, span: Span) -> io::Result<Bytes> {
    let end = span.end.min(file.metadata()?.len());
    let bytes = usize::try_from(end.saturating_sub(span.start)).unwrap_or(usize::MAX);
    let mut part = BytesMut::zeroed(bytes);
    file.read_exact_at(&mut part, span.start)?;
    Ok(part.freeze())
}

/// The chunks below `root` in `folder`. Where that is no folder, or below a link, there are none.
pub(super) fn chunks(root: &Path, folder: &Path) -> Result<BTreeMap<Span, u64>, LogError> {
    let mut chunks = BTreeMap::new();
    let mut parts = folder.ancestors().take_while(|it| !it.as_os_str().is_empty());
    if !parts.all(|it| is_folder(&root.join(it))) {
        return Ok(chunks);
    }
    let dir = root.join(folder);
    for entry in fs::read_dir(&dir).map_err(LogError::file("list", &dir))? {
        let entry = entry.map_err(LogError::file("list", &dir))?;
        if let Some(Own::Chunk(span)) = entry.file_name().to_str().and_then(Own::parse) {
            let found = entry.metadata().map_err(LogError::file("look at", &entry.path()))?;
            chunks.insert(span, if found.is_file() { found.len() } else { 0 });
        }
    }
    Ok(chunks)
}
