//! The fault harness: a fleet of its own in which things break at random while people work, and a ledger of what was asked for beside
//! what came of it. docs/OPERATIONS.md, "Trying it", says how to run it and how to read its end.
//!
//! | module | what it has |
//! |---|---|
//! | `schedule` | all that happens, from a seed |
//! | `fault` | the faults: where each strikes, how it begins and ends |
//! | `times` | how long workers wait for each other, and how long things are away |
//! | `field`, `site`, `receiver`, `older` | what breaks |
//! | `people`, `send` | who asks for something |
//! | [`burst`] | nothing breaks, there is too much of everything |
//! | `quiet` | when it is over, and what is left then |
//! | `judge`, `evidence`, `shelf`, `register`, `book`, `story` | whether all laws were kept, and if not, what happened |

mod book;
pub mod burst;
mod diary;
mod evidence;
mod fault;
mod field;
mod judge;
mod older;
mod people;
mod play;
mod quiet;
mod receiver;
mod register;
mod schedule;
mod send;
mod shelf;
mod site;
mod story;
mod times;

use std::time::Duration;

pub use self::fault::Fault;
pub use self::judge::{Finding, Verdict};
pub use self::play::run;
pub use self::times::Times;

/// What a run is to be like.
#[derive(Clone, Debug)]
pub struct Options {
    /// What the whole schedule comes from.
    pub seed: u64,
    /// How much people do.
    pub events: usize,
    /// In how much time they do it; the end takes as long as it takes.
    pub length: Duration,
    /// What may break.
    pub faults: Vec<Fault>,
    /// How many workers there are.
    pub workers: usize,
    /// How long everything waits.
    pub times: Times,
}

/// Where the logs of jobs go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Logs {
    Bucket,
    Folder,
}

impl Options {
    /// Most runs have a bucket, since that can be away; each fourth seed has a folder on a disk that can be full.
    const fn logs(&self) -> Logs {
        if self.seed.is_multiple_of(4) { Logs::Folder } else { Logs::Bucket }
    }

    /// How often a message is tried: as often as by default, and once more for each ten minutes. In an hour in which something breaks
    /// every few seconds, some job is struck by three faults that have nothing to do with each other.
    const fn attempts(&self) -> u64 {
        3 + self.length.as_secs() / 600
    }

    /// How long it may take until all is quiet when there is no backlog. What kills its workers has to kill as many as may try.
    fn quiet(&self) -> Duration {
        self.times.quiet() + Duration::from_secs(30 * (self.attempts() - 3))
    }
}
