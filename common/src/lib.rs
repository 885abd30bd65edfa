//! What the programs of Flotilla share: the vocabulary that both ends of a queue must agree on ([`id`], [`queue`], [`event`],
//! [`task`]), the [`broker`], the [`forge`], where [`logs`] go, [`config`]uration, the life of a process ([`lifecycle`],
//! [`telemetry`], [`service`]), and what outlives it ([`records`]). `docs/ARCHITECTURE.md` says how they fit together.

pub mod broker;
mod chain;
pub mod clock;
pub mod config;
pub mod crypto;
pub mod event;
pub mod forge;
pub mod http;
pub mod id;
pub mod lifecycle;
pub mod logs;
mod outline;
pub mod pauses;
pub mod queue;
pub mod records;
pub mod service;
pub mod task;
pub mod telemetry;

pub use chain::Chain;
pub use clock::Clock;
pub use outline::outline;

/// This machine's name: in statuses, in the broker's lists and in labels.
#[must_use]
pub fn hostname() -> String {
    gethostname::gethostname().to_string_lossy().into_owned()
}
