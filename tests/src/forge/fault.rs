//! Bad moments of a forge, on demand.

use axum::body::Body;
use axum::response::Response;
use serde_json::{Value, json};

/// What happens to a request instead of its answer.
#[derive(Clone, Debug)]
pub enum Fault {
    /// It gets this.
    Answer(Reply),
    /// It gets nothing.
    Hang,
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
