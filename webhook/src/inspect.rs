//! `GET /inspect-queue`: what the program of that name prints, for operators who have its token. Off unless there is one.

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{self, Digest, SHA256};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use common::Chain;
use common::broker::Broker;
use common::broker::listing::{Listing, ListingError, Show};
use common::queue::Queue;
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How many bytes of messages an answer has at most; some ten thousand jobs for people, some thousand as they are.
const MOST_BYTES: usize = 4 * 1024 * 1024;
/// How many answers may be on their way to clients, who may be slow.
const MOST_ANSWERS: usize = 2;
/// How long the messages may be away from their queues.
const LIMIT: Duration = Duration::from_secs(30);

/// What the inspection needs. It has a session of its own, so that nothing of it is in the way of events.
pub(crate) struct Inspection {
    token: Token,
    broker: Broker,
    /// One looks at a time, since two would find half of the messages each.
    looking: Arc<Semaphore>,
    answers: Arc<Semaphore>,
    counts: Family<Label, Counter>,
}

/// Each way in which an inspection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
enum Answer {
    /// The queues are in the body.
    Shown,
    /// The token is missing or wrong; the body says nothing about which.
    Unauthorized,
    /// Something else than GET.
    MethodNotAllowed,
    /// Somebody else is looking, or reads too slowly.
    Busy,
    /// The broker did not say what there is.
    Unavailable,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Label {
    answer: Answer,
}

/// What is compared with a token that somebody shows us.
struct Token(Digest);

impl Token {
    fn new(token: &SecretString) -> Self {
        Self(digest::digest(&SHA256, token.expose_secret().as_bytes()))
    }

    /// `Authorization: Bearer …` or `Authorization: token …`. Digests are compared, in constant time, so that the answer's time
    /// tells neither the text nor its length.
    fn is_shown(&self, headers: &HeaderMap) -> bool {
        let shown = headers.get(header::AUTHORIZATION).and_then(|it| it.to_str().ok());
        let Some((scheme, token)) = shown.and_then(|it| it.split_once(' ')) else { return false };
        let known = ["bearer", "token"].iter().any(|it| scheme.eq_ignore_ascii_case(it));
        let shown = digest::digest(&SHA256, token.trim().as_bytes());
        known && verify_slices_are_equal(self.0.as_ref(), shown.as_ref()).is_ok()
    }
}

/// Any request for the path.
pub(crate) async fn inspect(State(inspection): State<Arc<Inspection>>, request: Request) -> Response {
    let (head, _) = request.into_parts();
    let looked = match inspection.permit(&head.method, &head.headers) {
        Ok(()) => inspection.look(show(head.uri.query())).await,
        Err(refused) => Err(refused),
    };
    let answer = looked.as_ref().map_or_else(|it| *it, |_| Answer::Shown);
    inspection.counts.get_or_create(&Label { answer }).inc();
    looked.map_or_else(IntoResponse::into_response, shown)
}

/// `?human` asks for what `--human` prints.
fn show(query: Option<&str>) -> Show {
    let human = query.is_some_and(|it| it.split('&').any(|it| matches!(it, "human" | "human=" | "human=1")));
    if human { Show::Human } else { Show::Message }
}

impl Inspection {
    pub(crate) fn new(token: &SecretString, broker: Broker, registry: &mut Registry) -> Self {
        let counts = Family::default();
        registry.register("flotilla_webhook_inspections", "Inspections by answer", counts.clone());
        let (looking, answers) = (Arc::new(Semaphore::new(1)), Arc::new(Semaphore::new(MOST_ANSWERS)));
        Self { token: Token::new(token), broker, looking, answers, counts }
    }

    fn permit(&self, method: &Method, headers: &HeaderMap) -> Result<(), Answer> {
        if method != Method::GET {
            return Err(Answer::MethodNotAllowed);
        }
        if !self.token.is_shown(headers) {
            tracing::warn!("an inspection is refused: the token is missing or wrong");
            return Err(Answer::Unauthorized);
        }
        Ok(())
    }

