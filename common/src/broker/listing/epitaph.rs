//! What is said of a message in `dead`: which one it is, where it comes from, and why it is there.

use std::collections::BTreeMap;
use std::fmt::{self, Display};

use lapin::types::{AMQPValue, FieldTable};
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::super::dead::seconds;
use crate::broker::{Burial, Received};
use crate::id::{Attempt, TaskId};

/// A message's story.
#[derive(Clone, Debug)]
pub(super) struct Epitaph<'a> {
    id: &'a TaskId,
    attempt: Attempt,
    burial: Option<Burial>,
    history: Vec<String>,
    headers: Option<&'a FieldTable>,
}

/// For programs: a line of JSON.
#[derive(Serialize)]
struct Json<'a> {
    id: &'a str,
    queue: Option<&'a str>,
    reason: Option<&'a str>,
    attempts: u32,
    buried: Option<String>,
    history: &'a [String],
    headers: BTreeMap<&'a str, Value>,
    message: Body<'a>,
}

/// What the message says: itself where it is JSON, else a text.
#[derive(Serialize)]
#[serde(untagged)]
enum Body<'a> {
    Json(&'a RawValue),
    Text(String),
}

impl<'a> Epitaph<'a> {
    pub(super) fn of(received: &'a Received) -> Self {
        let headers = received.headers();
        Self {
            id: &headers.id,
            attempt: headers.attempt,
            burial: received.burial(),
            history: received.history(),
            headers: received.properties().headers().as_ref(),
        }
    }

    /// All that is known of it, and what it says.
    pub(super) fn json(&self, body: &[u8]) -> Result<String, serde_json::Error> {
        let Self { id, attempt, burial, history, headers } = self;
        let message = serde_json::from_slice(body)
            .map_or_else(|_| Body::Text(String::from_utf8_lossy(body).into_owned()), Body::Json);
        serde_json::to_string(&Json {
            id: id.as_str(),
            queue: burial.as_ref().and_then(|it| it.from.as_deref()),
            reason: burial.as_ref().map(|it| it.reason.as_str()),
            attempts: attempt.number(),
            buried: burial.as_ref().and_then(|it| it.at).map(seconds),
            history,
            headers: headers
                .iter()
                .flat_map(|it| it.inner())
                .map(|(key, it)| (key.as_str(), json(it)))
                .collect(),
            message,
        })
    }
}

/// For people.
impl Display for Epitaph<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, attempt, burial, .. } = self;
        write!(f, "{id}")?;
        if let Some(from) = burial.as_ref().and_then(|it| it.from.as_ref()) {
            write!(f, " from {from}")?;
        }
        if let Some(at) = burial.as_ref().and_then(|it| it.at) {
            write!(f, ", since {}", seconds(at))?;
        }
        let reason = burial.as_ref().map_or("no reason given", |it| it.reason.as_str());
        write!(f, ", attempt {attempt}: {reason}")
    }
}

/// A header's value as JSON. It nests no deeper than the client library reads it.
fn json(value: &AMQPValue) -> Value {
    match value {
        AMQPValue::Boolean(it) => (*it).into(),
        AMQPValue::ShortShortInt(it) => (*it).into(),
        AMQPValue::ShortShortUInt(it) => (*it).into(),
        AMQPValue::ShortInt(it) => (*it).into(),
        AMQPValue::ShortUInt(it) => (*it).into(),
        AMQPValue::LongInt(it) => (*it).into(),
        AMQPValue::LongUInt(it) => (*it).into(),
        AMQPValue::LongLongInt(it) => (*it).into(),
        AMQPValue::Timestamp(it) => (*it).into(),
        AMQPValue::Float(it) => f64::from(*it).into(),
        AMQPValue::Double(it) => (*it).into(),
        AMQPValue::DecimalValue(it) => format!("{it:?}").into(),
        AMQPValue::ShortString(it) => it.to_string().into(),
        AMQPValue::LongString(it) => String::from_utf8_lossy(it.as_bytes()).into(),
        AMQPValue::ByteArray(it) => String::from_utf8_lossy(it.as_slice()).into(),
        AMQPValue::FieldArray(it) => it.as_slice().iter().map(json).collect(),
        AMQPValue::FieldTable(it) => it.inner().iter().map(|(key, it)| (key.to_string(), json(it))).collect(),
        AMQPValue::Void => Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn epitaph<'a>(id: &'a TaskId, burial: Option<Burial>, headers: Option<&'a FieldTable>) -> Epitaph<'a> {
        let history = vec!["attempt 1 on h at 2026-11-21T13:00:00Z: away".to_owned()];
        Epitaph { id, attempt: Attempt::FIRST.next(), burial, history, headers }
    }

    #[test]
    fn people_read_the_story_in_short() {
        let id = TaskId::new("0193ae5c").unwrap();
        let burial =
            |at| Burial { reason: "not a\nJSON object".to_owned(), from: Some("rhel".to_owned()), at };
        let at = "2026-11-21T13:45:39.9Z".parse().ok();
        assert_eq!(
            epitaph(&id, Some(burial(at)), None).to_string(),
            "0193ae5c from rhel, since 2026-11-21T13:45:40Z, attempt 2: not a\nJSON object"
        );
        assert_eq!(
            epitaph(&id, Some(burial(None)), None).to_string(),
            "0193ae5c from rhel, attempt 2: not a\nJSON object"
        );
        assert_eq!(epitaph(&id, None, None).to_string(), "0193ae5c, attempt 2: no reason given");
    }

    #[test]
    fn programs_read_all_of_it() {
        let id = TaskId::new("0193ae5c").unwrap();
        let mut headers = FieldTable::default();
        headers.insert("x-n".into(), AMQPValue::LongInt(7));
        let list = vec![AMQPValue::LongString("a".into()), AMQPValue::Void];
        headers.insert("x-list".into(), AMQPValue::FieldArray(list.into()));
        let shown = epitaph(&id, None, Some(&headers)).json(b"{\n \"command\": \"true\"}").unwrap();
        let json: Value = serde_json::from_str(&shown).unwrap();
        assert_eq!(json["headers"], serde_json::json!({"x-n": 7, "x-list": ["a", null]}));
        assert_eq!(json["message"]["command"], "true");
        assert_eq!(
            (&json["queue"], &json["reason"], &json["buried"]),
            (&Value::Null, &Value::Null, &Value::Null)
        );
        assert_eq!(json["history"].as_array().map(Vec::len), Some(1));
        for body in [&b"\xff\"x"[..], b"", b"{} {}"] {
            let shown = epitaph(&id, None, None).json(body).unwrap();
            let json: Value = serde_json::from_str(&shown).unwrap();
            assert_eq!(json["message"], *String::from_utf8_lossy(body));
        }
    }

    #[test]
    fn deep_nesting_does_no_harm() {
        let id = TaskId::new("0193ae5c").unwrap();
        let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(epitaph(&id, None, None).json(deep.as_bytes()).unwrap().ends_with(&format!("{deep}}}")));
    }
}
