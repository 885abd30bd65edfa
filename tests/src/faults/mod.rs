//! The fault harness: a fleet of its own in which things break at random while people work, and a ledger of what was asked for beside
//! what came of it. docs/OPERATIONS.md, "Trying it", says how to run it and how to read its end.
//!
//! | module | what it has |
//! |---|---|
//! | `schedule` | all that happens, from a seed |
//! | `fault` | the faults: where each strikes, how it begins and ends |
//! | `field`, `site`, `disk` | what breaks |
//! | `people`, `send` | who asks for something |
//! | `quiet` | when it is over |
//! | [`burst`] | nothing breaks, there is too much of everything |
//! | `judge`, `book`, `story` | whether all laws were kept, and if not, what happened |

mod book;
pub mod burst;
mod diary;
mod disk;
mod fault;
mod field;
mod judge;
mod people;
mod play;
mod quiet;
mod schedule;
mod send;
mod site;
mod story;

use std::time::Duration;

pub use self::fault::Fault;
pub use self::judge::{Finding, Verdict};
pub use self::play::run;

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
}
