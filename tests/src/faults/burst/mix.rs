//! What happens in a burst: a forge of which everybody wants something at once, from a seed.

use fastrand::Rng;

/// Something that a forge sends an event for. The number is the pull's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Act {
    Open(usize),
    Push(usize),
    /// An event of the two kinds above is sent once more; `pick` says which of the pull's.
    Again {
        pull: usize,
        pick: usize,
    },
    /// A label, which leads to nothing.
    Label(usize),
    /// Somebody asks for another run of the newest commit.
    Trigger(usize),
    Merge(usize),
    Close(usize),
    /// A status of another CI, which nobody cares about.
    Status(usize),
    /// A comment, which the receiver does not know.
    Comment(usize),
}

/// How many events there are to a pull.
const SHARE: usize = 40;
/// How often each pull is pushed to.
pub(super) const PUSHES: usize = 4;
/// How often each event of a head is sent once more.
const AGAIN: usize = 2;
const LABELS: usize = 6;
const COMMENTS: usize = 8;
const TRIGGERS: usize = 2;

/// How many pulls there are in so many events.
pub(super) const fn pulls(events: usize) -> usize {
    let pulls = events / SHARE;
    if pulls == 0 { 1 } else { pulls }
}

/// As many acts, in their order. Pulls are opened in the order of their numbers.
pub(super) fn mix(events: usize, rng: &mut Rng) -> Vec<Act> {
    let pulls = pulls(events);
    let mut acts = Vec::new();
    for pull in 0..pulls {
        story(pull, share(pull, pulls), rng, &mut acts);
    }
    while acts.len() < events {
        let pull = rng.usize(..pulls);
        acts.push((after(share(pull, pulls), 1.0, rng), Act::Status(pull)));
    }
    acts.sort_by(|(first, _), (second, _)| first.total_cmp(second));
    acts.into_iter().map(|(_, act)| act).collect()
}

/// When a pull is opened: all of them in the first half.
#[expect(clippy::cast_precision_loss, reason = "some hundred pulls")]
fn share(pull: usize, pulls: usize) -> f64 {
    0.5 * pull as f64 / pulls as f64
}

/// All that happens to one pull: who asks for another run, and who ends it, comes after the last push.
fn story(pull: usize, opened: f64, rng: &mut Rng, acts: &mut Vec<(f64, Act)>) {
    const LAST_PUSH: f64 = 0.85;
    acts.push((opened, Act::Open(pull)));
    acts.extend((0..PUSHES).map(|_| (after(opened, LAST_PUSH, rng), Act::Push(pull))));
    let again = (0..AGAIN * (PUSHES + 1)).map(|_| {
        let act = Act::Again { pull, pick: rng.usize(..) };
        (after(opened, 1.0, rng), act)
    });
    acts.extend(again.collect::<Vec<_>>());
    acts.extend((0..LABELS).map(|_| (after(opened, 1.0, rng), Act::Label(pull))));
    acts.extend((0..COMMENTS).map(|_| (after(opened, 1.0, rng), Act::Comment(pull))));
    match pull % 20 {
        3 | 8 | 13 | 18 => acts.push((after(LAST_PUSH, 1.0, rng), Act::Merge(pull))),
        10 => acts.push((after(LAST_PUSH, 1.0, rng), Act::Close(pull))),
        _ => acts.extend((0..TRIGGERS).map(|_| (after(LAST_PUSH, 1.0, rng), Act::Trigger(pull)))),
    }
}

/// Not at the very moment: what was opened then comes first.
fn after(from: f64, to: f64, rng: &mut Rng) -> f64 {
    to - (to - from) * rng.f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mix_is_whole_and_in_order() {
        for events in [40, 500, 10_000] {
            let acts = mix(events, &mut Rng::with_seed(7));
            assert_eq!(acts.len(), events);
            let first = |wanted: Act| acts.iter().position(|it| *it == wanted);
            let last = |wanted: Act| acts.iter().rposition(|it| *it == wanted);
            for pull in 0..pulls(events) {
                let opened = first(Act::Open(pull)).unwrap();
                assert!(pull == 0 || first(Act::Open(pull - 1)).unwrap() < opened);
                assert!(first(Act::Push(pull)).unwrap() > opened);
                assert!(first(Act::Label(pull)).unwrap() > opened);
                let late = [Act::Trigger(pull), Act::Merge(pull), Act::Close(pull)];
                let late = late.into_iter().filter_map(first).min().unwrap();
                assert!(last(Act::Push(pull)).unwrap() < late);
            }
        }
        assert_eq!(mix(500, &mut Rng::with_seed(7)), mix(500, &mut Rng::with_seed(7)));
    }
}
