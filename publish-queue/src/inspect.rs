//! Looking into queues without changing them.

use std::io::Write;

use common::broker::Broker;
use common::broker::listing::{Listing, ListingError, Show, write_waiting};
use common::queue::Queue;

use crate::Failure;

/// The name of the program and of its connection.
pub const PROGRAM: &str = "inspect-queue";

/// Writes the messages of each queue, all of them, and those that wait to come back to it if `waiting`; see [`Listing::write`] for who
/// may be written to.
pub async fn inspect(
    broker: &Broker,
    queues: &[Queue],
    show: Show,
    waiting: bool,
    out: &mut impl Write,
) -> Result<(), Failure> {
    let session = broker.connect(PROGRAM).await?;
    let mut listed = Listing { queues, show, most_bytes: None }.write(&session, out).await;
    if waiting && listed.is_ok() {
        listed = write_waiting(queues, show, &session, out).await;
    }
    session.close().await;
    listed.map_err(|it| match it {
        ListingError::Broker(error) => error.into(),
        ListingError::Write(source) => Failure::machine("keep what was read from the broker")(source),
    })
}
