//! Time, passed in: nothing but [`Clock::system`] reads the machine's.

use jiff::Timestamp;

/// What time it is.
#[derive(Clone, Copy, Debug)]
pub struct Clock(Source);

#[derive(Clone, Copy, Debug)]
enum Source {
    System,
    Fixed(Timestamp),
}

impl Clock {
    /// The machine's.
    #[must_use]
    pub const fn system() -> Self {
        Self(Source::System)
    }

    /// One that stands still: for what is to be the same whenever it is done, and for tests.
    #[must_use]
    pub const fn fixed(at: Timestamp) -> Self {
        Self(Source::Fixed(at))
    }

    /// Now.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the machine's clock")]
    pub fn now(self) -> Timestamp {
        match self.0 {
            Source::System => Timestamp::now(),
            Source::Fixed(at) => at,
        }
    }
}
