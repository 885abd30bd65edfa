//! Bad moments of a forge, on demand.

use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use futures_util::stream;
use serde_json::{Value, json};

/// What happens to a request instead of its answer.
#[derive(Clone, Debug)]
pub enum Fault {
    /// It gets this.
    Answer(Reply),
    /// It gets nothing.
    Hang,
    /// Its connection breaks before anything is done.
    Reset,
    /// It is done, and the connection breaks before the answer.
    Lost,
}

impl Fault {
    /// An answer that says how bad it is, and no more.
    pub fn status(status: u16) -> Self {
        Self::Answer(Reply::problem(status, "a fault of the test"))
    }

    /// 429, and when to come back.
    pub fn too_many(retry_after: Duration) -> Self {
        let reply = Reply::problem(429, "You have exceeded a rate limit");
        Self::Answer(reply.with_header("retry-after", &retry_after.as_secs().to_string()))
    }

    /// 403 as GitHub's secondary limit says it, without a word about when to come back.
    pub fn secondary() -> Self {
        let message =
            "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.";
        Self::Answer(Reply::problem(403, message))
    }
}

/// A fault, and whom it is for.
#[derive(Debug)]
pub(super) struct Ordered {
    pub(super) fault: Fault,
    /// Part of `METHOD PATH`; none for any request.
    pub(super) only: Option<String>,
}

impl Ordered {
    pub(super) fn fits(&self, request: &str) -> bool {
        self.only.as_ref().is_none_or(|it| request.contains(it))
    }
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// Names and values.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Reply {
    /// JSON, as the API answers.
    pub fn json(status: u16, body: &Value) -> Self {
        let kind = ("content-type".to_owned(), "application/json; charset=utf-8".to_owned());
        Self { status, headers: vec![kind], body: body.to_string().into_bytes() }
    }

    /// What the API says when it refuses.
    pub fn problem(status: u16, message: &str) -> Self {
        let documentation = "https://docs.github.com/rest";
        Self::json(
            status,
            &json!({"message": message, "documentation_url": documentation, "status": status.to_string()}),
        )
    }

    /// With another header.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// A status or a header that HTTP does not know becomes a 500: the mistake shows in the test that made it.
    pub(super) fn into_response(self) -> Response {
        let Self { status, headers, body } = self;
        let start = Response::builder().status(status);
        let response = headers.into_iter().fold(start, |it, (name, value)| it.header(name, value));
        response.body(Body::from(body)).unwrap_or_else(|error| {
            let mut response = Response::new(Body::from(error.to_string()));
            *response.status_mut() = axum::http::StatusCode::INTERNAL_SERVER_ERROR;
            response
        })
    }
}

/// A body that fails at once: the server closes the connection before it has sent anything.
pub(super) fn broken_connection() -> Response {
    let failure = Err::<Vec<u8>, _>(std::io::Error::from(std::io::ErrorKind::ConnectionReset));
    Response::new(Body::from_stream(stream::iter([failure])))
}