    async fn look(&self, show: Show) -> Result<Bytes, Answer> {
        let permit = |of: &Arc<Semaphore>| Arc::clone(of).try_acquire_owned().map_err(|_| Answer::Busy);
        let (room, turn) = (permit(&self.answers)?, permit(&self.looking)?);
        let broker = self.broker.clone();
        // A task of its own: a client that goes away must not leave messages in nobody's hands.
        let looking = tokio::spawn(async move {
            let text = read(&broker, show).await;
            drop(turn);
            text
        });
        match looking.await {
            Ok(Ok(text)) => {
                tracing::info!(bytes = text.len(), "the queues were inspected");
                Ok(Bytes::from_owner(Text { text, _room: room }))
            }
            Ok(Err(Unread::Listing(error))) => {
                tracing::error!(error = %Chain(&error), "the queues could not be inspected");
                Err(Answer::Unavailable)
            }
            Ok(Err(Unread::Slow)) | Err(_) => {
                tracing::error!(limit_s = LIMIT.as_secs(), "the queues could not be inspected in time");
                Err(Answer::Unavailable)
            }
        }
    }
}

/// A text, and the room that is kept for it until it is sent.
struct Text {
    text: Vec<u8>,
    _room: OwnedSemaphorePermit,
}

impl AsRef<[u8]> for Text {
    fn as_ref(&self) -> &[u8] {
        &self.text
    }
}

enum Unread {
    Listing(ListingError),
    Slow,
}

/// Reads all queues into memory: who reads the answer slowly holds up no task. Whatever happens, the session is closed in the end, which
/// puts everything back.
async fn read(broker: &Broker, show: Show) -> Result<Vec<u8>, Unread> {
    let session = broker.connect("inspection").await.map_err(|it| Unread::Listing(it.into()))?;
    let mut text = Vec::new();
    let listing = Listing { queues: &Queue::INSPECTED, show, most_bytes: Some(MOST_BYTES) };
    let listed = tokio::time::timeout(LIMIT, listing.write(&session, &mut text)).await;
    session.close().await;
    match listed {
        Ok(Ok(())) => Ok(text),
        Ok(Err(error)) => Err(Unread::Listing(error)),
        Err(_) => Err(Unread::Slow),
    }
}

const TEXT: (HeaderName, &str) = (header::CONTENT_TYPE, "text/plain; charset=utf-8");
const NOT_KEPT: (HeaderName, &str) = (header::CACHE_CONTROL, "no-store");

fn shown(text: Bytes) -> Response {
    ([TEXT, NOT_KEPT], text).into_response()
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let busy = "somebody else is looking: ask again\n";
        let (status, also, text) = match self {
            // Its body is made by `shown`.
            Self::Shown => (StatusCode::OK, NOT_KEPT, ""),
            Self::Unauthorized => {
                (StatusCode::UNAUTHORIZED, (header::WWW_AUTHENTICATE, "Bearer"), "unauthorized\n")
            }
            Self::MethodNotAllowed => {
                (StatusCode::METHOD_NOT_ALLOWED, (header::ALLOW, "GET"), "expected GET\n")
            }
            Self::Busy => (StatusCode::SERVICE_UNAVAILABLE, (header::RETRY_AFTER, "1"), busy),
            Self::Unavailable => {
                (StatusCode::SERVICE_UNAVAILABLE, NOT_KEPT, "the broker does not say what there is\n")
            }
        };
        (status, [TEXT, also], text).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_has_to_be_shown_as_it_is() {
        let token = Token::new(&"0123456789abcdef".into());
        for (shown, permitted) in [
            ("Bearer 0123456789abcdef", true),
            ("bearer  0123456789abcdef ", true),
            ("token 0123456789abcdef", true),
            ("Basic 0123456789abcdef", false),
            ("0123456789abcdef", false),
            ("Bearer", false),
            ("Bearer ", false),
            ("Bearer 0123456789abcde", false),
            ("Bearer 0123456789abcdef0", false),
            ("Bearer 0123456789ABCDEF", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::AUTHORIZATION, shown.parse().unwrap());
            assert_eq!(token.is_shown(&headers), permitted, "{shown}");
        }
        assert!(!token.is_shown(&HeaderMap::new()));
    }

    #[test]
    fn people_can_ask_for_what_people_read() {
        for (query, human) in [
            (None, Show::Message),
            (Some(""), Show::Message),
            (Some("human"), Show::Human),
            (Some("x=1&human=1"), Show::Human),
            (Some("human=0"), Show::Message),
            (Some("humane"), Show::Message),
        ] {
            assert_eq!(show(query), human, "{query:?}");
        }
    }
}
