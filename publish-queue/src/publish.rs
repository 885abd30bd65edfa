//! Putting a message into a queue.

use common::broker::{Broker, BrokerError, Outgoing, Session};

use crate::Failure;

/// The name of the program, of its connection and of its messages' `app_id`.
pub const PROGRAM: &str = "publish-queue";

/// What to do about a queue that does not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// Make it.
    Create,
    /// Refuse: it is likely the wrong broker.
    Refuse,
}

/// Returns when the broker has the message. One attempt: an operator sees the error and decides.
pub async fn publish(broker: &Broker, message: &Outgoing, missing: Missing) -> Result<(), Failure> {
    let session = broker.connect(PROGRAM).await?;
    let published = put(&session, message, missing).await;
    session.close().await;
    published.map_err(|it| match it {
        BrokerError::Missing(name) | BrokerError::Unroutable(name) => Failure::NoQueue(name),
        other => other.into(),
    })
}

async fn put(session: &Session, message: &Outgoing, missing: Missing) -> Result<(), BrokerError> {
    match missing {
        Missing::Create => session.declare(&[message.queue]).await?,
        Missing::Refuse => drop(session.depth(message.queue).await?),
    }
    session.publisher().await?.publish(message).await
}
