//! Events: what a forge said, as it said it.
//!
//! The webhook wraps the bytes of a payload in an [`Envelope`] and looks at nothing but what its filter needs; scanners
//! read the same bytes as an [`Event`]. Both read small structs of their own: GitHub adds and removes fields at any time.

mod payload;

use std::borrow::Cow;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::id::{EventName, InvalidId};
use crate::outline::{self, outline};
pub use payload::{Action, Event, IssuesEvent, PullRequestEvent, Repository, StatusEvent, is_direct_trigger};

/// An item of the queue `webhook`: `{"event": "<X-GitHub-Event>", "request": <payload as received>}`.
#[derive(Clone, Debug)]
pub struct Envelope<'a> {
    /// The event's name.
    pub event: EventName,
    /// The payload: the bytes that the forge signed.
    pub request: Cow<'a, RawValue>,
}

/// A body that is no envelope.
#[derive(Debug, thiserror::Error)]
pub enum InvalidEvent {
    /// Not the object that the wire facts describe.
    #[error("not an event envelope `{{\"event\": …, \"request\": …}}`")]
    Envelope(#[source] serde_json::Error),
    /// The event's name is none.
    #[error(transparent)]
    Name(#[from] InvalidId),
    /// A payload that lacks what its event always has.
    #[error("{event} payload")]
    Payload {
        /// The event's name.
        event: EventName,
        /// Which field, and what was expected.
        #[source]
        source: serde_path_to_error::Error<serde_json::Error>,
    },
}

impl InvalidEvent {
    /// The same without any value of the event: for logs, and for what others can read.
    #[must_use]
    pub fn outline(&self) -> String {
        match self {
            Self::Envelope(source) => format!("{self}: {}", outline(source)),
            Self::Name(InvalidId { expected, found: _ }) => format!("not {expected}"),
            Self::Payload { event: _, source } => {
                let problem = outline(source.inner());
                match outline::place(&source.path().to_string()).as_str() {
                    "." => format!("{self}: {problem}"),
                    path => format!("{self}: {path}: {problem}"),
                }
            }
        }
    }
}

impl<'a> Envelope<'a> {
    /// The message body for a payload: its bytes travel as they came.
    ///
    /// `payload` must be one JSON value in UTF-8, which the webhook's filter has seen to.
    #[must_use]
    pub fn encode(event: &EventName, payload: &[u8]) -> Bytes {
        let head = br#"{"event":""#;
        let middle = br#"","request":"#;
        let mut body =
            Vec::with_capacity(head.len() + event.as_str().len() + middle.len() + payload.len() + 1);
        body.extend_from_slice(head);
        body.extend_from_slice(event.as_str().as_bytes());
        body.extend_from_slice(middle);
        body.extend_from_slice(payload);
        body.push(b'}');
        Bytes::from(body)
    }

    /// Reads a message body, of ours or of an older program.
    pub fn decode(body: &'a [u8]) -> Result<Self, InvalidEvent> {
        #[derive(Deserialize)]
        struct Wire<'a> {
            event: Cow<'a, str>,
            #[serde(borrow)]
            request: &'a RawValue,
        }
        let Wire { event, request } = serde_json::from_slice(body).map_err(InvalidEvent::Envelope)?;
        Ok(Self { event: EventName::new(event)?, request: Cow::Borrowed(request) })
    }

    /// What the payload says, as far as scanners want to know.
    pub fn parse(&self) -> Result<Event, InvalidEvent> {
        Event::parse(&self.event, self.request.get())
            .map_err(|source| InvalidEvent::Payload { event: self.event.clone(), source })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_payload_travels_as_it_came() {
        let payload = br#"{ "b": 1.10, "a" : "\u00e9",  "b2": 1e3 }"#;
        let body = Envelope::encode(&EventName::new("pull_request").unwrap(), payload);
        assert_eq!(
            &body[..],
            br#"{"event":"pull_request","request":{ "b": 1.10, "a" : "\u00e9",  "b2": 1e3 }}"#
        );
        let envelope = Envelope::decode(&body).unwrap();
        assert_eq!(envelope.event.as_str(), "pull_request");
        assert_eq!(envelope.request.get().as_bytes(), payload);
    }

    #[test]
    fn what_python_writes_is_read() {
        let envelope = Envelope::decode(br#"{"event": "status", "request": {"sha": "0"}}"#).unwrap();
        assert_eq!(envelope.event.as_str(), "status");
    }

    #[test]
    fn an_outline_has_the_place_and_no_value() {
        let event = |text: &str| {
            Envelope::decode(text.as_bytes()).and_then(|it| it.parse()).err().map(|it| it.outline()).unwrap()
        };
        let envelope = "not an event envelope `{\"event\": …, \"request\": …}`";
        assert_eq!(
            event(r#"{"event": ["hunter2"], "request": 1}"#),
            format!("{envelope}: expected a string")
        );
        assert_eq!(
            event(r#"{"event": "hunter 2", "request": 1}"#),
            "not an event name of 1 to 64 letters, digits, `-` and `_`"
        );
        assert_eq!(
            event(r#"{"event": "status", "request": {"sha": "hunter2"}}"#),
            "status payload: sha: not a commit of 6 to 64 lower-case hexadecimal digits"
        );
    }

    #[test]
    fn what_is_no_envelope_is_refused() {
        for body in [
            "",
            "1",
            "{}",
            r#"{"event": "x"}"#,
            r#"{"event": 1, "request": {}}"#,
            r#"{"event": "a b", "request": {}}"#,
        ] {
            assert!(Envelope::decode(body.as_bytes()).is_err(), "{body}");
        }
    }
}
