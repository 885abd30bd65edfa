//! Where messages wait before they come into their queue: `retry.<queue>.<milliseconds>`, queues without a consumer whose
//! messages expire into the queue that they are for.
//!
//! The pauses are the steps of a fixed ladder, so that whoever wants to know what work there is can look into every room that
//! there may be: a broker lists its queues to nobody who speaks AMQP alone.

use std::time::Duration;

use lapin::types::{AMQPValue, FieldTable};

/// Milliseconds. So that one of the steps is just over 75 s, the time that an owner has to come back to its work.
const SHORTEST: u32 = 147;
/// Each step is twice the one before, so the last one is 4817 s, an hour and twenty minutes.
const STEPS: u32 = 16;
/// Milliseconds. How long an empty room is kept.
const KEPT: i64 = 600_000;

/// The names of all rooms that messages for this queue may wait in, by its name on the broker. A room that nobody needed for a
/// while does not exist.
pub fn waiting_rooms(queue: &str) -> impl Iterator<Item = String> {
    ladder().map(move |millis| room(queue, millis))
}

fn ladder() -> impl Iterator<Item = u32> {
    (0..STEPS).map(|step| SHORTEST << step)
}

/// The next step up; the last one for what is longer, after which who still has to wait is sent to wait again.
pub(super) fn step(pause: Duration) -> u32 {
    let mut steps = ladder();
    let longest = SHORTEST << (STEPS - 1);
    steps.find(|millis| Duration::from_millis((*millis).into()) >= pause).unwrap_or(longest)
}

pub(super) fn room(queue: &str, millis: u32) -> String {
    format!("retry.{queue}.{millis}")
}

/// `x-expires` is longer than `x-message-ttl`, so no message goes with its queue.
pub(super) fn arguments(queue: &str, millis: u32) -> FieldTable {
    let mut table = FieldTable::default();
    table.insert("x-message-ttl".into(), AMQPValue::LongLongInt(millis.into()));
    table.insert("x-expires".into(), AMQPValue::LongLongInt(i64::from(millis) + KEPT));
    table.insert("x-dead-letter-exchange".into(), AMQPValue::LongString("".into()));
    table.insert("x-dead-letter-routing-key".into(), AMQPValue::LongString(queue.into()));
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_are_rounded_up_to_a_step() {
        for (asked, step) in [
            (0, 147),
            (1, 147),
            (147, 147),
            (148, 294),
            (10_000, 18_816),
            (60_000, 75_264),
            (75_000, 75_264),
            (3_600_000, 4_816_896),
            (4_816_896, 4_816_896),
            (4_816_897, 4_816_896),
            (u64::MAX, 4_816_896),
        ] {
            assert_eq!(super::step(Duration::from_millis(asked)), step, "{asked} ms");
        }
    }

    #[test]
    fn every_room_is_listed() {
        let rooms: Vec<_> = waiting_rooms("rhel").collect();
        assert_eq!(rooms.len(), 16);
        assert_eq!((rooms[0].as_str(), rooms[15].as_str()), ("retry.rhel.147", "retry.rhel.4816896"));
        for seconds in 0..5000 {
            assert!(rooms.contains(&room("rhel", step(Duration::from_secs(seconds)))), "{seconds} s");
        }
    }
}
