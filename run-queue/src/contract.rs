//! What the roles of a worker need of a broker.

use common::broker::Contract;
use common::queue::Queue;

use crate::execute::ExecuteSettings;

/// Turning events into tasks, and the sweep, which looks into every queue and room where a job may wait.
pub(crate) fn scan() -> Contract {
    Contract {
        role: "scan",
        queues: Queue::ALL.to_vec(),
        reads: vec![Queue::Webhook, Queue::Public, Queue::Internal, Queue::Dead],
        rooms: vec![Queue::Webhook, Queue::Public, Queue::Internal],
        claims: false,
        locks: true,
        holds: None,
    }
}

/// Performing the tasks of some queues.
pub(crate) fn execute(settings: &ExecuteSettings) -> Contract {
    let queues = &settings.queues;
    Contract {
        role: "execute",
        queues: queues.iter().copied().chain([Queue::Dead]).collect(),
        reads: queues.clone(),
        rooms: queues.clone(),
        claims: true,
        locks: false,
        holds: settings.longest.limit(),
    }
}
