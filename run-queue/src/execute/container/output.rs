//! What a container prints, read from the file that its monitor keeps: nothing has to stay attached for that, so who started the
//! container and who reads it can be two processes.

use std::fs::File;
use std::io;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use tokio::io::AsyncReadExt;
use tokio_util::io::StreamReader;
use tokio_util::sync::CancellationToken;

use super::entries::Entries;
use super::error::EngineError;

/// All that a container prints, from its first byte to its end.
pub type Output = StreamReader<BoxStream<'static, io::Result<Bytes>>, Bytes>;

/// How much of the file is read at a time, in bytes.
const PIECE: usize = 64 * 1024;
/// The first look after one that has found something comes this much later, and each that finds nothing puts the next off.
const SHORTEST: Duration = Duration::from_millis(5);
/// Much shorter than what a reader of the log waits for a block anyway.
const LONGEST: Duration = Duration::from_millis(80);

/// Follows the file until the container has ended and all is read.
pub(super) fn follow(file: File, ended: CancellationToken) -> Output {
    let following = Following { file: file.into(), entries: Entries::default(), ended, pause: SHORTEST };
    reader(stream::try_unfold(following, async |mut it| Ok(it.next().await?.map(|piece| (piece, it)))))
}

/// A stream of pieces as something to read from.
pub(super) fn reader(
    pieces: impl futures_util::Stream<Item = Result<Bytes, EngineError>> + Send + 'static,
) -> Output {
    StreamReader::new(pieces.map(|it| it.map_err(io::Error::from)).boxed())
}

struct Following {
    file: tokio::fs::File,
    entries: Entries,
    ended: CancellationToken,
    pause: Duration,
}

impl Following {
    async fn next(&mut self) -> Result<Option<Bytes>, EngineError> {
        let failed = |source| EngineError::Io { what: "the file of the container's output", source };
        loop {
            // Asked before the file is read: what is printed last is there before the end is.
            let ended = self.ended.is_cancelled();
            let mut raw = BytesMut::with_capacity(PIECE);
            if self.file.read_buf(&mut raw).await.map_err(failed)? > 0 {
                self.pause = SHORTEST;
                let mut text = Vec::with_capacity(raw.len());
                self.entries.push(&raw, &mut text)?;
                if !text.is_empty() {
                    return Ok(Some(text.into()));
                }
            } else if ended {
                self.entries.finish()?;
                return Ok(None);
            } else {
                let _ = tokio::time::timeout(self.pause, self.ended.cancelled()).await;
                self.pause = (self.pause * 2).min(LONGEST);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[tokio::test]
    async fn a_file_is_followed_until_its_container_has_ended() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("output");
        let mut writer = File::create(&path).unwrap();
        let ended = CancellationToken::new();
        let mut output = follow(File::open(&path).unwrap(), ended.clone());
        let mut text = String::new();
        for number in 0..3 {
            write!(writer, "T stdout P {number},\nT std").unwrap();
            let mut piece = [0; 2];
            output.read_exact(&mut piece).await.unwrap();
            assert_eq!(piece, format!("{number},").as_bytes());
            writeln!(writer, "out F ").unwrap();
            assert_eq!(output.read_u8().await.unwrap(), b'\n');
        }
        let waits = tokio::time::timeout(LONGEST * 3, output.read_to_string(&mut text)).await;
        assert!(waits.is_err(), "it has not ended");
        writeln!(writer, "T stderr F the last").unwrap();
        ended.cancel();
        output.read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "the last\n");
    }

    #[tokio::test]
    async fn a_broken_file_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("output");
        std::fs::write(&path, "[".repeat(100)).unwrap();
        let mut output = follow(File::open(&path).unwrap(), CancellationToken::new());
        let error = output.read_u8().await.unwrap_err();
        assert_eq!(error.to_string(), "the file of the container's output");
    }
}
