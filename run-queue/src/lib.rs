//! The worker: takes messages from queues. [`scan`] decides what comes of events, [`execute`] does tasks; both only say what
//! came of a message, and `slot` settles it.

mod app;
pub mod execute;
pub mod handler;
mod metrics;
mod role;
pub mod runner;
pub mod scan;
pub mod settings;
mod slot;

pub use app::App;
