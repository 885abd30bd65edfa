//! Messages: what we put into their properties and headers, and what we read from those of others.

use std::fmt;
use std::str::FromStr;

use bytes::Bytes;
use jiff::Timestamp;
use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable, ShortString};

use super::Generation;
use crate::clock::Clock;
use crate::id::{Attempt, DeliveryId, TaskId};
use crate::queue::{Priority, Queue};

const ATTEMPT: &str = "x-flotilla-attempt";
pub(super) const AWAITED: &str = "x-flotilla-awaited";
const DELIVERY: &str = "x-flotilla-delivery";
const TRACEPARENT: &str = "traceparent";

/// What we say of a message beside its body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Headers {
    /// `message_id`.
    pub id: TaskId,
    /// `x-flotilla-attempt`.
    pub attempt: Attempt,
    /// `x-flotilla-awaited`: it has waited for somebody who had begun its work in this generation of the claim, and is gone.
    pub awaited: Option<Generation>,
    /// `x-flotilla-delivery`: the event that all this began with.
    pub delivery: Option<DeliveryId>,
    /// `traceparent`.
    pub trace: Trace,
}

impl Headers {
    /// Of something new that nothing caused but us.
    #[must_use]
    pub fn fresh() -> Self {
        Self { id: new_id(), attempt: Attempt::FIRST, awaited: None, delivery: None, trace: Trace::new() }
    }

    /// Of something new that this message caused, which `what` tells from all else that it caused. A message that is dealt with twice
    /// causes the same again, under the same id.
    #[must_use]
    pub fn caused(&self, what: &str) -> Self {
        Self {
            id: self.id_of(what),
            attempt: Attempt::FIRST,
            awaited: None,
            delivery: self.delivery.clone(),
            trace: self.trace.clone(),
        }
    }

    fn id_of(&self, what: &str) -> TaskId {
        let text = format!("{} {what}", self.id);
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
        let Some(bytes) = digest.as_ref().first_chunk() else { return new_id() };
        let millis = self.time().map_or(0, Timestamp::as_millisecond).try_into().unwrap_or_default();
        uuid::Builder::from_unix_timestamp_millis(millis, bytes).into_uuid().into()
    }

    /// When the message was new, as its id says; none for ids of older programs.
    #[must_use]
    pub fn time(&self) -> Option<Timestamp> {
        let id = uuid::Uuid::parse_str(self.id.as_str()).ok()?;
        let (seconds, nanoseconds) = id.get_timestamp()?.to_unix();
        Timestamp::new(seconds.try_into().ok()?, nanoseconds.try_into().ok()?).ok()
    }

    /// From a message of ours or of an older program: theirs have none of these, and a digest of the body for an id.
    pub(super) fn read(properties: &BasicProperties, body: &[u8]) -> Self {
        let table = properties.headers().clone().unwrap_or_default();
        let text = |name: &str| table.inner().get(name).and_then(as_text);
        let attempt = table.inner().get(ATTEMPT).and_then(as_integer);
        let id = properties.message_id().as_ref().and_then(|it| TaskId::new(it.as_str()).ok());
        Self {
            id: id.unwrap_or_else(|| digest_id(body)),
            attempt: Attempt::from_wire(attempt),
            awaited: table.inner().get(AWAITED).and_then(as_integer).and_then(Generation::from_wire),
            delivery: text(DELIVERY).and_then(|it| DeliveryId::new(it).ok()),
            trace: text(TRACEPARENT).and_then(|it| it.parse().ok()).unwrap_or_else(Trace::new),
        }
    }
}

impl Headers {
    /// Into the headers of a message that is published.
    pub(super) fn write(&self, table: &mut FieldTable) {
        put(table, ATTEMPT, i64::from(self.attempt.number()));
        put(table, TRACEPARENT, self.trace.to_string());
        if let Some(generation) = self.awaited {
            put(table, AWAITED, generation.number());
        }
        if let Some(delivery) = &self.delivery {
            put(table, DELIVERY, delivery.to_string());
        }
    }
}

/// A message on its way to a queue: always persistent, `mandatory` and confirmed.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// Where it goes.
    pub queue: Queue,
    /// What it says. Never logged.
    pub body: Bytes,
    /// How urgent it is; none for queues without priorities.
    pub priority: Option<Priority>,
    /// What is said of it.
    pub headers: Headers,
}

impl Outgoing {
    pub(super) fn properties(&self, clock: Clock, app: &str) -> BasicProperties {
        let mut table = FieldTable::default();
        self.headers.write(&mut table);
        let mut properties = BasicProperties::default()
            .with_delivery_mode(2)
            .with_content_type("application/json".into())
            .with_message_id(self.headers.id.to_string().into())
            .with_timestamp(u64::try_from(clock.now().as_second()).unwrap_or_default())
            .with_app_id(format!("flotilla-{app}").into())
            .with_headers(table);
        if let Some(priority) = self.priority {
            properties = properties.with_priority(priority.number());
        }
        properties
    }
}

