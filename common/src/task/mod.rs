//! Tasks: typed units of work on a queue. One file per kind; the list of kinds is [`KINDS`] and [`Kind`].
//!
//! On the wire a task is one JSON object with exactly one key that names its kind, and `human` beside it
//! (wire facts, section 2). Fields that we do not know are ignored when a worker reads, since a newer program may have written
//! them, and refused when an operator publishes, since there they are slips ([`Task::unknown_fields`]).

mod command;
mod job;
mod key;
mod statistics;

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use crate::outline::{self, outline};
use crate::queue::{Holds, Queue};
pub use command::Command;
pub use job::{EnvName, EnvValue, Issue, Job, Minutes, Subject};
pub use key::WorkKey;
pub use statistics::Statistics;

/// The kinds of task, as they are called on the wire.
pub const KINDS: [&str; 3] = ["job", "command", "statistics"];

/// One unit of work.
#[derive(Clone, Debug, PartialEq)]
pub struct Task {
    /// What is to be done.
    pub kind: Kind,
    /// A line for people who look at a queue.
    pub human: Option<String>,
}

/// What is to be done. A new kind is a file, a variant, an entry in [`KINDS`] and an arm in its `parse`.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// Run a repository's tests in a container and report.
    Job(Box<Job>),
    /// Run a command on the worker.
    Command(Command),
    /// Store the results of a merged pull and publish the metrics.
    Statistics(Statistics),
}

/// Why a body is not a task.
#[derive(Debug, thiserror::Error)]
pub enum InvalidTask {
    /// It is no JSON object.
    #[error("not a JSON object")]
    NotAnObject(#[source] serde_json::Error),
    /// None of its keys names a kind that we know.
    #[error("no known kind of task: expected a key `job`, `command` or `statistics`, found {found}")]
    UnknownKind {
        /// The keys that it has.
        found: String,
    },
    /// More than one key names a kind.
    #[error("more than one kind of task: expected one of `job`, `command` and `statistics`")]
    Ambiguous,
    /// What should be an object is something else (serde would read a list as one).
    #[error("{0}: expected an object")]
    PayloadNotAnObject(&'static str),
    /// A field is not what it should be.
    #[error("{path}")]
    Field {
        /// Where, such as `job.env.TEST_OS`.
        path: String,
        /// What was expected.
        #[source]
        source: serde_json::Error,
    },
}

impl InvalidTask {
    /// The same without any value of the task: for logs, and for what others can read.
    #[must_use]
    pub fn outline(&self) -> String {
        match self {
            Self::NotAnObject(source) => format!("not a JSON object: {}", outline(source)),
            Self::UnknownKind { found: _ } => {
                "no known kind of task: expected a key `job`, `command` or `statistics`".to_owned()
            }
            Self::Ambiguous | Self::PayloadNotAnObject(_) => self.to_string(),
            Self::Field { path, source } => format!("{}: {}", outline::place(path), outline(source)),
        }
    }
}

impl Task {
    /// Reads a message body. Never panics, whatever the body is.
    pub fn parse(body: &[u8]) -> Result<Self, InvalidTask> {
        let mut parts: BTreeMap<String, &RawValue> =
            serde_json::from_slice(body).map_err(InvalidTask::NotAnObject)?;
        let human = match parts.remove("human") {
            Some(raw) => field::<Option<String>>("human", raw.get(), &mut |_| ())?,
            None => None,
        };
        Kind::parse(&parts, &mut |_| ()).map(|kind| Self { kind, human })
    }

    /// Paths of the fields of a valid task that mean nothing to us.
    pub fn unknown_fields(body: &[u8]) -> Result<Vec<String>, InvalidTask> {
        let mut parts: BTreeMap<String, &RawValue> =
            serde_json::from_slice(body).map_err(InvalidTask::NotAnObject)?;
        parts.remove("human");
        let mut unknown = Vec::new();
        Kind::parse(&parts, &mut |path| unknown.push(path))?;
        unknown.extend(parts.into_keys().filter(|key| !KINDS.contains(&key.as_str())));
        Ok(unknown)
    }

    /// The body of its message.
    #[must_use]
    pub fn to_json(&self) -> String {
        let kind = match &self.kind {
            Kind::Job(job) => serde_json::json!({ "job": job }),
            Kind::Command(command) => serde_json::json!({ "command": command }),
            Kind::Statistics(statistics) => serde_json::json!({ "statistics": statistics }),
        };
        let serde_json::Value::Object(mut body) = kind else { return String::new() };
        if let Some(human) = &self.human {
            body.insert("human".to_owned(), human.as_str().into());
        }
        serde_json::Value::Object(body).to_string()
    }
}

impl Kind {
    /// The key that names it on the wire.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Job(_) => "job",
            Self::Command(_) => "command",
            Self::Statistics(_) => "statistics",
        }
    }

