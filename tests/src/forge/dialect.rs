//! Which forge the stand-in stands in for.

/// How a forge answers, where forges differ.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dialect {
    /// `https://api.github.com`: validators, rate limits, request ids.
    #[default]
    GitHub,
    /// GitHub Enterprise: the same, below `/api/v3`.
    Enterprise,
    /// Forgejo and Gitea: below `/api/v1`; pages are asked for by `limit` and have 50 at most, no answer has a validator or a
    /// rate limit, and some fields have other names.
    Forgejo,
}

impl Dialect {
    /// What is before `repos/…` in its addresses.
    pub(super) const fn prefix(self) -> &'static str {
        match self {
            Self::GitHub => "",
            Self::Enterprise => "/api/v3",
            Self::Forgejo => "/api/v1",
        }
    }

    /// The parameter that says how long a page is, and how long it can be.
    pub(super) const fn page(self) -> (&'static str, usize) {
        match self {
            Self::GitHub | Self::Enterprise => ("per_page", 100),
            Self::Forgejo => ("limit", 50),
        }
    }

    /// Whether answers have validators and rate limits.
    pub(super) fn counts(self) -> bool {
        self != Self::Forgejo
    }
}
