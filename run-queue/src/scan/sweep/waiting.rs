//! Which work some queue holds.

use std::collections::HashSet;

use common::broker::{BrokerError, Session, waiting_rooms};
use common::id::ForgeName;
use common::queue::{Queue, QueueNames};
use common::task::WorkKey;

/// The keys of the work that queues hold: what waits, what waits to be tried again, and what was given up. What is out with a
/// worker is not among it.
#[derive(Debug, Default)]
pub(super) struct Waiting(HashSet<WorkKey>);

/// Where jobs wait.
const JOBS: [Queue; 2] = [Queue::Public, Queue::Internal];

impl Waiting {
    /// Looks into the queues in the order in which messages move from one to the next, so that one that moves meanwhile is seen.
    pub(super) async fn read(
        session: &Session,
        queues: &QueueNames,
        default_forge: &ForgeName,
    ) -> Result<Self, BrokerError> {
        let mut waiting = Self::default();
        let mut see = |body: &[u8]| waiting.0.extend(WorkKey::of_body(body, default_forge));
        for room in JOBS.iter().flat_map(|it| waiting_rooms(queues.of(*it))) {
            session.peek_named(&room, |_, body| see(body)).await?;
        }
        for queue in JOBS.into_iter().chain([Queue::Dead]) {
            session.peek(queue, |it| see(it.body())).await?;
        }
        Ok(waiting)
    }

    /// Whether some queue holds it.
    pub(super) fn holds(&self, key: &WorkKey) -> bool {
        self.0.contains(key)
    }
}
