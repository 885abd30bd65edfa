//! The output of a program: it goes where the worker's own goes, and its end is kept.

use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::fs::File;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::Child;
use tokio::task::JoinHandle;

/// How much of the end is kept.
const BYTES: usize = 16 * 1024;
const LINES: usize = 100;
const BUFFER: usize = 8 * 1024;
/// How long the rest may take once the program has ended: what it left running can hold its output open for ever.
const REST: Duration = Duration::from_secs(1);

/// The end of an output.
#[derive(Clone, Debug, Default)]
pub(super) struct Tail(Arc<Mutex<Kept>>);

#[derive(Debug, Default)]
struct Kept {
    bytes: Vec<u8>,
    /// How many there were in all.
    all: u64,
}

/// The last lines of an output.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct LastLines {
    /// What is not UTF-8 is replaced.
    pub(super) text: String,
    /// Whether there were others before.
    pub(super) cut: bool,
}

impl Tail {
    fn push(&self, bytes: &[u8]) {
        // No code panics while it holds the lock, so a poisoned one holds what it should.
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.all += bytes.len() as u64;
        kept.bytes.extend_from_slice(bytes);
        // Seldom, so that it costs little.
        if kept.bytes.len() > 4 * BYTES {
            let front = kept.bytes.len() - BYTES;
            kept.bytes.drain(..front);
        }
    }

    /// At most 100 lines, of 16 KiB.
    pub(super) fn last_lines(&self) -> LastLines {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes = kept.bytes.get(kept.bytes.len().saturating_sub(BYTES)..).unwrap_or_default();
        let mut cut = kept.all > bytes.len() as u64;
        let text = String::from_utf8_lossy(bytes);
        let mut lines: Vec<_> = text.lines().collect();
        if cut && lines.len() > 1 {
            // Of the first only a part is there.
            lines.remove(0);
        }
        if lines.len() > LINES {
            lines.drain(..lines.len() - LINES);
            cut = true;
        }
        LastLines { text: lines.join("\n"), cut }
    }
}

/// Copies what a program says to the worker's own output until nobody holds it open any more.
pub(super) struct Output {
    tail: Tail,
    copying: JoinHandle<()>,
}

impl Output {
    /// Of a child whose output and standard error are pipes.
    pub(super) fn of(child: &mut Child) -> Self {
        let tail = Tail::default();
        let (out, err) = (child.stdout.take(), child.stderr.take());
        let copying = tokio::spawn({
            let tail = tail.clone();
            async move {
                let (to_out, to_err) = (ours(&std::io::stdout()), ours(&std::io::stderr()));
                tokio::join!(copy(out, to_out, &tail), copy(err, to_err, &tail));
            }
        });
        Self { tail, copying }
    }

    /// The end of it, once the program has ended. What it left running can go on to write.
    pub(super) async fn rest(mut self) -> Tail {
        if tokio::time::timeout(REST, &mut self.copying).await.is_err() {
            tracing::debug!("a program that has ended left something that holds its output open");
        }
        self.tail
    }
}

/// The worker's own output, without a buffer in between; none where it is closed.
fn ours(stream: &impl AsFd) -> Option<File> {
    stream.as_fd().try_clone_to_owned().ok().map(|it| File::from_std(it.into()))
}

/// A worker whose own output is closed still reads: the program must not notice.
async fn copy(from: Option<impl AsyncRead + Unpin>, mut to: Option<File>, tail: &Tail) {
    let Some(mut from) = from else { return };
    let mut buffer = vec![0; BUFFER];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        let bytes = buffer.get(..read).unwrap_or_default();
        tail.push(bytes);
        if let Some(to) = &mut to
            && to.write_all(bytes).await.is_ok()
        {
            to.flush().await.ok();
        }
    }
}

#[cfg(test)]
impl Tail {
    pub(super) fn of(bytes: &[u8]) -> Self {
        let tail = Self::default();
        tail.push(bytes);
        tail
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn last(bytes: &[u8]) -> (String, bool) {
        let LastLines { text, cut } = Tail::of(bytes).last_lines();
        (text, cut)
    }

    #[test]
    fn the_last_lines_are_whole_and_few() {
        assert_eq!(last(b""), (String::new(), false));
        assert_eq!(last(b"a\r\nb\n\xff"), ("a\nb\n\u{fffd}".to_owned(), false));
        let many = (0..150).map(|it| format!("line {it}")).collect::<Vec<_>>().join("\n");
        let (text, cut) = last(many.as_bytes());
        assert_eq!((text.lines().count(), text.lines().next(), cut), (100, Some("line 50"), true));
        let wide = (0..90).map(|it| format!("{it} {}\n", "x".repeat(1000))).collect::<Vec<_>>().concat();
        let (text, cut) = last(wide.as_bytes());
        assert!(cut && text.len() <= BYTES && text.starts_with("74 x"), "{text}");
        let (text, cut) = last(&vec![b'x'; 5 * BYTES]);
        assert_eq!((text.len(), cut), (BYTES, true), "one line without an end");
    }

    #[test]
    fn memory_is_bounded() {
        let tail = Tail::default();
        for _ in 0..10_000 {
            tail.push(&[b'x'; 1000]);
        }
        let kept = tail.0.lock().unwrap();
        assert!(kept.bytes.len() <= 4 * BYTES && kept.all == 10_000_000);
    }
}
