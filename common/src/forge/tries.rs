//! How often something is tried, and what comes after an error.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use reqwest::StatusCode;
use tokio::time::Instant;

use super::error::ForgeError;
use super::pace::{self, Urgency};
use super::settings::Limits;
use super::token::Look;

const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LAST_PAUSE: Duration = Duration::from_secs(4);

/// What to do after an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    GiveUp,
    /// The gate knows for how long.
    WaitForLimit,
    After(Duration),
}

/// How often, and for how long, somebody has tried.
pub(super) struct Tries {
    retry_for: Duration,
    /// How long limits may take in all.
    patience: Duration,
    began: Instant,
    /// The first of the tries since the last wait for a limit.
    first: Instant,
    pauses: ExponentialBackoff,
    /// Whether another token was tried.
    refreshed: bool,
}

impl Tries {
    pub(super) fn new(limits: &Limits, urgency: Urgency) -> Self {
        let (retry_for, now) = (limits.retry_for, Instant::now());
        let patience = match urgency {
            Urgency::Now => retry_for,
            Urgency::Background => pace::LONGEST,
        };
        Self { retry_for, patience, began: now, first: now, pauses: pauses(), refreshed: false }
    }

    /// How much longer a wait for limits may take.
    pub(super) fn patience(&self) -> Duration {
        self.patience.saturating_sub(self.began.elapsed())
    }

    pub(super) fn next(
        &mut self,
        error: &ForgeError,
        harmless: bool,
        refresh: impl FnOnce() -> Look,
    ) -> Next {
        match error {
            // It was refused, so nothing was done: even what may not be done twice is asked for again.
            ForgeError::RateLimited { retry_after: Some(wait), .. } if *wait <= self.patience() => {
                (self.first, self.pauses) = (Instant::now() + *wait, pauses());
                Next::WaitForLimit
            }
            ForgeError::Unauthorized { status: StatusCode::UNAUTHORIZED, .. }
                if !self.refreshed && refresh() == Look::New =>
            {
                self.refreshed = true;
                Next::After(Duration::ZERO)
            }
            error if error.is_brief() && (harmless || error.is_unsent()) => {
                let left = self.retry_for.saturating_sub(self.first.elapsed());
                self.pauses.next().filter(|it| *it < left).map_or(Next::GiveUp, Next::After)
            }
            _ => Next::GiveUp,
        }
    }
}

fn pauses() -> ExponentialBackoff {
    ExponentialBuilder::new()
        .with_min_delay(FIRST_PAUSE)
        .with_max_delay(LAST_PAUSE)
        .without_max_times()
        .with_jitter()
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_their_bound() {
        let pauses: Vec<_> = pauses().take(20).collect();
        assert!(pauses.iter().all(|it| (FIRST_PAUSE..=LAST_PAUSE * 2).contains(it)), "{pauses:?}");
        assert!(pauses[0] < LAST_PAUSE);
    }
}
