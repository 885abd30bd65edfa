//! The forge: pull requests, statuses, contents and branches over the REST API that GitHub, GitHub Enterprise, Forgejo
//! and Gitea have in common.
//!
//! A [`Forge`] is one forge with one credential. Reading is tried again for a few seconds where that can help; a write is
//! sent once, and whoever asked for it decides from [`ForgeError::is_transient`].

mod answer;
mod client;
mod error;
mod exchange;
mod item;
mod pages;
mod settings;
mod tip;
mod types;

pub use client::{Forge, Issue};
pub use error::{ForgeError, Request};
pub use item::Item;
pub use settings::{ForgeSettings, Limits, Writes};
pub use types::*;
