//! What an event of a log, or a status, means to a person. Decides; does no I/O.

use common::forge::StatusState;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::screen::{Step, Tone, plain};
use crate::forge::StatusRecord;

/// What of an event is told in other ways.
const FRAME: [&str; 6] = ["message", "timestamp", "level", "target", "span", "spans"];

/// A delivery of the broker that a worker deals with.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Work {
    pub(super) queue: String,
    pub(super) id: String,
    pub(super) attempt: u64,
}

impl Work {
    /// The one that an event of a worker belongs to.
    pub(super) fn of(event: &Value) -> Option<Self> {
        let span = &event["span"];
        Some(Self {
            queue: span["queue"].as_str()?.to_owned(),
            id: span["task.id"].as_str()?.to_owned(),
            attempt: span["attempt"].as_u64()?,
        })
    }

    /// Events come out of this queue, tasks out of the others.
    pub(super) fn is_task(&self) -> bool {
        self.queue != common::queue::Queue::Webhook.name()
    }

    /// What a person calls it.
    fn label(&self) -> &'static str {
        if self.is_task() { "task" } else { "event" }
    }

    /// It was handed to the worker.
    pub(super) fn taken(&self, event: &Value) -> Step {
        let Self { queue, id, attempt } = self;
        let text = if self.is_task() {
            format!("{id} is taken from the queue {queue}, attempt {attempt}")
        } else {
            format!("is taken from the queue {queue}")
        };
        step(event, self.label(), &text, Tone::Plain)
    }
}

/// Whether a delivery is done with, for good.
pub(super) fn is_settled(event: &Value) -> bool {
    event["message"] == "settled" && matches!(event["settled"].as_str(), Some("acked" | "buried"))
}

/// What an event of the receiver means.
pub(super) fn receiver(event: &Value) -> Option<Step> {
    match event["message"].as_str()? {
        "queued" => {
            let (event_name, bytes) = (event["event"].as_str()?, word(&event["bytes"]));
            let took = word(&event["duration_ms"]);
            let text = format!(
                "{event_name} ({bytes} bytes) goes into the queue webhook; the broker confirms it after {took} ms"
            );
            let mut step = step(event, "event", &text, Tone::Plain);
            // Logged at its end, when a worker may have taken it already.
            step.at -= SignedDuration::from_millis(took.parse().ok()?);
            Some(step)
        }
        _ => trouble("webhook", event),
    }
}

/// What an event of a worker means.
pub(super) fn worker(event: &Value) -> Option<Step> {
    let work = Work::of(event);
    match (event["message"].as_str()?, &work) {
        ("scanned", _) => {
            let sha = event["sha"].as_str()?;
            let text = format!(
                "{} for {} at {}: {}",
                event["context"].as_str()?,
                event["repo.name"].as_str()?,
                sha.get(..7).unwrap_or(sha),
                decision(event["decision"].as_str()?)
            );
            Some(step(event, "scan", &text, Tone::Plain))
        }
        ("settled", Some(work)) => {
            let how = settled(event["settled"].as_str()?);
            let text = format!("is {how} after {} ms", word(&event["duration_ms"]));
            Some(step(event, work.label(), &text, Tone::Plain))
        }
        ("the job has ended", Some(work)) => {
            let text =
                format!("has ended: {}; log {}", event["description"].as_str()?, event["log"].as_str()?);
            Some(step(event, work.label(), &text, Tone::Plain))
        }
        (_, Some(work)) if event["level"] == "INFO" => {
            Some(step(event, work.label(), &words(event), Tone::Plain))
        }
        _ => trouble("worker", event),
    }
}

/// What a status says.
pub(super) fn status(status: &StatusRecord) -> Step {
    let (state, tone) = state(status);
    let description = status.description.as_deref().unwrap_or_default();
    let text = plain(&format!("{} is {state}: {description}", status.context));
    Step { at: status.at, label: "status", text, tone }
}

/// The state of a status in a word.
pub(super) fn state(status: &StatusRecord) -> (&'static str, Tone) {
    match status.state {
        StatusState::Pending => ("pending", Tone::Plain),
        StatusState::Success => ("success", Tone::Good),
        StatusState::Failure => ("failure", Tone::Bad),
        StatusState::Error => ("error", Tone::Bad),
        StatusState::Other => ("unknown", Tone::Bad),
    }
}

/// An event as a line: its level, its message, its fields.
pub(super) fn line(event: &Value) -> String {
    format!("{} {}", event["level"].as_str().unwrap_or_default(), words(event))
}

fn trouble(who: &'static str, event: &Value) -> Option<Step> {
    let bad = event["level"] == "WARN" || event["level"] == "ERROR";
    bad.then(|| step(event, who, &words(event), Tone::Bad))
}

fn step(event: &Value, label: &'static str, text: &str, tone: Tone) -> Step {
    let at = event["timestamp"].as_str().and_then(|it| it.parse().ok()).unwrap_or(Timestamp::UNIX_EPOCH);
    Step { at, label, text: plain(text), tone }
}

fn words(event: &Value) -> String {
    let message = event["message"].as_str().unwrap_or_default().to_owned();
    let fields = event.as_object().into_iter().flatten();
    let fields = fields.filter(|(name, _)| !FRAME.contains(&name.as_str()));
    let fields = fields.map(|(name, value)| format!("{name}: {}", word(value)));
    plain(&std::iter::once(message).chain(fields).collect::<Vec<_>>().join(", "))
}

/// A value without quotes.
fn word(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn decision(name: &str) -> &str {
    match name {
        "PostAndRun" | "Run" => "is to be run",
        "AskFirst" => "a maintainer has to ask for it",
        "Skip(Judged)" => "has a verdict, nothing to do",
        "Skip(InProgress)" => "is in progress, nothing to do",
        other => other,
    }
}

fn settled(name: &str) -> &str {
    match name {
        "acked" => "acknowledged",
        "retried" => "put back for another attempt",
        "requeued" => "given back",
        "buried" => "put into the queue dead",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn in_span(mut event: Value, queue: &str) -> Value {
        event["timestamp"] = json!("2026-11-20T08:00:00Z");
        event["span"] = json!({"name": "delivery", "queue": queue, "task.id": "0193", "attempt": 1});
        event
    }

    #[test]
    fn a_settled_task_is_told_in_words() {
        let event = in_span(
            json!({"level": "INFO", "message": "settled", "settled": "acked", "duration_ms": 7}),
            "public",
        );
        let step = worker(&event).unwrap();
        assert_eq!((step.label, step.text.as_str()), ("task", "is acknowledged after 7 ms"));
        assert!(is_settled(&event));
        assert!(Work::of(&event).unwrap().is_task());
    }

    #[test]
    fn what_is_debugged_is_not_told_but_troubles_are() {
        assert_eq!(worker(&json!({"level": "DEBUG", "message": "the forge answered"})), None);
        assert_eq!(worker(&json!({"level": "INFO", "message": "asked to end", "now": false})), None);
        let step = worker(&json!({"level": "WARN", "message": "no connection", "retry_ms": 5})).unwrap();
        assert_eq!((step.label, step.text.as_str()), ("worker", "no connection, retry_ms: 5"));
        assert_eq!(step.tone, Tone::Bad);
    }
}
