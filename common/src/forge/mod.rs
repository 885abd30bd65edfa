//! The forge: pull requests, statuses, contents and branches over the REST API that GitHub, GitHub Enterprise, Forgejo
//! and Gitea have in common.
//!
//! A [`Forge`] is one forge with one credential. What does no harm twice is tried again for a few seconds where that can help; what
//! else goes wrong is the caller's to decide from [`ForgeError::is_transient`]. What is read is kept, and the forge asked whether
//! it is still true; so many requests go at a time, those that somebody waits for before those of sweeps; and when the forge says
//! that it has had enough, nobody asks until it has not.

mod answer;
mod cache;
mod client;
mod deliveries;
mod error;
mod exchange;
mod gate;
mod item;
mod line;
mod metrics;
mod pace;
mod pages;
mod route;
mod settings;
mod tip;
mod token;
mod tries;
mod types;

pub use client::{Forge, Issue};
pub use deliveries::Delivery;
pub use error::{ForgeError, Request, Stage};
pub use item::Item;
pub use metrics::ForgeMetrics;
pub use settings::{ForgeSettings, Limits, Writes};
pub use token::Token;
pub use types::*;
