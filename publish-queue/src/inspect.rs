//! Looking into queues without changing them.

use std::io::Write;

use common::broker::Broker;
use common::broker::listing::{Listing, ListingError, Show};
use common::queue::Queue;

use crate::Failure;

/// The name of the program and of its connection.
pub const PROGRAM: &str = "inspect-queue";

/// Writes the messages of each queue, all of them; see [`Listing::write`] for who may be written to.
pub async fn inspect(
    broker: &Broker,
    queues: &[Queue],
    show: Show,
    out: &mut impl Write,
) -> Result<(), Failure> {
    let session = broker.connect(PROGRAM).await?;
    let listed = Listing { queues, show, most_bytes: None }.write(&session, out).await;
    session.close().await;
    listed.map_err(|it| match it {
        ListingError::Broker(error) => error.into(),
        ListingError::Write(source) => Failure::machine("keep what was read from the broker")(source),
    })
}
