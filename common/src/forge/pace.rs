//! When a forge may be asked: what its answers say about its limits, and what follows for the next request.

use std::time::Duration;

use jiff::Timestamp;
use jiff::fmt::rfc2822;
use reqwest::StatusCode;
use reqwest::header::{DATE, HeaderMap, HeaderName, RETRY_AFTER};
use tokio::time::Instant;

const LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");

/// A forge that limits us without a word about the time gets at least this ("Best practices for using the REST API").
const UNSAID: Duration = Duration::from_mins(1);
/// A limit whose time has come may still be there for a moment.
const SHORTEST: Duration = Duration::from_secs(1);
/// GitHub counts by the hour: who is told to wait longer asks once more then.
pub(super) const LONGEST: Duration = Duration::from_mins(65);
/// One in so many requests of a limit is left by sweeps to those that somebody waits for. A job costs about five (three
/// statuses and two reads), so the 500 of GitHub's 5000 are good for a hundred jobs an hour.
const RESERVE: u64 = 10;

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Urgency {
    /// Somebody waits for it: a write, or a read on behalf of an event or a job.
    Now,
    /// A sweep: it goes after everybody else.
    Background,
}

/// What the answers so far said.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pace {
    /// Nobody asks before.
    closed_until: Option<Instant>,
    /// Nor do sweeps before.
    reserved_until: Option<Instant>,
}

impl Pace {
    /// How long this request has to wait.
    pub(super) fn wait(&self, urgency: Urgency, now: Instant) -> Option<Duration> {
        let reserved = self.reserved_until.filter(|_| urgency == Urgency::Background);
        let until = self.closed_until.max(reserved)?;
        until.checked_duration_since(now).filter(|it| !it.is_zero())
    }

    /// A forge said that it wants to be left alone for so long.
    pub(super) fn close(&mut self, wait: Duration, now: Instant) {
        self.closed_until = self.closed_until.max(Some(now + wait.min(LONGEST)));
    }

    /// Reads what any answer says about what is left.
    pub(super) fn note(&mut self, headers: &HeaderMap, now: Instant) {
        let (Some(remaining), Some(reset)) = (remaining(headers), reset_in(headers)) else { return };
        if remaining == 0 {
            self.close(reset, now);
        }
        let scarce = number(headers, &LIMIT).is_some_and(|limit| remaining < limit / RESERVE);
        self.reserved_until = scarce.then(|| now + reset.min(LONGEST));
    }
}

/// How many requests are left, where a forge says so.
pub(super) fn remaining(headers: &HeaderMap) -> Option<u64> {
    number(headers, &REMAINING)
}

/// How long to wait where an answer is a limit: 429, or 403 with `Retry-After`, without anything left, or with the words of the
/// secondary limit ("Rate limits for the REST API"). None where it is none.
pub(super) fn limited(status: StatusCode, headers: &HeaderMap, message: &str) -> Option<Duration> {
    let said = retry_after(headers);
    let used_up = remaining(headers) == Some(0);
    let is_limit = match status {
        StatusCode::TOO_MANY_REQUESTS => true,
        StatusCode::FORBIDDEN => said.is_some() || used_up || message.to_lowercase().contains("rate limit"),
        _ => false,
    };
    let reset = || reset_in(headers).filter(|_| used_up);
    is_limit.then(|| said.or_else(reset).unwrap_or(UNSAID).clamp(SHORTEST, LONGEST))
}

/// In seconds, or as a date by the forge's own clock.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    number(headers, &RETRY_AFTER).map(Duration::from_secs).or_else(|| {
        let until = date(headers, &RETRY_AFTER)?;
        Some(between(date(headers, &DATE)?, until.as_second()))
    })
}

/// Until `x-ratelimit-reset` (seconds since 1970) by the forge's own clock.
fn reset_in(headers: &HeaderMap) -> Option<Duration> {
    let reset = i64::try_from(number(headers, &RESET)?).ok()?;
    Some(between(date(headers, &DATE)?, reset).max(SHORTEST))
}

fn between(from: Timestamp, to: i64) -> Duration {
    Duration::from_secs(u64::try_from(to.saturating_sub(from.as_second())).unwrap_or_default())
}

fn date(headers: &HeaderMap, name: &HeaderName) -> Option<Timestamp> {
    rfc2822::parse(headers.get(name)?.to_str().ok()?).ok().map(Timestamp::from)
}