    /// Whether a queue may hold it: the results database has one writer at a time, and [`Queue::Statistics`] sees to that.
    #[must_use]
    pub fn fits(&self, queue: Queue) -> bool {
        match self {
            Self::Job(_) | Self::Command(_) => queue.holds() == Holds::Tasks,
            Self::Statistics(_) => queue == Queue::Statistics,
        }
    }

    fn parse(
        parts: &BTreeMap<String, &RawValue>,
        unknown: &mut dyn FnMut(String),
    ) -> Result<Self, InvalidTask> {
        let mut present = KINDS.iter().filter_map(|kind| parts.get(*kind).map(|raw| (*kind, raw.get())));
        match (present.next(), present.next()) {
            (Some((path @ ("job" | "statistics"), raw)), None) if !raw.starts_with('{') => {
                Err(InvalidTask::PayloadNotAnObject(path))
            }
            (Some((path @ "job", raw)), None) => Ok(Self::Job(field(path, raw, unknown)?)),
            (Some((path @ "statistics", raw)), None) => Ok(Self::Statistics(field(path, raw, unknown)?)),
            (Some((path, raw)), None) => Ok(Self::Command(field(path, raw, unknown)?)),
            (Some(_), Some(_)) => Err(InvalidTask::Ambiguous),
            (None, _) => Err(InvalidTask::UnknownKind { found: keys(parts) }),
        }
    }
}

/// The keys of an object, few and short enough for a header or a log line.
fn keys(parts: &BTreeMap<String, &RawValue>) -> String {
    if parts.is_empty() {
        return "an empty object".to_owned();
    }
    let shown = parts.keys().take(5).map(|key| format!("`{}`", key.chars().take(40).collect::<String>()));
    shown.collect::<Vec<_>>().join(", ")
}

