//! forges
mod types;
pub use types::*;
