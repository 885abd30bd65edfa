//! Connecting, again and again.

use std::time::Duration;

use backon::ExponentialBackoff;
use tokio_util::sync::CancellationToken;

use super::{Broker, BrokerError, Session};
use crate::{Chain, pauses};

/// The first pause between two connects; each further one is twice as long, with jitter.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// The longest.
const LAST_PAUSE: Duration = Duration::from_secs(15);
/// A session that lived this long was a good one: the pauses start over.
const STEADY: Duration = Duration::from_secs(30);

/// The sessions of one role, one after the other.
///
/// ```no_run
/// # async fn role(mut sessions: common::broker::Sessions) {
/// while let Some(session) = sessions.next(tokio::time::sleep).await {
///     let error = session.lost().await; // or the first error of the role's work
///     sessions.ended(&error);
/// }
/// # }
/// ```
#[derive(Debug)]
pub struct Sessions {
    broker: Broker,
    role: &'static str,
    stop: CancellationToken,
    backoff: ExponentialBackoff,
    pause: Option<Duration>,
    since: tokio::time::Instant,
}

impl Sessions {
    /// For a role, until `stop`.
    #[must_use]
    pub fn new(broker: Broker, role: &'static str, stop: CancellationToken) -> Self {
        Self { broker, role, stop, backoff: backoff(), pause: None, since: tokio::time::Instant::now() }
    }

    /// The next session, however long that takes; none once it is time to stop. `rest` is what the pauses between tries are spent with,
    /// such as [`tokio::time::sleep`]: the broker is away then, as far as anybody knows.
    pub async fn next(&mut self, rest: impl AsyncFnMut(Duration)) -> Option<Session> {
        let stop = self.stop.clone();
        stop.run_until_cancelled(self.connect(rest)).await
    }

    /// Returns when it is time to stop.
    pub async fn stopped(&self) {
        self.stop.cancelled().await;
    }

    async fn connect(&mut self, mut rest: impl AsyncFnMut(Duration)) -> Session {
        loop {
            if let Some(pause) = self.pause.take() {
                rest(pause).await;
            }
            match self.broker.connect(self.role).await {
                Ok(session) => {
                    tracing::info!(broker.address = %self.broker.address, role = self.role, "connected to the broker");
                    self.since = tokio::time::Instant::now();
                    return session;
                }
                Err(error) => self.pause_after(&error, "no connection to the broker yet"),
            }
        }
    }

    /// Says that a session ended, and why; the next one comes after a pause that grows while they are short.
    pub fn ended(&mut self, error: &BrokerError) {
        if self.since.elapsed() >= STEADY {
            self.backoff = backoff();
        }
        self.pause_after(error, "the session with the broker ended");
    }

    fn pause_after(&mut self, error: &BrokerError, what: &str) {
        let pause = next_pause(&mut self.backoff);
        self.pause = Some(pause);
        tracing::warn!(error = %Chain(error), role = self.role, retry_ms = pause.as_millis(), "{what}");
    }
}

/// Never longer than the last one: the jitter comes on top of what the backoff bounds.
fn next_pause(backoff: &mut ExponentialBackoff) -> Duration {
    backoff.next().unwrap_or(LAST_PAUSE).min(LAST_PAUSE)
}

fn backoff() -> ExponentialBackoff {
    pauses::growing(FIRST_PAUSE, LAST_PAUSE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_have_an_end() {
        let mut backoff = backoff();
        let pauses: Vec<_> = std::iter::repeat_with(|| next_pause(&mut backoff)).take(50).collect();
        assert!(pauses[0] < 2 * FIRST_PAUSE, "{pauses:?}");
        assert!(pauses.iter().all(|it| (FIRST_PAUSE..=LAST_PAUSE).contains(it)), "{pauses:?}");
        assert_eq!(pauses.last(), Some(&LAST_PAUSE));
    }
}
