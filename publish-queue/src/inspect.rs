//! Looking into queues without changing them.

use std::io::Write;

use common::broker::{Broker, BrokerError, Session};
use common::queue::Queue;

use crate::Failure;
use crate::entry::{Entry, Show};

/// The name of the program and of its connection.
pub const PROGRAM: &str = "inspect-queue";

/// Writes the messages of each queue, a line each, below a heading; what reads the output finds the heading of an empty one too.
///
/// The messages are away from the queue until the last one was written, so `out` must not be someone who may be slow
/// or stop to read.
pub async fn inspect(
    broker: &Broker,
    queues: &[Queue],
    show: Show,
    out: &mut impl Write,
) -> Result<(), Failure> {
    let session = broker.connect(PROGRAM).await?;
    let mut done = Ok(());
    for queue in queues {
        if done.is_ok() {
            done = list(&session, *queue, broker.queues.of(*queue), show, out).await;
        }
    }
    session.close().await;
    done
}

async fn list(
    session: &Session,
    queue: Queue,
    name: &str,
    show: Show,
    out: &mut impl Write,
) -> Result<(), Failure> {
    let mut written = writeln!(out, "{name} queue:");
    let looked = session.peek(queue, |received| {
        if written.is_ok() {
            written = writeln!(out, "{}", Entry::new(received, show));
        }
    });
    match looked.await {
        Ok(0) | Err(BrokerError::Missing(_)) => {
            written = written.and_then(|()| writeln!(out, "queue {name} does not exist or is empty"));
        }
        Ok(_) => {}
        Err(other) => return Err(other.into()),
    }
    written.map_err(Failure::machine("keep what was read from the broker"))
}
