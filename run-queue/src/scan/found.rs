//! What a scan leads to.

use bytes::Bytes;
use common::broker::{Headers, Outgoing};
use common::queue::{Priority, Queue};
use common::task::{Task, WorkKey};

/// A task that is to be queued.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// What is to be done.
    pub task: Task,
    /// Where it goes.
    pub queue: Queue,
    /// How urgent it is.
    pub priority: Priority,
    /// What it is known by; none for work that reports nothing.
    pub key: Option<WorkKey>,
}

impl Found {
    /// The message for what an event has caused.
    #[must_use]
    pub fn caused_by(&self, event: &Headers) -> Outgoing {
        let what = match &self.key {
            Some(key) => key.to_string(),
            None => super::wire::body(&self.task),
        };
        self.outgoing(event.caused(&what))
    }

    /// The message for it.
    #[must_use]
    pub fn outgoing(&self, headers: Headers) -> Outgoing {
        let body = Bytes::from(super::wire::body(&self.task));
        Outgoing { queue: self.queue, body, priority: Some(self.priority), headers }
    }
}

/// What the forge is told of a context that is to be tested.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Posting {
    /// `Not yet tested`: whoever scans queues the tasks as well.
    Queued,
    /// `Not yet tested (direct trigger)`: the event of that status makes a scanner queue the task.
    Direct,
    /// Nothing, and nothing else either.
    Dry,
}

impl Posting {
    /// The description of the status, where one is posted.
    pub(super) const fn description(self) -> Option<&'static str> {
        match self {
            Self::Queued => Some("Not yet tested"),
            Self::Direct => Some(super::decide::DIRECT_TRIGGER),
            Self::Dry => None,
        }
    }
}
