//! What a program did, with everything taken out that two runs of one program do not agree on.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::tap::Exchange;

/// What a program did.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Observed {
    /// Its exit code.
    pub exit: i32,
    /// It ended because of an error that nobody had thought of: the error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crash: Option<String>,
    /// What it printed: JSON documents, or lines.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub out: Vec<Value>,
    /// What it said to people, log lines aside.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub err: Vec<String>,
    /// What it read: `PATH`, without the query, each once.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub reads: BTreeSet<String>,
    /// What it wrote, in its order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub writes: Vec<Write>,
    /// What it queued, in its order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub messages: Vec<Message>,
}

/// A request that changes something.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Write {
    /// `METHOD PATH`
    pub request: String,
    /// Its body.
    pub body: Value,
    /// The status of the answer.
    pub status: u16,
}

/// A message on a queue.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Message {
    /// The queue's name on the broker.
    pub queue: String,
    /// Its priority.
    pub priority: Option<u8>,
    /// What it says.
    pub body: Value,
}

impl Observed {
    /// Adds what went between the program and the forge.
    #[must_use]
    pub fn with_exchanges(mut self, exchanges: Vec<Exchange>) -> Self {
        for Exchange { method, path, sent, status, answered: _ } in exchanges {
            let place = path.split('?').next().unwrap_or_default();
            if method == "GET" {
                self.reads.insert(place.to_owned());
            } else {
                self.writes.push(Write { request: format!("{method} {place}"), body: sent, status });
            }
        }
        self
    }
}

/// The documents, if a text is JSON documents one after the other; else its lines.
pub fn printed(text: &str) -> Vec<Value> {
    let documents: Result<Vec<Value>, _> = serde_json::Deserializer::from_str(text).into_iter().collect();
    let lines = || text.lines().map(|it| Value::from(without_time(it))).collect();
    documents.map_or_else(|_| lines(), |it| it.into_iter().map(timeless).collect())
}

/// A value with its times replaced.
pub fn timeless(value: Value) -> Value {
    match value {
        Value::String(text) => Value::from(without_time(&text)),
        Value::Array(items) => items.into_iter().map(timeless).collect(),
        Value::Object(fields) => fields.into_iter().map(|(name, it)| (name, timeless(it))).collect(),
        other => other,
    }
}

/// `20260102-030405` of this century becomes `TIME`.
fn without_time(text: &str) -> String {
    const LENGTH: usize = "20260102-030405".len();
    let is_time = |it: &str| {
        let numbers = |it: &str| it.bytes().all(|byte| byte.is_ascii_digit());
        it.split_once('-').is_some_and(|(day, time)| day.len() == 8 && numbers(day) && numbers(time))
    };
    let found = |at: &usize| text.get(*at..at + LENGTH).is_some_and(is_time);
    match text.match_indices("20").map(|(at, _)| at).find(found) {
        Some(at) => format!("{}TIME{}", &text[..at], &text[at + LENGTH..]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn times_are_taken_out() {
        assert_eq!(without_time("pull-1-20261121-a-20261121-095138-arch"), "pull-1-20261121-a-TIME-arch");
        assert_eq!(without_time("20é20261121-09513"), "20é20261121-09513");
    }

    #[test]
    fn documents_are_told_from_lines() {
        assert_eq!(
            printed("{\n    \"a\": 1\n}\n{\"slug\": \"20261121-095138\"}\n"),
            [json!({"a": 1}), json!({"slug": "TIME"})]
        );
        assert_eq!(printed("pull-1  a\nb\n"), [json!("pull-1  a"), json!("b")]);
        assert!(printed("").is_empty());
    }
}
