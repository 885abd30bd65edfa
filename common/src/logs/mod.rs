//! Where the logs of jobs go, and how they get there while the job runs (wire facts, "Log directory").
//!
//! [`Destination::open`] gives a [`Log`]. What is written to it runs through a fixed amount of memory into a
//! spool file, and from there, a block at a time, into chunks that a reader can follow:
//!
//! ```text
//! Log::write, copy_from ─▶ Writer: decoder, masker ─▶ Spool ─▶ Sender: blocks ─▶ Store: log.<start>-<end>, log.chunks
//! Log::attach ─────────────────────────────────────────────────────────▶ Store: attachments
//! Log::finish ────────────────────────── whole Spool ──────────────────▶ Store: log, index.html; chunks go away
//! ```
//!
//! Writer and sender are tasks of their own: who prints waits for the disk and for nothing else, however long the store is
//! away. `Pace` decides when a block is sent and `Chunks` which chunk is written for it; both do no I/O. [`Store`] is the one
//! place that knows what a destination is. Whatever step a process dies at, what it has sent so far can be read, and
//! [`Destination::resume`] goes on there.

mod chunks;
mod content_type;
mod destination;
mod echo;
mod error;
mod found;
mod index;
mod local;
mod log;
mod mask;
mod name;
mod pace;
mod page;
mod s3;
mod sender;
mod spool;
mod store;
mod utf8;
mod writer;

#[cfg(test)]
mod tests;

pub use chunks::Span;
pub use content_type::content_type;
pub use destination::{AttachmentLimits, DEFAULT_FLUSH_AFTER, Destination};
pub use echo::Echo;
pub use error::LogError;
pub use index::{LeftOut, index};
pub use local::LocalStore;
pub use log::Log;
pub use mask::{Masks, TooManySecrets};
pub use name::{AttachmentName, Folder, InvalidName, ObjectName, Own};
pub use page::PAGE;
pub use s3::{
    Acl, InvalidAcl, InvalidKey, InvalidStyle, S3Error, S3Key, S3Limits, S3Settings, S3SettingsError,
    S3Store, Style,
};
pub use store::Store;
