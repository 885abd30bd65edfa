//! The receiver: verify, publish, confirm, answer. Thin: what an event means is for others to say.

mod answer;
mod app;
mod body;
mod filter;
mod inspect;
mod metrics;
mod outlet;
mod receive;
mod settings;
mod signature;

pub use app::{contract, run};
pub use settings::{Sha1, WebhookArgs, WebhookSettings};