/// W3C Trace Context, level 1: one trace from the HTTP request to the final status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    id: String,
    span: String,
}

impl Trace {
    /// A trace that begins here.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "two new traces are not equal, as defaults would be")]
    pub fn new() -> Self {
        let random = || uuid::Uuid::now_v7().simple().to_string();
        Self { id: random(), span: random().split_off(16) }
    }

    /// 32 hexadecimal digits.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }
}

impl FromStr for Trace {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let hex = |it: &str, digits: usize| {
            it.len() == digits
                && it.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
                && it.bytes().any(|b| b != b'0')
        };
        let mut parts = text.split('-');
        match (parts.next(), parts.next(), parts.next()) {
            (Some(version), Some(id), Some(span))
                if version.len() == 2 && version != "ff" && hex(id, 32) && hex(span, 16) =>
            {
                Ok(Self { id: id.to_owned(), span: span.to_owned() })
            }
            _ => Err(()),
        }
    }
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{}-{}-01", self.id, self.span)
    }
}

fn new_id() -> TaskId {
    uuid::Uuid::now_v7().into()
}

fn digest_id(body: &[u8]) -> TaskId {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, body);
    TaskId::from_digest(digest.as_ref())
}

pub(super) fn put(table: &mut FieldTable, name: &'static str, value: impl Into<Header>) {
    table.insert(ShortString::from(name), value.into().0);
}

pub(super) struct Header(AMQPValue);

impl From<i64> for Header {
    fn from(number: i64) -> Self {
        Self(AMQPValue::LongLongInt(number))
    }
}

impl From<String> for Header {
    fn from(text: String) -> Self {
        Self(AMQPValue::LongString(text.into()))
    }
}

pub(super) fn as_text(value: &AMQPValue) -> Option<String> {
    match value {
        AMQPValue::LongString(text) => String::from_utf8(text.as_bytes().to_vec()).ok(),
        AMQPValue::ShortString(text) => Some(text.to_string()),
        _ => None,
    }
}

fn as_integer(value: &AMQPValue) -> Option<i64> {
    match *value {
        AMQPValue::ShortShortInt(it) => Some(it.into()),
        AMQPValue::ShortShortUInt(it) => Some(it.into()),
        AMQPValue::ShortInt(it) => Some(it.into()),
        AMQPValue::ShortUInt(it) => Some(it.into()),
        AMQPValue::LongInt(it) => Some(it.into()),
        AMQPValue::LongUInt(it) => Some(it.into()),
        AMQPValue::LongLongInt(it) => Some(it),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outgoing() -> Outgoing {
        let mut headers = Headers::fresh();
        headers.attempt = Attempt::FIRST.next();
        headers.delivery = Some(DeliveryId::new("72d3162e-cc78-11e3-81ab-4c9367dc0958").unwrap());
        Outgoing {
            queue: Queue::Public,
            body: Bytes::from_static(b"{}"),
            priority: Some(Priority::HIGH),
            headers,
        }
    }

    #[test]
    fn messages_are_persistent_and_tell_their_story() {
        let message = outgoing();
        let properties = message.properties(Clock::fixed(Timestamp::UNIX_EPOCH), "test");
        assert_eq!(*properties.delivery_mode(), Some(2));
        assert_eq!(*properties.priority(), Some(9));
        assert_eq!(*properties.timestamp(), Some(0));
        assert_eq!(Headers::read(&properties, b"{}"), message.headers);
    }

    #[test]
    fn what_a_message_causes_has_the_same_id_each_time() {
        let event = Headers::fresh();
        let caused = event.caused("a");
        assert_eq!(caused.id, event.caused("a").id);
        assert_ne!(caused.id, event.caused("b").id);
        assert_ne!(caused.id, Headers::fresh().caused("a").id);
        assert_eq!(caused.time(), event.time());
        assert!(event.time().unwrap() > Timestamp::UNIX_EPOCH);
        let older = Headers::read(&BasicProperties::default(), b"a");
        assert_eq!(older.time(), None);
        assert_eq!(older.caused("a").id, older.caused("a").id);
    }

    #[test]
    fn messages_of_older_programs_have_a_digest_for_an_id() {
        let read = |body: &[u8]| Headers::read(&BasicProperties::default(), body);
        assert_eq!(read(b"a").id, read(b"a").id);
        assert_ne!(read(b"a").id, read(b"b").id);
        assert_eq!(read(b"a").attempt, Attempt::FIRST);
    }

    #[test]
    fn traces_are_w3c() {
        let trace = Trace::new();
        assert_eq!(trace.to_string().parse(), Ok(trace.clone()));
        assert_eq!(trace.to_string().len(), 55);
        for bad in [
            "",
            "00-0-0-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ] {
            assert_eq!(bad.parse::<Trace>(), Err(()), "{bad}");
        }
    }
}
