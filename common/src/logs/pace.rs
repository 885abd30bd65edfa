//! When the next block of a growing log is sent. Decides; does no I/O.

use std::time::Duration;

use tokio::time::Instant;

/// A block is sent early when this many bytes wait (wire facts).
const BLOCK_BYTES: u64 = 1_000_000;

/// How long the first byte after a silence waits for the rest of its line.
const GATHER: Duration = Duration::from_millis(300);

/// The least time between two blocks, however much waits: a chatty job costs two requests a second at most.
const LEAST: Duration = Duration::from_secs(1);

/// So many seconds between blocks while a job prints; at once (nearly) after a silence.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    flush_after: Duration,
    /// When the last block was begun.
    last: Option<Instant>,
}

impl Pace {
    pub(super) const fn new(flush_after: Duration) -> Self {
        Self { flush_after, last: None }
    }

    /// A block is begun.
    pub(super) const fn begin(&mut self, now: Instant) {
        self.last = Some(now);
    }

    /// When `waiting` bytes have to be sent, the first of which was seen at `since`.
    pub(super) fn due(&self, since: Instant, waiting: u64) -> Instant {
        let (gather, between) = if waiting >= BLOCK_BYTES {
            (Duration::ZERO, self.flush_after.min(LEAST))
        } else {
            (self.flush_after.min(GATHER), self.flush_after)
        };
        let alone = since + gather;
        self.last.map_or(alone, |last| alone.max(last + between))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_byte_waits_a_little_and_the_rest_for_each_other() {
        let start = Instant::now();
        let at = |seconds: f64| start + Duration::from_secs_f64(seconds);
        let flush_after = Duration::from_secs_f64(1.5);
        for (last, since, waiting, due) in [
            // After a silence.
            (None, 5.0, 1, 5.3),
            (Some(1.0), 5.0, 1, 5.3),
            (None, 5.0, 1_000_000, 5.0),
            (Some(1.0), 5.0, 1_000_000, 5.0),
            // While it prints.
            (Some(5.0), 5.1, 1, 6.5),
            (Some(5.0), 6.4, 1, 6.7),
            (Some(5.0), 5.1, 999_999, 6.5),
            // While it prints a lot.
            (Some(5.0), 5.1, 1_000_000, 6.0),
            (Some(5.0), 5.1, 1_000_000_000, 6.0),
        ] {
            let pace = Pace { flush_after, last: last.map(at) };
            assert_eq!(pace.due(at(since), waiting), at(due), "{last:?} {since} {waiting}");
        }
    }

    #[test]
    fn shorter_pauses_hold_for_all() {
        let mut pace = Pace::new(Duration::from_millis(50));
        let now = Instant::now();
        pace.begin(now);
        assert_eq!(pace.due(now, 1), now + Duration::from_millis(50));
        assert_eq!(pace.due(now, 1_000_000), now + Duration::from_millis(50));
    }
}
