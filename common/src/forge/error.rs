//! What goes wrong with a forge.

use std::fmt;
use std::time::Duration;

use reqwest::{Method, StatusCode};

use crate::id::ForgeName;

/// What was asked: `GET repos/o/r/pulls/1` of which forge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The forge.
    pub forge: ForgeName,
    /// How.
    pub method: Method,
    /// Where, below the API's address; without a query.
    pub path: String,
    /// What the forge calls it, where it answered and says so: its operators find it in their logs by that.
    pub id: Option<String>,
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { forge, method, path, id: _ } = self;
        write!(f, "{method} {path} of forge `{forge}`")
    }
}

/// How far a request got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// There was no connection.
    Connect,
    /// It was sent, at least in part.
    Answer,
}

/// Why something did not happen at a forge. Says what was asked and the forge's own words, cut short; never a token, never
/// a body.
#[derive(Debug, thiserror::Error)]
pub enum ForgeError {
    /// It can't be reached as it is configured.
    #[error("forge `{forge}`: {key}: {problem}")]
    Settings {
        /// The forge.
        forge: ForgeName,
        /// The setting.
        key: &'static str,
        /// What is wrong, and what was expected.
        problem: String,
    },
    /// 404: there is no such thing, or this credential may not see it.
    #[error("{request}: not found")]
    NotFound {
        /// What was asked.
        request: Box<Request>,
    },
    /// 401, or 403 that is no rate limit.
    #[error("{request}: {status}: {message}")]
    Unauthorized {
        /// What was asked.
        request: Box<Request>,
        /// 401: the credential is wrong; 403: it is not enough.
        status: StatusCode,
        /// The forge's words.
        message: String,
    },
    /// 429, or 403 that says so: too many requests.
    #[error("{request}: rate limit reached{}", in_seconds(*retry_after))]
    RateLimited {
        /// What was asked.
        request: Box<Request>,
        /// When it may be asked again, where the forge says.
        retry_after: Option<Duration>,
    },
    /// 422: understood, and refused; asking again will not help.
    #[error("{request}: refused: {message}")]
    Unprocessable {
        /// What was asked.
        request: Box<Request>,
        /// The forge's words.
        message: String,
    },
    /// Another answer that is not success.
    #[error("{request}: {status}: {message}")]
    Refused {
        /// What was asked.
        request: Box<Request>,
        /// The answer.
        status: StatusCode,
        /// The forge's words.
        message: String,
    },
    /// A redirect that is not followed: of a write, in a circle, to nowhere, or from https to http.
    #[error("{request}: {status}: not followed to {to}")]
    Redirected {
        /// What was asked.
        request: Box<Request>,
        /// Which redirect.
        status: StatusCode,
        /// The host it goes to (a whole address can be a credential).
        to: String,
    },
    /// 5xx: it has problems of its own.
    #[error("{request}: {status}: {message}")]
    Server {
        /// What was asked.
        request: Box<Request>,
        /// The answer.
        status: StatusCode,
        /// The forge's words.
        message: String,
    },
    /// It could not be reached, or the connection broke.
    #[error("{request}: not reached")]
    Network {
        /// What was asked.
        request: Box<Request>,
        /// The network's words, without the address.
        #[source]
        source: reqwest::Error,
    },
    /// It took too long.
    #[error("{request}: no answer within {} s", limit.as_secs_f32())]
    TimedOut {
        /// What was asked.
        request: Box<Request>,
        /// The limit.
        limit: Duration,
        /// What took so long.
        at: Stage,
    },
    /// It said something else than its API promises.
    #[error("{request}: unexpected answer: {problem}")]
    Answer {
        /// What was asked.
        request: Box<Request>,
        /// The path to the field, and what was expected there.
        problem: String,
    },
    /// It said too much.
    #[error("{request}: the answer has more than {limit} bytes")]
    TooLong {
        /// What was asked.
        request: Box<Request>,
        /// The limit in bytes.
        limit: usize,
    },
}

impl ForgeError {
    /// Whether the same request may do better later.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        match self {
            Self::RateLimited { .. } | Self::Server { .. } | Self::Network { .. } | Self::TimedOut { .. } => {
                true
            }
            Self::Settings { .. }
            | Self::NotFound { .. }
            | Self::Unauthorized { .. }
            | Self::Unprocessable { .. }
            | Self::Refused { .. }
            | Self::Redirected { .. }
            | Self::Answer { .. }
            | Self::TooLong { .. } => false,
        }
    }

    /// Whether the forge has understood and says no for good: neither time nor an operator changes that.
    #[must_use]
    pub const fn is_final(&self) -> bool {
        match self {
            Self::NotFound { .. }
            | Self::Unprocessable { .. }
            | Self::Refused { .. }
            | Self::Redirected { .. } => true,
            Self::RateLimited { .. }
            | Self::Server { .. }
            | Self::Network { .. }
            | Self::TimedOut { .. }
            | Self::Settings { .. }
            | Self::Unauthorized { .. }
            | Self::Answer { .. }
            | Self::TooLong { .. } => false,
        }
    }

    /// Whether the credential is not enough for what was asked, though the forge knows it (403).
    #[must_use]
    pub fn is_forbidden(&self) -> bool {
        matches!(self, Self::Unauthorized { status: StatusCode::FORBIDDEN, .. })
    }

    /// What was asked; none where nothing was.
    #[must_use]
    pub fn request(&self) -> Option<&Request> {
        match self {
            Self::Settings { .. } => None,
            Self::NotFound { request }
            | Self::Unauthorized { request, .. }
            | Self::RateLimited { request, .. }
            | Self::Unprocessable { request, .. }
            | Self::Refused { request, .. }
            | Self::Redirected { request, .. }
            | Self::Server { request, .. }
            | Self::Network { request, .. }
            | Self::TimedOut { request, .. }
            | Self::Answer { request, .. }
            | Self::TooLong { request, .. } => Some(request),
        }
    }

    /// Whether the request cannot have reached the forge.
    pub(super) fn is_unsent(&self) -> bool {
        matches!(self, Self::Network { source, .. } if source.is_connect())
            || matches!(self, Self::TimedOut { at: Stage::Connect, .. })
    }

    /// Whether the same request may do better within seconds.
    pub(super) const fn is_brief(&self) -> bool {
        self.is_transient() && !matches!(self, Self::RateLimited { .. })
    }
}

fn in_seconds(retry_after: Option<Duration>) -> String {
    retry_after.map_or_else(String::new, |it| format!(", to be asked again in {} s", it.as_secs()))
}
