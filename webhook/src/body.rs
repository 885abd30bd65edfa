//! Reading a body of bounded size, in bounded time and memory.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, HttpBody};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The largest event that GitHub sends (its documentation of webhook payloads): 25 MiB.
pub(crate) const LARGEST: usize = 25 * 1024 * 1024;
/// A sender gives up sooner.
const READ_LIMIT: Duration = Duration::from_secs(30);
/// How long a client that sends too much is listened to, so that it reads our answer instead of a reset.
const LINGER: Duration = Duration::from_secs(1);
/// Bodies up to here are ordinary.
const ORDINARY: usize = 1024 * 1024;
const KIB: usize = 1024;

/// The memory that bodies may take together. What is larger than ordinary has a part of its own, so that slow clients with
/// large bodies do not keep ordinary events out.
#[derive(Clone)]
pub(crate) struct Budget {
    ordinary: Arc<Semaphore>,
    large: Arc<Semaphore>,
}

impl Default for Budget {
    fn default() -> Self {
        Self::of(64 * KIB, 160 * KIB)
    }
}

impl Budget {
    fn of(ordinary_kib: usize, large_kib: usize) -> Self {
        Self { ordinary: Arc::new(Semaphore::new(ordinary_kib)), large: Arc::new(Semaphore::new(large_kib)) }
    }
}

/// Why a body was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unread {
    /// Larger than [`LARGEST`].
    TooLarge,
    /// It did not come in time.
    TooSlow,
    /// There is no memory for it now.
    Busy,
    /// The client went away.
    Gone,
}

/// A body, and the memory that is reserved for it.
pub(crate) struct Read {
    pub(crate) bytes: Bytes,
    pub(crate) reserved: Reserved,
}

/// A part of the budget, given back when this is dropped.
pub(crate) struct Reserved(#[expect(dead_code, reason = "held, not read")] Vec<OwnedSemaphorePermit>);

/// Reads it all, or says why not. One that says itself that it is too large is not read at all.
pub(crate) async fn read(body: Body, budget: &Budget) -> Result<Read, Unread> {
    let announced = body.size_hint().lower();
    if announced > LARGEST as u64 {
        linger(body);
        return Err(Unread::TooLarge);
    }
    let expected = usize::try_from(announced).unwrap_or(LARGEST);
    let reading = tokio::time::timeout(READ_LIMIT, collect(body, expected, budget));
    match reading.await {
        Ok(Err((unread, rest))) => {
            if unread == Unread::TooLarge {
                linger(rest);
            }
            Err(unread)
        }
        Ok(Ok(read)) => Ok(read),
        Err(_) => Err(Unread::TooSlow),
    }
}

async fn collect(mut body: Body, expected: usize, budget: &Budget) -> Result<Read, (Unread, Body)> {
    let mut bytes = BytesMut::with_capacity(expected.min(ORDINARY));
    let mut reserved = Vec::new();
    let mut covered = 0;
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else { return Err((Unread::Gone, body)) };
        let Ok(data) = frame.into_data() else { continue };
        let size = bytes.len() + data.len();
        if size > LARGEST {
            return Err((Unread::TooLarge, body));
        }
        while covered < size {
            let part = if covered < ORDINARY { &budget.ordinary } else { &budget.large };
            // Sixteen KiB at a time: about what a read of a socket brings.
            let Ok(permit) = Arc::clone(part).try_acquire_many_owned(16) else {
                return Err((Unread::Busy, body));
            };
            reserved.push(permit);
            covered += 16 * KIB;
        }
        bytes.extend_from_slice(&data);
    }
    Ok(Read { bytes: bytes.freeze(), reserved: Reserved(reserved) })
}

/// Throws away what still comes, for a moment.
fn linger(mut body: Body) {
    tokio::spawn(tokio::time::timeout(LINGER, async move { while let Some(Ok(_)) = body.frame().await {} }));
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    fn chunks(count: usize, size: usize) -> Body {
        let chunk = Bytes::from(vec![b'x'; size]);
        let parts = std::iter::repeat_n(chunk, count).map(Ok::<_, std::convert::Infallible>);
        Body::from_stream(futures_util::stream::iter(parts))
    }

    #[tokio::test]
    async fn the_largest_event_is_read_and_one_byte_more_is_not() {
        let budget = Budget::default();
        let largest = read(chunks(25, 1024 * 1024), &budget).await.ok().unwrap();
        assert_eq!(largest.bytes.len(), LARGEST);
        drop(largest);
        let more = read(Body::from(vec![0; LARGEST + 1]), &budget).await;
        assert_eq!(more.err(), Some(Unread::TooLarge));
        let more = read(chunks(LARGEST / KIB + 1, KIB), &budget).await;
        assert_eq!(more.err(), Some(Unread::TooLarge));
    }

    #[tokio::test]
    async fn memory_is_bounded_and_given_back() {
        let budget = Budget::of(16, 0);
        let first = read(chunks(1, 16 * KIB), &budget).await.ok().unwrap();
        assert_eq!(read(chunks(1, 1), &budget).await.err(), Some(Unread::Busy));
        drop(first);
        assert!(read(chunks(1, 1), &budget).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_stops_in_the_middle_is_given_up() {
        let silent = Body::from_stream(futures_util::stream::pending::<Result<Bytes, std::io::Error>>());
        assert_eq!(read(silent, &Budget::default()).await.err(), Some(Unread::TooSlow));
    }

    #[tokio::test]
    async fn a_client_that_goes_away_is_noticed() {
        let broken = futures_util::stream::iter([Err::<Bytes, _>(std::io::Error::other("reset"))]);
        assert_eq!(read(Body::from_stream(broken), &Budget::default()).await.err(), Some(Unread::Gone));
    }
}
