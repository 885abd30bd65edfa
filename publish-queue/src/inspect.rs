//! Looking into queues without changing them.

use std::io::{self, Write};

use common::broker::{Broker, BrokerError, Session};
use common::queue::Queue;

use crate::Failure;
use crate::entry::{Entry, Show};

/// The name of the program and of its connection.
pub const PROGRAM: &str = "inspect-queue";

/// Writes the messages of each queue, a line each, below a heading.
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
    let mut count = 0;
    let mut written = Ok(());
    let looked = session.peek(queue, |received| {
        count += 1;
        if written.is_ok() {
            written = write(out, (count == 1).then_some(name), &Entry::new(received, show));
        }
    });
    match looked.await {
        Ok(0) | Err(BrokerError::Missing(_)) => {
            written = writeln!(out, "queue {name} does not exist or is empty");
        }
        Ok(_) => {}
        Err(other) => return Err(other.into()),
    }
    written.map_err(Failure::machine("keep what was read from the broker"))
}

fn write(out: &mut impl Write, heading: Option<&str>, entry: &Entry<'_>) -> io::Result<()> {
    if let Some(name) = heading {
        writeln!(out, "{name} queue:")?;
    }
    writeln!(out, "{entry}")
}
