//! What a broker answers to a question that may be refused.

use lapin::protocol::{AMQPErrorKind, AMQPSoftError};
use lapin::{Channel, ErrorKind};

use super::super::error::within;
use super::super::session::{LIMIT, close};
use super::super::{BrokerError, Session};

/// An answer. A refusal ends the channel that the question was asked on, and nothing else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer<T> {
    Done(T),
    /// This credential may not, in the broker's words.
    Forbidden(String),
    /// It may, but it does not fit what is there or what the broker takes, in its words.
    Unfit(String),
    /// It may, but there is no such queue.
    Missing,
}

impl Session {
    /// Asks on a channel of its own.
    pub(super) async fn ask<T>(
        &self,
        what: &str,
        question: impl AsyncFnOnce(&Channel) -> Result<T, lapin::Error>,
    ) -> Result<Answer<T>, BrokerError> {
        let channel = self.channel().await?;
        match within(LIMIT, || what.to_owned(), question(&channel)).await {
            Ok(done) => {
                close(&channel).await;
                Ok(Answer::Done(done))
            }
            Err(error) => refusal(error),
        }
    }
}

/// An error of the channel as an answer.
pub(super) fn refusal<T>(error: BrokerError) -> Result<Answer<T>, BrokerError> {
    let BrokerError::Refused { source, .. } = &error else { return Err(error) };
    let ErrorKind::ProtocolError(protocol) = source.kind() else { return Err(error) };
    let AMQPErrorKind::Soft(kind) = protocol.kind() else { return Err(error) };
    let words = protocol.get_message().to_string();
    match kind {
        // What somebody else holds for himself was refused after a look at the permissions.
        AMQPSoftError::ACCESSREFUSED if words.contains("exclusive") => Ok(Answer::Unfit(words)),
        AMQPSoftError::ACCESSREFUSED => Ok(Answer::Forbidden(words)),
        AMQPSoftError::PRECONDITIONFAILED | AMQPSoftError::RESOURCELOCKED => Ok(Answer::Unfit(words)),
        AMQPSoftError::NOTFOUND => Ok(Answer::Missing),
        _ => Err(error),
    }
}
