//! The text of one log, on the worker's disk.

use std::fs::{DirBuilder, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::{DirBuilderExt, FileExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::chunks::Span;
use super::error::{LogError, blocking};

/// All of a log so far. The file has no name: nobody else can open it, and it is gone with the process.
#[derive(Debug)]
pub(super) struct Spool {
    file: Arc<File>,
    /// Where the file is, for people.
    dir: PathBuf,
    bytes: u64,
}

impl Spool {
    /// In `dir`, which is made (for this user alone) if it isn't there.
    pub(super) async fn create(dir: &Path) -> Result<Self, LogError> {
        let dir = dir.to_owned();
        blocking(move || {
            let made = DirBuilder::new().recursive(true).mode(0o700).create(&dir);
            made.map_err(LogError::file("make the spool folder", &dir))?;
            let file = tempfile::tempfile_in(&dir).map_err(LogError::file("make a file in", &dir))?;
            Ok(Self { file: Arc::new(file), dir, bytes: 0 })
        })
        .await
    }

    /// Adds `text` at the end.
    pub(super) async fn append(&mut self, text: Vec<u8>) -> Result<(), LogError> {
        let (file, dir, at) = (Arc::clone(&self.file), self.dir.clone(), self.bytes);
        let bytes = text.len() as u64;
        blocking(move || file.write_all_at(&text, at).map_err(LogError::file("write a file in", &dir)))
            .await?;
        self.bytes += bytes;
        Ok(())
    }

    /// A part to be read. One at a time: all share the file's position.
    pub(super) fn section(&self, span: Span) -> Section {
        Section { file: Arc::clone(&self.file), span }
    }

    /// Everything.
    pub(super) fn whole(&self) -> Section {
        self.section(Span { start: 0, end: self.bytes })
    }

    /// How many bytes there are.
    pub(super) const fn bytes(&self) -> u64 {
        self.bytes
    }
}

/// A part of a spool.
#[derive(Debug)]
pub(super) struct Section {
    file: Arc<File>,
    span: Span,
}

impl Section {
    /// Copies it to the end of `target`, in the kernel where that can do it.
    pub(super) fn copy_to(&self, mut target: &File) -> io::Result<()> {
        let mut source = self.file.as_ref();
        source.seek(SeekFrom::Start(self.span.start))?;
        let copied = io::copy(&mut source.take(self.span.len()), &mut target)?;
        if copied == self.span.len() { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }
}
