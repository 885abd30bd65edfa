//! Something that one process of the fleet does at a time, where the broker is all that they share.

use lapin::options::QueueDeclareOptions;
use lapin::protocol::AMQPSoftError;
use lapin::types::FieldTable;

use super::error::within;
use super::session::{LIMIT, close, is_refusal};
use super::{BrokerError, Session};

/// Whether a lock was to be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Locked {
    /// This session has it, until it ends.
    Ours,
    /// Another session has it.
    ByAnother,
}

impl Session {
    /// Takes a lock for the life of this session; asking again for what it has is harmless. It is an exclusive queue
    /// `lock.<name>`: the broker refuses it to every other connection (405), and deletes it with the one that made it, whether that
    /// was closed, its process died, or its host is not heard from any more (two heartbeats).
    pub async fn lock(&self, name: &'static str) -> Result<Locked, BrokerError> {
        let queue = format!("lock.{name}");
        let channel = self.channel().await?;
        let options =
            QueueDeclareOptions { exclusive: true, auto_delete: true, ..QueueDeclareOptions::default() };
        let declare = channel.queue_declare(queue.as_str().into(), options, FieldTable::default());
        match within(LIMIT, || format!("take the lock `{queue}`"), declare).await {
            Ok(_) => {
                close(&channel).await;
                Ok(Locked::Ours)
            }
            Err(error) if is_refusal(&error, &AMQPSoftError::RESOURCELOCKED) => Ok(Locked::ByAnother),
            Err(error) => Err(error),
        }
    }
}
