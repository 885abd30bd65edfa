//! Life times: how many days, and from when to when.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use jiff::{SignedDuration, Timestamp};

use crate::error::{Error, InvalidValue};

/// Certificates are valid from this long before they are made, so that a peer whose clock is
/// somewhat behind accepts them at once.
pub const CLOCK_SKEW: SignedDuration = SignedDuration::from_hours(1);

/// Seconds since 1970 of 2000-01-01 and 2200-01-01. Outside of these a clock is wrong (a machine
/// without a battery wakes up in 1970), and so would be all that is made by it.
const SANE_CLOCK: std::ops::Range<i64> = 946_684_800..7_258_118_400;

/// A life time in days of 24 hours: 1 to 7300 (20 years).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Days(u16);

impl Days {
    /// Ten years, for a CA: replacing it means touching every machine of a fleet.
    pub const CA: Self = Self(3650);
    /// Two years, for a server or a client: long enough not to be a chore, short enough that
    /// somebody still knows how it is done.
    pub const LEAF: Self = Self(730);
    /// The longest life time.
    pub const MAX: Self = Self(7300);

    /// # Errors
    ///
    /// When `days` is 0 or above [`Days::MAX`].
    pub fn new(days: u16) -> Result<Self, InvalidValue> {
        if (1..=Self::MAX.0).contains(&days) { Ok(Self(days)) } else { Err(invalid(days.to_string())) }
    }

    /// The number of days.
    pub fn get(self) -> u16 {
        self.0
    }
}

impl fmt::Display for Days {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Days {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        text.parse().map_err(|_| invalid(text.to_owned())).and_then(Self::new)
    }
}

fn invalid(value: String) -> InvalidValue {
    InvalidValue { what: "a number of days", value, expected: "1 to 7300 (20 years)" }
}

/// From when to when a certificate is valid; both ends are part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Validity {
    pub(crate) from: Timestamp,
    pub(crate) until: Timestamp,
}

impl Validity {
    /// `days` from now, and [`CLOCK_SKEW`] before now.
    pub(crate) fn starting(now: Timestamp, days: Days) -> Result<Self, Error> {
        let wrong = |_| Error::Clock { now };
        if !SANE_CLOCK.contains(&now.as_second()) {
            return Err(Error::Clock { now });
        }
        let life = SignedDuration::from_hours(24 * i64::from(days.get()));
        let from = now.checked_sub(CLOCK_SKEW).map_err(wrong)?;
        let until = now.checked_add(life).map_err(wrong)?;
        Ok(Self { from, until })
    }

    /// Refuses a leaf of `days` that its CA (this one, from the file `ca`) would not cover.
    pub(crate) fn check_leaf(self, now: Timestamp, days: Days, ca: &Path) -> Result<(), Error> {
        if now < self.from {
            return Err(Error::CaNotValidYet { ca: ca.to_owned(), from: self.from });
        }
        if self.until < now {
            let problem = format!("it expired on {}; make a new CA (credentials ca)", date_time(self.until));
            return Err(Error::UnusableCa { path: ca.to_owned(), problem });
        }
        // X.509 counts whole seconds, so fractions must not decide.
        if Self::starting(now, days)?.until.as_second() > self.until.as_second() {
            let left = whole_days(now, self.until);
            return Err(Error::OutlivesCa { days, ca: ca.to_owned(), until: self.until, left });
        }
        Ok(())
    }
}

/// Whole days from `a` to `b`, rounded down; negative when `b` is first.
pub(crate) fn whole_days(a: Timestamp, b: Timestamp) -> i64 {
    (b.as_second() - a.as_second()).div_euclid(24 * 60 * 60)
}

/// A time as people read it, in UTC.
pub(crate) fn date_time(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::constant(1_760_000_000, 500_000_000);

    #[test]
    fn days_have_a_range() {
        assert_eq!("1".parse::<Days>().unwrap().get(), 1);
        assert_eq!("7300".parse::<Days>().unwrap(), Days::MAX);
        for wrong in ["0", "7301", "-1", "", "1.5", "ten", "99999999999"] {
            let error = wrong.parse::<Days>().unwrap_err().to_string();
            assert!(error.contains("1 to 7300"), "{error}");
        }
    }

    #[test]
    fn a_validity_starts_an_hour_early_and_ends_after_its_days() {
        let validity = Validity::starting(NOW, Days(2)).unwrap();
        assert_eq!(NOW.duration_since(validity.from), SignedDuration::from_hours(1));
        assert_eq!(validity.until.duration_since(NOW), SignedDuration::from_hours(48));
    }

    #[test]
    fn a_clock_that_cannot_be_right_is_an_error() {
        for now in [Timestamp::UNIX_EPOCH, Timestamp::MIN, Timestamp::MAX] {
            assert!(matches!(Validity::starting(now, Days::CA), Err(Error::Clock { .. })));
        }
    }

    #[test]
    fn a_leaf_may_end_with_its_ca_but_not_later() {
        let ca = Validity::starting(NOW, Days(10)).unwrap();
        let path = Path::new("ca.pem");
        ca.check_leaf(NOW, Days(10), path).unwrap();
        let error = ca.check_leaf(NOW, Days(11), path).unwrap_err();
        assert!(error.to_string().contains("11 days would outlive"), "{error}");
        assert!(error.to_string().contains("10 days left"), "{error}");
        assert!(error.is_refusal());
    }

    #[test]
    fn a_ca_from_the_future_issues_nothing() {
        let ca = Validity::starting(NOW, Days(10)).unwrap();
        let earlier = NOW.checked_sub(SignedDuration::from_hours(5)).unwrap();
        let error = ca.check_leaf(earlier, Days(1), Path::new("ca.pem")).unwrap_err();
        assert!(matches!(error, Error::CaNotValidYet { .. }));
    }

    #[test]
    fn an_expired_ca_issues_nothing() {
        let ca = Validity::starting(NOW, Days(10)).unwrap();
        let later = NOW.checked_add(SignedDuration::from_hours(24 * 11)).unwrap();
        let error = ca.check_leaf(later, Days(1), Path::new("ca.pem")).unwrap_err().to_string();
        assert!(error.starts_with("ca.pem cannot be used as a CA: it expired on 2025-10-"), "{error}");
    }

    #[test]
    fn days_are_rounded_down() {
        let after = |seconds: i64| Timestamp::from_second(1_760_000_000 + seconds).unwrap();
        assert_eq!(whole_days(after(0), after(86_399)), 0);
        assert_eq!(whole_days(after(0), after(86_400)), 1);
        assert_eq!(whole_days(after(1), after(0)), -1);
    }
}
