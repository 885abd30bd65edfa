//! The queues of the fleet and their frozen arguments (wire facts, section 1).

use std::fmt;

/// Every queue that Flotilla knows. What a queue is called on a broker is the business of [`QueueNames`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Queue {
    /// Raw events, as the forge said them.
    Webhook,
    /// Tasks that any worker may run.
    Public,
    /// Tasks that need resources inside a network.
    Internal,
    /// Commands that write the results database, one at a time across the fleet.
    Statistics,
    /// What could not be done, with the reason in its headers. Ours; older programs do not know it.
    Dead,
}

impl Queue {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Webhook, Self::Public, Self::Internal, Self::Statistics, Self::Dead];

    /// Those that `inspect-queue` shows unless asked for others, in its order.
    pub const INSPECTED: [Self; 4] = [Self::Public, Self::Internal, Self::Statistics, Self::Webhook];

    /// Our name for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Webhook => "webhook",
            Self::Public => "public",
            Self::Internal => "internal",
            Self::Statistics => "statistics",
            Self::Dead => "dead",
        }
    }

    /// The arguments that it is declared with. Declaring an existing queue with others is a channel error (406),
    /// so these are exact; limits and dead-lettering go in by policy.
    #[must_use]
    pub const fn arguments(self) -> QueueArguments {
        match self {
            Self::Webhook | Self::Dead => {
                QueueArguments { max_priority: None, single_active_consumer: false }
            }
            Self::Public | Self::Internal => {
                QueueArguments { max_priority: Some(Priority::HIGH.0), single_active_consumer: false }
            }
            Self::Statistics => {
                QueueArguments { max_priority: Some(Priority::HIGH.0), single_active_consumer: true }
            }
        }
    }

    /// What its messages are.
    #[must_use]
    pub const fn holds(self) -> Holds {
        match self {
            Self::Webhook => Holds::Events,
            Self::Public | Self::Internal | Self::Statistics => Holds::Tasks,
            Self::Dead => Holds::Anything,
        }
    }
}

impl fmt::Display for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What the messages of a queue are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holds {
    /// [`crate::event::Envelope`]s.
    Events,
    /// [`crate::task::Task`]s.
    Tasks,
    /// Whatever another queue could not use.
    Anything,
}

/// See [`Queue::arguments`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueArguments {
    /// `x-max-priority`.
    pub max_priority: Option<u8>,
    /// `x-single-active-consumer`.
    pub single_active_consumer: bool,
}

/// The urgency of a message, 0 to 9; higher goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Priority(u8);

impl Priority {
    /// What an operator injects, statistics, issue tasks, contexts that contain `/devel`.
    pub const HIGH: Self = Self(9);
    /// The rest.
    pub const NORMAL: Self = Self(5);

    /// From a message property; the broker clamps what is above the queue's maximum, and so do we.
    #[must_use]
    pub fn from_wire(number: u8) -> Self {
        Self(number.min(Self::HIGH.0))
    }

    /// 0 to 9.
    #[must_use]
    pub const fn number(self) -> u8 {
        self.0
    }
}

/// How the queues are called on this broker: existing deployments call the internal one `rhel`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueNames {
    internal: String,
}

impl QueueNames {
    /// With this name for the internal queue; None if it collides with another queue or is no name.
    #[must_use]
    pub fn with_internal(name: &str) -> Option<Self> {
        let taken = Queue::ALL.iter().any(|it| *it != Queue::Internal && it.name() == name);
        // Names are of 255 bytes at most, and ours are made longer: see `broker::waiting_rooms`.
        let fit = (1..=200).contains(&name.len())
            && !name.starts_with("amq.")
            && !name.chars().any(char::is_control);
        (!taken && fit).then(|| Self { internal: name.to_owned() })
    }

    /// The name on the broker.
    #[must_use]
    pub fn of(&self, queue: Queue) -> &str {
        if queue == Queue::Internal { &self.internal } else { queue.name() }
    }

    /// The queue of a name on the broker; our own names are understood as well.
    #[must_use]
    pub fn parse(&self, name: &str) -> Option<Queue> {
        Queue::ALL.into_iter().find(|it| self.of(*it) == name || it.name() == name)
    }
}

impl Default for QueueNames {
    fn default() -> Self {
        Self { internal: Queue::Internal.name().to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_spelled_as_on_the_wire() {
        let names: Vec<_> = Queue::ALL.iter().map(|it| it.name()).collect();
        assert_eq!(names, ["webhook", "public", "internal", "statistics", "dead"]);
    }

    #[test]
    fn the_internal_queue_can_have_the_name_of_an_existing_deployment() {
        let names = QueueNames::with_internal("rhel").unwrap();
        assert_eq!(names.of(Queue::Internal), "rhel");
        assert_eq!(names.of(Queue::Public), "public");
        assert_eq!(names.parse("rhel"), Some(Queue::Internal));
        assert_eq!(names.parse("internal"), Some(Queue::Internal));
        assert_eq!(names.parse("else"), None);
        for bad in ["public", "dead", "", "amq.x", "a\n"] {
            assert_eq!(QueueNames::with_internal(bad), None, "{bad}");
        }
    }
}
