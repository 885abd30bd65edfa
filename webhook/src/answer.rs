//! What a sender is told, and what we count.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use prometheus_client::encoding::EncodeLabelValue;

/// Each way in which a request ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
pub(crate) enum Answer {
    /// In the queue, confirmed by the broker.
    Queued,
    /// We are here.
    Ping,
    /// Nothing comes of it.
    Ignored,
    /// Not JSON, or lacking what the filter needs, or without an event's name.
    Malformed,
    /// The signature is missing or wrong; the body says nothing about why.
    Forbidden,
    /// The body did not come in time.
    TooSlow,
    /// More than 25 MiB.
    TooLarge,
    /// Not an event that we want.
    NotWanted,
    /// Not confirmed by the broker in time: the sender must try again.
    Unavailable,
    /// No memory for the body now: the sender must try again.
    Busy,
}

impl Answer {
    pub(crate) const fn status(self) -> StatusCode {
        match self {
            Self::Queued | Self::Ping | Self::Ignored => StatusCode::OK,
            Self::Malformed => StatusCode::BAD_REQUEST,
            Self::Forbidden => StatusCode::FORBIDDEN,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::NotWanted => StatusCode::NOT_IMPLEMENTED,
            Self::Unavailable | Self::Busy => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    const fn text(self) -> &'static str {
        match self {
            Self::Queued => "queued\n",
            Self::Ping => "pong\n",
            Self::Ignored => "nothing to do for this action\n",
            Self::Malformed => {
                "malformed: expected the JSON payload of the event that X-GitHub-Event names\n"
            }
            Self::Forbidden => "forbidden\n",
            Self::TooSlow => "the body did not come in time\n",
            Self::TooLarge => "the body is larger than 25 MiB\n",
            Self::NotWanted => "this event is not wanted here\n",
            Self::Unavailable => "not stored: deliver it again\n",
            Self::Busy => "too much at once: deliver it again\n",
        }
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let mut response = (self.status(), self.text()).into_response();
        // What is left of the body is not worth a connection.
        if matches!(self, Self::TooLarge | Self::TooSlow | Self::Busy) {
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}
