//! How many requests a credential has, and when there are new ones.

use std::time::Duration;

use jiff::Timestamp;

use super::fault::Reply;

/// More than any test asks for: a limit is something that a test sets.
const LIMIT: u32 = 1_000_000;
/// As at GitHub.
const PERIOD: Duration = Duration::from_hours(1);

/// What is left of the requests of an hour.
#[derive(Clone, Copy, Debug)]
pub(super) struct Budget {
    limit: u32,
    remaining: u32,
    /// Seconds since 1970; none until the first request.
    reset: Option<i64>,
}

impl Default for Budget {
    fn default() -> Self {
        Self { limit: LIMIT, remaining: LIMIT, reset: None }
    }
}

impl Budget {
    pub(super) fn new(limit: u32, remaining: u32, reset: Timestamp) -> Self {
        Self { limit, remaining, reset: Some(reset.as_second()) }
    }

    /// A new hour, where the old one is over.
    pub(super) fn renew(&mut self, now: Timestamp) {
        let period = i64::try_from(PERIOD.as_secs()).unwrap_or_default();
        match self.reset {
            Some(reset) if now.as_second() < reset => {}
            Some(_) => {
                *self =
                    Self { limit: self.limit, remaining: self.limit, reset: Some(now.as_second() + period) }
            }
            None => self.reset = Some(now.as_second() + period),
        }
    }

    pub(super) const fn is_used_up(&self) -> bool {
        self.remaining == 0
    }

    pub(super) const fn spend(&mut self, cost: u32) {
        self.remaining = self.remaining.saturating_sub(cost);
    }

    /// What every answer says ("Rate limits for the REST API").
    pub(super) fn headers(&self, reply: Reply) -> Reply {
        let Self { limit, remaining, reset } = self;
        reply
            .with_header("x-ratelimit-limit", &limit.to_string())
            .with_header("x-ratelimit-remaining", &remaining.to_string())
            .with_header("x-ratelimit-used", &(limit - remaining).to_string())
            .with_header("x-ratelimit-reset", &reset.unwrap_or_default().to_string())
            .with_header("x-ratelimit-resource", "core")
    }

    /// The answer when nothing is left.
    pub(super) fn refusal() -> Reply {
        Reply::problem(403, "API rate limit exceeded for user ID 1.")
    }
}
