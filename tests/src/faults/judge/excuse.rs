//! When what was begun may have been lost, so that it is begun again.

use jiff::Timestamp;

use super::super::fault::Place;
use super::super::times::Times;

/// In this time a worker, or every worker, may have lost what it did, and another begins it again.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Excuse {
    pub(in super::super) place: Place,
    pub(in super::super) loss: Loss,
    /// The worker's process; none for all.
    pub(in super::super) worker: Option<i32>,
    pub(in super::super) from: Timestamp,
    /// None: to the end.
    pub(in super::super) to: Option<Timestamp>,
}

/// What may be lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Loss {
    /// The process, and what it knew; its containers run on.
    Process,
    /// Commands of a worker that hands its jobs over.
    Handover,
    /// The same as of a process of an older program, which has no containers.
    Older,
    /// The broker, for who needs it. Who has lost it stops what it does before another begins.
    Broker,
    /// The forge: an attempt that cannot ask it ends in an error, before it runs anything.
    Forge,
    /// Room on a disk.
    Disk,
    /// The answers of the receiver.
    Receiver,
}

impl Excuse {
    fn meets(&self, (before, after): (Timestamp, Timestamp)) -> bool {
        self.from <= after && self.to.is_none_or(|it| it >= before)
    }
}

/// All that may have been lost.
#[derive(Debug)]
pub(in super::super) struct Excuses {
    all: Vec<Excuse>,
    times: Times,
}

impl Excuses {
    /// Without outages that who has lost the broker goes on through.
    pub(in super::super) fn new(all: &[Excuse], times: Times) -> Self {
        let outages: Vec<_> = all.iter().filter(|it| it.loss == Loss::Broker).collect();
        let counts = |excuse: &&Excuse| excuse.loss != Loss::Broker || is_long(excuse, &outages, times);
        Self { all: all.iter().filter(counts).copied().collect(), times }
    }

    /// Whether something in this time is an excuse, and such a one.
    pub(super) fn any(&self, time: (Timestamp, Timestamp), fits: impl Fn(&Excuse) -> bool) -> bool {
        self.all.iter().any(|it| it.meets(time) && fits(it))
    }

    /// Whether a worker was gone, or stood still, for so long that others began what its containers still did.
    pub(super) fn is_overtaken(&self, time: (Timestamp, Timestamp)) -> bool {
        let lasted = |it: &Excuse| it.to.map(|to| to.duration_since(it.from).unsigned_abs());
        let is_long = |it: &Excuse| lasted(it).is_none_or(|it| it >= self.times.recovery());
        self.any(time, |it| it.loss == Loss::Process && is_long(it))
    }
}

/// Whether an outage, with those before and after that leave no time to come back between them, may have lasted too long.
fn is_long(excuse: &Excuse, outages: &[&Excuse], times: Times) -> bool {
    let (mut from, mut to) = (excuse.from, excuse.to);
    loop {
        let Some(end) = to else { return true };
        let near = |it: &&&Excuse| {
            let is_later = it.from.duration_since(end).unsigned_abs() <= times.recovery();
            let meets = it.from <= end && it.to.is_none_or(|it| it >= from);
            let ended = it.to.is_some_and(|it| from.duration_since(it).unsigned_abs() <= times.recovery());
            meets || is_later || ended
        };
        let (first, last) = outages.iter().filter(near).fold((from, Some(end)), |(first, last), it| {
            (first.min(it.from), last.zip(it.to).map(|(a, b)| a.max(b)))
        });
        if (first, last) == (from, to) {
            return end.duration_since(from).unsigned_abs() > times.outlived();
        }
        (from, to) = (first, last);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    /// Whether a run that began at 100 may begin again at 400, after these outages.
    fn counts(outages: &[(i64, i64)], times: Times) -> bool {
        let outage = |(from, to): &(i64, i64)| Excuse {
            place: Place::Broker,
            loss: Loss::Broker,
            worker: None,
            from: at(*from),
            to: Some(at(*to)),
        };
        let all: Vec<_> = outages.iter().map(outage).collect();
        Excuses::new(&all, times).any((at(100), at(400)), |_| true)
    }

    #[test]
    fn who_is_cut_off_for_a_short_time_goes_on() {
        assert!(!counts(&[(200, 230)], Times::Real));
        assert!(counts(&[(200, 240)], Times::Real));
        assert!(counts(&[(200, 230), (250, 260)], Times::Real), "no time to come back between them");
        assert!(!counts(&[(110, 130), (300, 310)], Times::Real));
        assert!(counts(&[(200, 201)], Times::Short));
        assert!(!counts(&[(10, 99), (401, 500)], Times::Real), "before and after");
    }
}
