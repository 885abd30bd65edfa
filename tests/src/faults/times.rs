//! How long workers wait for each other, and how long things are away: shorter than that, about as long, and much longer.

use std::ops::Range;
use std::time::Duration;

use clap::ValueEnum;
use fastrand::Rng;

/// The times of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Times {
    /// A fence of 8 s, so that outages around it fit into a short run.
    #[default]
    Short,
    /// Those that a fleet has by default: a fence of 60 s, and outages of 10 s, 30 s, 40 s and 5 min.
    Real,
}

impl Times {
    /// Keys of `[execute]`.
    pub(super) const fn settings(self) -> &'static str {
        match self {
            Self::Short => "fence-seconds = 8\ntakeover-seconds = 11\nreport-patience-seconds = 5\n",
            Self::Real => "report-patience-seconds = 20\n",
        }
    }

    /// How long the broker, or the way to it, is away in a run of this length.
    pub(super) fn outage(self, run: Duration, rng: &mut Rng) -> Duration {
        let seconds = |range: Range<u64>, rng: &mut Rng| {
            Duration::from_millis(rng.u64(range.start * 1000..range.end * 1000))
        };
        match self {
            Self::Short => {
                let outage = match rng.u32(..4) {
                    0 | 1 => seconds(1..6, rng),
                    2 => seconds(6..12, rng),
                    _ => seconds(16..40, rng),
                };
                // A run is not to be one outage.
                outage.min(run / 4)
            }
            Self::Real => Duration::from_secs([10, 10, 30, 30, 40, 40, 300][rng.usize(..7)]),
        }
    }

    /// Who is cut off for no longer than this goes on with what it runs. A worker may have last heard of the broker some seconds before
    /// it was away, and needs some to notice that it is back.
    pub(super) const fn outlived(self) -> Duration {
        match self {
            Self::Short => Duration::ZERO,
            Self::Real => Duration::from_secs(32),
        }
    }

    /// Outages with less time than this between them are one, to who has to come back in between.
    pub(super) const fn recovery(self) -> Duration {
        match self {
            Self::Short => Duration::from_secs(8),
            Self::Real => Duration::from_mins(1),
        }
    }

    /// How long people try to have something accepted: longer than any fault.
    pub(super) const fn patience(self) -> Duration {
        match self {
            Self::Short => Duration::from_mins(3),
            Self::Real => Duration::from_mins(12),
        }
    }

    /// How long it may take until all is quiet when there is no backlog: longer than all pauses between attempts, and than any forge wants
    /// to be left alone.
    pub(super) const fn quiet(self) -> Duration {
        match self {
            Self::Short => Duration::from_mins(3),
            Self::Real => Duration::from_mins(15),
        }
    }
}
