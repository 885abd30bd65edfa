//! The broker: one module declares the topology, one holds the connection.
//!
//! Data flows one way through here: [`Broker`] says where and how, [`Sessions`] connects again and again, a [`Session`]
//! lives until its first error, and gives out [`Publisher`]s and [`Intake`]s that end with it. lapin's own recovery stays
//! off: it would hand a running task to the same worker a second time, in silence.

mod address;
mod carried;
mod claim;
mod connect;
mod contract;
mod dead;
mod error;
mod generation;
mod intake;
pub mod listing;
mod lock;
mod look;
mod message;
mod publisher;
mod session;
mod sessions;
mod tls;
mod waiting;
mod watched;

pub use address::{Address, InvalidAddress};
pub use claim::{Claim, ClaimKey, Claimed, Take};
pub use connect::Broker;
pub use contract::{Contract, Fit, Report, Row};
pub use dead::{Burial, Fate, Sifted};
pub use error::BrokerError;
pub use generation::Generation;
pub use intake::{Intake, Received};
pub use lock::Locked;
pub use look::Peeked;
pub use message::{Headers, Outgoing, Trace};
pub use publisher::Publisher;
pub use session::Session;
pub use sessions::Sessions;
pub use waiting::waiting_rooms;
pub use watched::Watched;
