//! What goes wrong with a broker.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::queue::Queue;

/// Why something did not happen at the broker. Any of them ends the session that it came from, except
/// [`BrokerError::Unroutable`] and [`BrokerError::Missing`].
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    /// A file of the secrets directory is not what it should be.
    #[error("{}: expected {expected}", file.display())]
    Secret {
        /// Which file.
        file: PathBuf,
        /// What it should hold.
        expected: &'static str,
        /// What is wrong; never the content.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// The broker did not let us in.
    #[error("cannot connect to the broker at {address}")]
    Connect {
        /// Where.
        address: String,
        /// Its or the network's words.
        #[source]
        source: Box<lapin::Error>,
    },
    /// The broker was silent.
    #[error("no answer from the broker within {} s to: {what}", limit.as_secs())]
    Silent {
        /// What was asked.
        what: String,
        /// The limit.
        limit: Duration,
    },
    /// The broker refused, or the connection ended.
    #[error("could not {what}")]
    Refused {
        /// What was asked.
        what: String,
        /// Its words.
        #[source]
        source: Box<lapin::Error>,
    },
    /// A queue is not there.
    #[error("queue `{0}` does not exist on this broker")]
    Missing(String),
    /// A message came back: there is no such queue.
    #[error("the broker has no queue `{0}` to put the message into")]
    Unroutable(String),
    /// The broker could not store a message.
    #[error("the broker could not take a message for `{0}` (nack)")]
    Nacked(String),
    /// A delivery can't be settled any more: its channel is gone, and the broker gives it to another.
    #[error("the channel of a delivery from `{0}` is gone, so the broker will deliver it again")]
    ChannelLost(Queue),
    /// The stream of deliveries ended: the queue was deleted, or the broker cancelled the consumer.
    #[error("the broker ended the consumer of {0}")]
    ConsumerEnded(String),
    /// The connection ended.
    #[error("the connection to the broker was lost: {0}")]
    Lost(String),
}

impl BrokerError {
    pub(super) fn secret(
        file: &Path,
        expected: &'static str,
        source: impl Error + Send + Sync + 'static,
    ) -> Self {
        Self::Secret { file: file.to_owned(), expected, source: Box::new(source) }
    }

    pub(super) fn refused(what: impl Into<String>, source: lapin::Error) -> Self {
        Self::Refused { what: what.into(), source: Box::new(source) }
    }
}

/// Bounds one exchange with the broker: lapin itself waits for ever.
pub(super) async fn within<T>(
    limit: Duration,
    what: impl Fn() -> String,
    exchange: impl Future<Output = Result<T, lapin::Error>>,
) -> Result<T, BrokerError> {
    match tokio::time::timeout(limit, exchange).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(source)) => Err(BrokerError::refused(what(), source)),
        Err(_) => Err(BrokerError::Silent { what: what(), limit }),
    }
}
