//! Pauses between tries.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};

/// Pauses without end that double from the first to the last; up to as much again comes on top of each by chance, so that those
/// who failed together do not come back together.
#[must_use]
pub fn growing(first: Duration, last: Duration) -> ExponentialBackoff {
    ExponentialBuilder::new()
        .with_min_delay(first)
        .with_max_delay(last)
        .without_max_times()
        .with_jitter()
        .build()
}
