//! The text of one log, on the worker's disk.

use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, stream};
use rustix::fs::copy_file_range;
use rustix::io::Errno;

use super::chunks::Span;
use super::error::{LogError, blocking};

/// How much of a section is in memory at a time, in bytes.
const PIECE_BYTES: usize = 64 * 1024;

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

    /// Everything so far. What is added later is not part of it.
    pub(super) fn whole(&self) -> Section {
        Section { file: Arc::clone(&self.file), span: Span { start: 0, end: self.bytes } }
    }

    /// How many bytes there are.
    pub(super) const fn bytes(&self) -> u64 {
        self.bytes
    }
}

/// A part of a spool. Readers do not disturb each other, or the one who writes.
#[derive(Clone, Debug)]
pub(super) struct Section {
    file: Arc<File>,
    span: Span,
}

impl Section {
    /// All of a file, which nobody changes.
    pub(super) async fn of_file(path: &Path) -> Result<Self, LogError> {
        let path = path.to_owned();
        blocking(move || {
            let opened = File::open(&path).and_then(|file| Ok((file.metadata()?.len(), file)));
            let (end, file) = opened.map_err(LogError::file("read", &path))?;
            Ok(Self { file: Arc::new(file), span: Span { start: 0, end } })
        })
        .await
    }

    /// How many bytes it has.
    pub(super) const fn bytes(&self) -> u64 {
        self.span.len()
    }

    /// A part of it, counted from its own first byte.
    pub(super) fn part(&self, span: Span) -> Self {
        let Span { start, end } = self.span;
        let span = Span { start: end.min(start + span.start), end: end.min(start + span.end) };
        Self { file: Arc::clone(&self.file), span }
    }

    /// Copies it to the end of `target`, in the kernel where that can do it.
    pub(super) fn copy_to(&self, target: &File) -> io::Result<()> {
        let mut at = self.span.start;
        while at < self.span.end {
            let left = usize::try_from(self.span.end - at).unwrap_or(usize::MAX);
            match copy_file_range(&self.file, Some(&mut at), target, None, left) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(_) | Err(Errno::INTR) => {}
                // Not between these file systems.
                Err(Errno::XDEV | Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
                    return self.copy_pieces(at, target);
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn copy_pieces(&self, mut at: u64, mut target: &File) -> io::Result<()> {
        while let Some(piece) = self.piece(at)? {
            io::Write::write_all(&mut target, &piece)?;
            at += piece.len() as u64;
        }
        Ok(())
    }

    /// Its pieces, from the first on.
    pub(super) fn stream(&self) -> impl Stream<Item = io::Result<Bytes>> + Send + use<> {
        stream::try_unfold((self.clone(), self.span.start), async |(section, at)| {
            let read = tokio::task::spawn_blocking(move || section.piece(at).map(|it| (section, it)));
            let (section, piece) = read.await.map_err(io::Error::other)??;
            Ok(piece.map(|piece| {
                let next = at + piece.len() as u64;
                (piece, (section, next))
            }))
        })
    }

    /// What is at this offset of the file; none behind the end.
    fn piece(&self, at: u64) -> io::Result<Option<Bytes>> {
        let left = usize::try_from(self.span.end.saturating_sub(at)).unwrap_or(usize::MAX);
        if left == 0 {
            return Ok(None);
        }
        let mut piece = BytesMut::zeroed(left.min(PIECE_BYTES));
        self.file.read_exact_at(&mut piece, at)?;
        Ok(Some(piece.freeze()))
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Seek, SeekFrom};

    use futures_util::TryStreamExt;

    use super::*;

    async fn spool(bytes: usize) -> (tempfile::TempDir, Spool, Vec<u8>) {
        let dir = tempfile::tempdir().unwrap();
        let mut spool = Spool::create(dir.path()).await.unwrap();
        let text: Vec<u8> = (0..bytes).map(|n| u8::try_from(n % 251).unwrap()).collect();
        for piece in text.chunks(100_000) {
            spool.append(piece.to_vec()).await.unwrap();
        }
        (dir, spool, text)
    }

    #[tokio::test]
    async fn sections_are_read_in_small_pieces() {
        let (_dir, spool, text) = spool(300_000).await;
        for (start, end) in [(0, 300_000), (1, 65_537), (299_999, 300_000), (7, 7), (250_000, 400_000)] {
            let section = spool.whole().part(Span { start, end });
            let pieces: Vec<Bytes> = section.stream().try_collect().await.unwrap();
            assert!(pieces.iter().all(|it| it.len() <= PIECE_BYTES));
            let end = usize::try_from(end).unwrap().min(text.len());
            assert_eq!(pieces.concat(), text[usize::try_from(start).unwrap()..end]);
            assert_eq!(section.bytes(), pieces.concat().len() as u64);
        }
    }

    #[tokio::test]
    async fn a_copy_is_the_same_in_the_kernel_and_outside() {
        let (_dir, spool, text) = spool(200_000).await;
        let section = spool.whole().part(Span { start: 10, end: 199_990 });
        for copy in [Section::copy_to, |it: &Section, to: &File| it.copy_pieces(it.span.start, to)] {
            let mut target = tempfile::tempfile().unwrap();
            io::Write::write_all(&mut target, b"before").unwrap();
            copy(&section, &target).unwrap();
            let mut found = Vec::new();
            target.seek(SeekFrom::Start(0)).unwrap();
            target.read_to_end(&mut found).unwrap();
            assert_eq!(found, [b"before", &text[10..199_990]].concat());
        }
    }
}
