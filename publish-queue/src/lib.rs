//! The operator's tools: `publish-queue` puts a message into a queue, `inspect-queue` shows what is in the queues and
//! changes nothing.
//!
//! | module | what it holds |
//! |---|---|
//! | [`body`] | what may go into which queue, known before a socket is opened |
//! | [`publish`] | putting it there |
//! | [`dead`] | putting messages of `dead` back, and dropping them |
//! | [`inspect`] | looking into queues |
//! | [`options`] | what both programs are told |
//! | [`failure`] | how they fail, and with which exit code |

pub mod body;
pub mod dead;
pub mod failure;
pub mod inspect;
pub mod options;
pub mod publish;

pub use failure::Failure;