fn number(headers: &HeaderMap, name: &HeaderName) -> Option<u64> {
    headers.get(name)?.to_str().ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One minute before 784111837.
    const NOW: (&str, &str) = ("date", "Sun, 06 Nov 1994 08:49:37 GMT");
    const RESET_IN_A_MINUTE: (&str, &str) = ("x-ratelimit-reset", "784111837");

    fn headers(all: &[(&'static str, &str)]) -> HeaderMap {
        all.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    #[test]
    fn limits_are_told_from_refusals_and_say_when_to_come_back() {
        let used_up = ("x-ratelimit-remaining", "0");
        let secondary = "You have exceeded a secondary rate limit. Please wait.";
        for (status, all, message, seconds) in [
            (429, vec![], "", Some(60)),
            (429, vec![("retry-after", "7")], "", Some(7)),
            (429, vec![("retry-after", "0")], "", Some(1)),
            (429, vec![("retry-after", "soon")], "", Some(60)),
            (429, vec![("retry-after", "18446744073709551615")], "", Some(LONGEST.as_secs())),
            (429, vec![("retry-after", "Sun, 06 Nov 1994 08:49:47 GMT"), NOW], "", Some(10)),
            (429, vec![("retry-after", "Sun, 06 Nov 1994 08:49:47 GMT")], "", Some(60)),
            (429, vec![("x-ratelimit-remaining", "9"), RESET_IN_A_MINUTE, NOW], "", Some(60)),
            (403, vec![("retry-after", "90"), ("x-ratelimit-remaining", "9")], "", Some(90)),
            (403, vec![used_up, RESET_IN_A_MINUTE, NOW], "", Some(60)),
            (403, vec![used_up, ("x-ratelimit-reset", "1"), NOW], "", Some(1)),
            (403, vec![used_up, RESET_IN_A_MINUTE], "", Some(60)),
            (403, vec![], secondary, Some(60)),
            (403, vec![("x-ratelimit-remaining", "9")], secondary, Some(60)),
            (403, vec![("x-ratelimit-remaining", "9")], "Must have admin rights", None),
            (401, vec![used_up], "rate limit", None),
            (200, vec![used_up], "", None),
            (503, vec![("retry-after", "7")], "", None),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            let found = limited(status, &headers(&all), message);
            assert_eq!(found, seconds.map(Duration::from_secs), "{status} {all:?} {message}");
        }
    }

    #[test]
    fn who_may_ask_when() {
        let now = Instant::now();
        for (left, everybody, sweeps) in [
            ("5000", None, None),
            ("500", None, None),
            ("499", None, Some(60)),
            ("1", None, Some(60)),
            ("0", Some(60), Some(60)),
        ] {
            let mut pace = Pace::default();
            let limit = ("x-ratelimit-limit", "5000");
            pace.note(&headers(&[limit, ("x-ratelimit-remaining", left), RESET_IN_A_MINUTE, NOW]), now);
            let wait = |urgency, at| pace.wait(urgency, at).map(|it| it.as_secs());
            assert_eq!(
                (wait(Urgency::Now, now), wait(Urgency::Background, now)),
                (everybody, sweeps),
                "{left}"
            );
            let later = now + Duration::from_mins(1);
            assert_eq!((wait(Urgency::Now, later), wait(Urgency::Background, later)), (None, None), "{left}");
        }
    }

    #[test]
    fn a_new_hour_ends_the_reserve_and_only_time_ends_a_limit() {
        let now = Instant::now();
        let limit = ("x-ratelimit-limit", "60");
        let left = |it| headers(&[limit, ("x-ratelimit-remaining", it), RESET_IN_A_MINUTE, NOW]);
        let mut pace = Pace::default();
        pace.note(&left("3"), now);
        pace.note(&left("59"), now);
        assert_eq!(pace.wait(Urgency::Background, now), None);
        pace.note(&left("0"), now);
        // An answer that was on its way.
        pace.note(&left("1"), now);
        pace.close(Duration::from_secs(1), now);
        assert_eq!(pace.wait(Urgency::Now, now), Some(Duration::from_mins(1)));
    }

    #[test]
    fn a_forge_cannot_close_itself_for_ever() {
        let (mut pace, now) = (Pace::default(), Instant::now());
        pace.close(Duration::from_secs(u64::MAX), now);
        assert_eq!(pace.wait(Urgency::Now, now), Some(LONGEST));
    }

    #[test]
    fn a_forge_that_says_nothing_is_asked() {
        let (mut pace, now) = (Pace::default(), Instant::now());
        pace.note(&headers(&[("x-ratelimit-remaining", "0")]), now);
        pace.note(&headers(&[]), now);
        assert_eq!(pace.wait(Urgency::Background, now), None);
    }
}
