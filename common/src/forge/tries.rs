//! How often something is tried, and what comes after an error.

use std::time::Duration;

use backon::ExponentialBackoff;
use reqwest::StatusCode;
use tokio::time::Instant;

use super::error::ForgeError;
use super::pace::{self, Urgency};
use super::settings::Limits;
use super::token::Look;
use crate::pauses;

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
    pauses::growing(FIRST_PAUSE, LAST_PAUSE)
}

#[cfg(test)]
mod tests {
    use reqwest::Method;

    use super::super::error::{Request, Stage};
    use super::*;
    use crate::id::ForgeName;

    fn request() -> Request {
        let forge = ForgeName::new("hub").unwrap();
        Request { forge, method: Method::POST, path: "repos/o/r/issues".to_owned(), id: None }
    }

    fn limited(seconds: u64) -> ForgeError {
        ForgeError::RateLimited {
            request: Box::new(request()),
            retry_after: Some(Duration::from_secs(seconds)),
        }
    }

    fn answered(status: StatusCode) -> ForgeError {
        let (request, message) = (Box::new(request()), String::new());
        if status.is_server_error() {
            ForgeError::Server { request, status, message }
        } else {
            ForgeError::Unauthorized { request, status, message }
        }
    }

    fn silent(at: Stage) -> ForgeError {
        ForgeError::TimedOut { request: Box::new(request()), limit: Duration::from_secs(1), at }
    }

    /// What comes after an error: `gives up`, `waits` for a limit, or tries `again`.
    fn after(error: &ForgeError, urgency: Urgency, harmless: bool) -> &'static str {
        match Tries::new(&Limits::default(), urgency).next(error, harmless, || Look::Same) {
            Next::GiveUp => "gives up",
            Next::WaitForLimit => "waits",
            Next::After(_) => "again",
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_tried_again() {
        for (error, harmless, harm) in [
            (answered(StatusCode::BAD_GATEWAY), "again", "gives up"),
            (silent(Stage::Answer), "again", "gives up"),
            (silent(Stage::Connect), "again", "again"),
            (answered(StatusCode::FORBIDDEN), "gives up", "gives up"),
            (answered(StatusCode::UNAUTHORIZED), "gives up", "gives up"),
            (ForgeError::NotFound { request: Box::new(request()) }, "gives up", "gives up"),
            (limited(5), "waits", "waits"),
            (limited(60), "gives up", "gives up"),
        ] {
            let found = [true, false].map(|it| after(&error, Urgency::Now, it));
            assert_eq!(found, [harmless, harm], "{error}");
        }
        assert_eq!(after(&limited(3600), Urgency::Background, true), "waits");
    }

    #[tokio::test(start_paused = true)]
    async fn another_token_is_tried_once() {
        let mut tries = Tries::new(&Limits::default(), Urgency::Now);
        let error = answered(StatusCode::UNAUTHORIZED);
        assert_eq!(tries.next(&error, false, || Look::New), Next::After(Duration::ZERO));
        assert_eq!(tries.next(&error, false, || Look::New), Next::GiveUp);
    }

    #[tokio::test(start_paused = true)]
    async fn patience_ends_and_a_wait_for_a_limit_costs_none_of_the_tries() {
        let error = answered(StatusCode::BAD_GATEWAY);
        let mut tries = Tries::new(&Limits::default(), Urgency::Now);
        tokio::time::sleep(Limits::default().retry_for).await;
        assert_eq!(tries.next(&error, true, || Look::Same), Next::GiveUp);
        assert_eq!(tries.next(&limited(1), true, || Look::Same), Next::GiveUp);

        let mut sweep = Tries::new(&Limits::default(), Urgency::Background);
        assert_eq!(sweep.next(&limited(1800), true, || Look::Same), Next::WaitForLimit);
        tokio::time::sleep(Duration::from_mins(30)).await;
        assert!(matches!(sweep.next(&error, true, || Look::Same), Next::After(_)));
    }

    #[test]
    fn pauses_grow_to_their_bound() {
        let pauses: Vec<_> = pauses().take(20).collect();
        assert!(pauses.iter().all(|it| (FIRST_PAUSE..=LAST_PAUSE * 2).contains(it)), "{pauses:?}");
        assert!(pauses[0] < LAST_PAUSE);
    }
}
