//! What happens when: all of it comes from the seed, before anything is started.

use std::time::Duration;

use fastrand::Rng;

use super::Options;
use super::fault::{Fault, Place};

/// Something that people do. `pick` says which pull, among those that are there by then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Act {
    /// Open a pull whose tests end like this.
    Open(Change),
    /// The same, and the forge sends the event many times at once.
    OpenMany(Change, usize),
    /// Open a pull and push to it, and the forge sends the two events in the wrong order.
    OpenSwapped(Change, Change),
    /// Push to a pull.
    Push { pick: usize, change: Change },
    /// Put a label on a pull.
    Label { pick: usize },
    /// Ask for another run of a pull's tests.
    Trigger { pick: usize },
    /// Merge a pull, which is a command for the worker that counts.
    Merge { pick: usize },
    /// Give a pull up.
    Close { pick: usize },
    /// Have a worker run a command that takes so long.
    Command(Duration, Dress),
}

/// What is said of a message beside its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dress {
    /// What this version says.
    Ours,
    /// What older programs say: its priority.
    Bare,
    /// Properties and headers that this version does not know, or cannot read.
    OfTomorrow,
}

/// What a commit has its tests do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Change {
    /// How long they take.
    pub(super) takes: Duration,
    /// Whether they are green.
    pub(super) passes: bool,
}

/// A step of the schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Step<T> {
    /// Since the beginning.
    pub(super) at: Duration,
    pub(super) what: T,
}

/// A fault with its place begins or ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    Begin(Fault, Place),
    End(Fault, Place),
}

/// Everything that a seed stands for. Each list is in the order of time.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Schedule {
    pub(super) acts: Vec<Step<Act>>,
    pub(super) turns: Vec<Step<Turn>>,
}

impl Schedule {
    pub(super) fn of(options: &Options) -> Self {
        let mut rng = Rng::with_seed(options.seed);
        let acts = acts(options, &mut rng.fork());
        Self { acts, turns: turns(options, &mut rng) }
    }
}

fn acts(options: &Options, rng: &mut Rng) -> Vec<Step<Act>> {
    let mut acts: Vec<_> =
        (0..options.events).map(|_| Step { at: moment(rng, options.length), what: act(rng) }).collect();
    acts.sort_by_key(|it| it.at);
    acts
}

fn act(rng: &mut Rng) -> Act {
    let pick = rng.usize(..);
    match rng.u32(..100) {
        0..24 => Act::Open(change(rng)),
        24..27 => Act::OpenMany(change(rng), rng.usize(5..50)),
        27..30 => Act::OpenSwapped(change(rng), change(rng)),
        30..45 => Act::Push { pick, change: change(rng) },
        45..52 => Act::Label { pick },
        52..60 => Act::Trigger { pick },
        60..66 => Act::Merge { pick },
        66..70 => Act::Close { pick },
        _ => Act::Command(Duration::from_millis(rng.u64(0..5000)), dress(rng)),
    }
}

fn dress(rng: &mut Rng) -> Dress {
    match rng.u32(..4) {
        0 => Dress::Bare,
        1 => Dress::OfTomorrow,
        _ => Dress::Ours,
    }
}

fn change(rng: &mut Rng) -> Change {
    // Some last for longer than another worker waits for who has lost the broker: those must have been stopped by then.
    let millis = if rng.u32(..8) == 0 { rng.u64(12_000..24_000) } else { rng.u64(0..8000) };
    Change { takes: Duration::from_millis(millis), passes: rng.u32(..4) > 0 }
}

/// Faults overlap, but each place has one at a time, and a pause after it.
fn turns(options: &Options, rng: &mut Rng) -> Vec<Step<Turn>> {
    const PAUSE: Duration = Duration::from_secs(4);
    let mut turns = Vec::new();
    let mut busy: Vec<(Place, Duration)> = Vec::new();
    let mut now = Duration::from_secs(3);
    while now < options.length && !options.faults.is_empty() {
        let fault = options.faults[rng.usize(..options.faults.len())];
        let place = fault.place(options.workers, rng);
        let length = fault.length(options, rng);
        let is_free = !busy.iter().any(|(it, until)| *it == place && *until > now);
        if is_free {
            turns.push(Step { at: now, what: Turn::Begin(fault, place) });
            turns.push(Step { at: now + length, what: Turn::End(fault, place) });
            busy.push((place, now + length + PAUSE));
        }
        now += Duration::from_millis(rng.u64(500..6000));
    }
    turns.sort_by_key(|it| it.at);
    turns
}

fn moment(rng: &mut Rng, length: Duration) -> Duration {
    length.mul_f64(rng.f64())
}

#[cfg(test)]
mod tests {
    use super::super::Times;
    use super::*;

    fn options(seed: u64) -> Options {
        let (length, faults) = (Duration::from_mins(5), Fault::ALL.to_vec());
        Options { seed, events: 300, length, faults, workers: 3, times: Times::Short }
    }

    #[test]
    fn a_seed_is_one_schedule() {
        assert_eq!(Schedule::of(&options(7)), Schedule::of(&options(7)));
        assert_ne!(Schedule::of(&options(7)), Schedule::of(&options(8)));
    }

    #[test]
    fn what_people_do_does_not_depend_on_the_faults() {
        let calm = Options { faults: Vec::new(), ..options(7) };
        assert_eq!(Schedule::of(&options(7)).acts, Schedule::of(&calm).acts);
    }

    #[test]
    fn every_fault_that_begins_ends_before_its_place_has_another() {
        for seed in 0..50 {
            let mut active = Vec::new();
            for Step { what, .. } in Schedule::of(&options(seed)).turns {
                match what {
                    Turn::Begin(fault, place) => {
                        assert!(
                            active.iter().all(|(_, it)| *it != place),
                            "seed {seed}: {fault:?} {place:?}"
                        );
                        active.push((fault, place));
                    }
                    Turn::End(fault, place) => active.retain(|it| *it != (fault, place)),
                }
            }
            assert!(active.is_empty(), "seed {seed}: {active:?}");
        }
    }
}