/// Reads one value and says where in it an error is; `unknown` hears of fields that the type does not have.
fn field<T: DeserializeOwned>(
    name: &str,
    raw: &str,
    unknown: &mut dyn FnMut(String),
) -> Result<T, InvalidTask> {
    let mut json = serde_json::Deserializer::from_str(raw);
    let mut track = serde_path_to_error::Track::new();
    let json = serde_path_to_error::Deserializer::new(&mut json, &mut track);
    // serde_ignored has a step `?` for an optional value, which is no part of the JSON.
    let mut hear = |path: serde_ignored::Path<'_>| unknown(format!("{name}.{path}").replace(".?.", "."));
    let json = serde_ignored::Deserializer::new(json, &mut hear);
    T::deserialize(json).map_err(|source| {
        let path = match track.path().to_string().as_str() {
            "." => name.to_owned(),
            inner => format!("{name}.{inner}"),
        };
        InvalidTask::Field { path, source }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Chain;

    fn error(body: &str) -> String {
        Chain(&Task::parse(body.as_bytes()).unwrap_err()).to_string()
    }

    #[test]
    fn what_is_no_task_is_refused_with_the_path() {
        assert!(error("").starts_with("not a JSON object"));
        assert!(error("[1]").starts_with("not a JSON object"));
        assert!(error("{}").contains("found an empty object"));
        assert!(error(r#"{"jobb": {}, "human": "x"}"#).contains("found `jobb`"));
        assert!(error(r#"{"job": {}, "command": "x"}"#).contains("expected one of"));
        assert!(error(r#"{"statistics": {}, "job": {}}"#).contains("expected one of"));
        assert!(error(r#"{"statistics": {"repo": "o/r"}}"#).starts_with("statistics: missing field `sha`"));
        assert!(error(r#"{"job": {}}"#).starts_with("job: missing field `repo`"));
        assert!(error(r#"{"job": {"repo": "o/r", "sha": 1}}"#).starts_with("job.sha: "));
        assert!(error(r#"{"job": {"repo": "../r"}}"#).starts_with("job.repo: "));
        assert!(error(r#"{"job": {"repo": "o/r", "env": {"A": 1}}}"#).starts_with("job.env.A: "));
        assert!(error(r#"{"job": {"repo": "o/r", "timeout": -1}}"#).starts_with("job.timeout: "));
        assert!(error(r#"{"command": 5}"#).starts_with("command: "));
        assert!(error(r#"{"command": "x", "human": 1}"#).starts_with("human: "));
    }

    #[test]
    fn an_outline_has_the_place_and_no_value() {
        for (body, outline) in [
            (r#""hunter2""#, "not a JSON object: expected a map"),
            (r#"{"job": hunter2}"#, "not a JSON object: not valid JSON: expected value at line 1 column 9"),
            (r#"{"hunter2": 1}"#, "no known kind of task: expected a key `job`, `command` or `statistics`"),
            (
                r#"{"job": {}, "command": "hunter2"}"#,
                "more than one kind of task: expected one of `job`, `command` and `statistics`",
            ),
            (r#"{"job": "hunter2"}"#, "job: expected an object"),
            (r#"{"job": {}}"#, "job: missing field `repo`"),
            (r#"{"statistics": ["hunter2"]}"#, "statistics: expected an object"),
            (r#"{"job": {"repo": "o/r", "env": {"A": ["hunter2"]}}}"#, "job.env.A: expected a string"),
            (
                r#"{"job": {"repo": "o/r", "env": {"A": "hunter2\u0000"}}}"#,
                "job.env.A: expected a value without NUL characters",
            ),
            (
                r#"{"job": {"repo": "o/r", "env": {"A=hunter2": "A"}}}"#,
                "job.env.A: expected a variable's name: letters, digits and `_`, no digit first",
            ),
            (
                r#"{"job": {"repo": "o/r", "sha": "hunter2"}}"#,
                "job.sha: not a commit of 6 to 64 lower-case hexadecimal digits",
            ),
            (r#"{"command": 7355608}"#, "command: expected a text for `sh -c` or a list of words"),
            (r#"{"command": ["hunter2\u0000"]}"#, "command: expected a command without NUL characters"),
        ] {
            assert_eq!(Task::parse(body.as_bytes()).unwrap_err().outline(), outline);
        }
    }

    #[test]
    fn kinds_have_their_queues() {
        let fits = |body: &str| -> Vec<Queue> {
            let kind = Task::parse(body.as_bytes()).unwrap().kind;
            Queue::ALL.into_iter().filter(|it| kind.fits(*it)).collect()
        };
        let tasks = [Queue::Public, Queue::Internal, Queue::Statistics];
        assert_eq!(fits(r#"{"job": {"repo": "o/r"}}"#), tasks);
        assert_eq!(fits(r#"{"command": "true"}"#), tasks);
        assert_eq!(fits(r#"{"statistics": {"repo": "o/r", "sha": "abcdef"}}"#), [Queue::Statistics]);
    }

    #[test]
    fn deep_nesting_is_an_error_and_no_crash() {
        let deep = format!("{}1{}", "[".repeat(10_000), "]".repeat(10_000));
        assert_eq!(error(&format!(r#"{{"job": {deep}}}"#)), "job: expected an object");
        let report = error(&format!(r#"{{"job": {{"repo": "o/r", "report": {{"x": {deep}}}}}}}"#));
        assert!(report.starts_with("job.report"), "{report}");
    }

    #[test]
    fn unknown_fields_are_ignored_by_readers_and_named_for_operators() {
        let body = br#"{"job": {"repo": "o/r", "contxt": "c", "command_subject": {"repo": "a/b", "x": 1}}, "prio": 3}"#;
        assert!(Task::parse(body).is_ok());
        assert_eq!(Task::unknown_fields(body).unwrap(), ["job.contxt", "job.command_subject.x", "prio"]);
    }
}
