//! What was asked of the forge.

use std::fmt;

use jiff::Timestamp;

/// A request that came.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// When it was answered.
    pub at: Timestamp,
    /// `x-github-request-id` of the answer.
    pub id: String,
    /// `GET`, `POST`, …
    pub method: String,
    /// The path and the query, as they came.
    pub path: String,
    /// The status of the answer; none for a request that was never answered.
    pub status: Option<u16>,
    /// What it took from the rate limit: an answer that nothing has changed is free.
    pub cost: u32,
    /// Whether the forge knows what this route does.
    pub route: Route,
}

/// Whether a route is modelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// It is.
    Known,
    /// It is not: [`super::FakeForge::finish`] fails.
    Unknown,
}

impl fmt::Display for Recorded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at, method, path, status, id: _, cost: _, route: _ } = self;
        write!(f, "{at:.3} {method} {path}: ")?;
        match status {
            Some(status) => write!(f, "{status}"),
            None => f.write_str("not answered"),
        }
    }
}
