//! The worker: takes messages from queues. [`scan`] decides what comes of events, [`execute`] does tasks; both only say what
//! came of a message, `run` waits for that, whatever the broker does meanwhile, and `settle` settles it.

mod app;
mod burials;
mod claims;
mod contract;
mod estate;
pub mod execute;
pub mod handler;
mod link;
mod metrics;
mod role;
mod run;
pub mod runner;
mod runs;
pub mod scan;
pub mod settings;
mod settle;
mod slot;

pub use app::App;
