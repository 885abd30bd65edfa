//! Which events are wanted (wire facts, section 3). Looks at nothing but what it needs, and sees to it that what is queued is one
//! JSON object in UTF-8; nesting costs nothing here, as nothing is built.

use common::event::is_direct_trigger;
use common::forge::StatusState;
use common::id::EventName;
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// What becomes of a verified delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// The forge asks whether we are there.
    Ping,
    /// To the queue.
    Queue,
    /// Of a wanted kind, but nothing comes of it.
    Ignore,
    /// Not of a wanted kind; said so that the sender's delivery log shows it.
    NotWanted,
}

/// A body that is not what its event's bodies are.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Malformed {
    #[error("the body is not UTF-8")]
    Encoding,
    #[error("the body is not a JSON object; set the hook's content type to application/json")]
    NotAnObject,
    #[error("the body is not what this event has")]
    Json(#[from] serde_json::Error),
}

impl Malformed {
    /// The same without any value of the payload: for the log.
    pub(crate) fn outline(&self) -> String {
        match self {
            Self::Encoding | Self::NotAnObject => self.to_string(),
            Self::Json(source) => format!("the body is not what this event has: {}", common::outline(source)),
        }
    }
}

/// Decides.
pub(crate) fn decide(event: &EventName, body: &[u8]) -> Result<Decision, Malformed> {
    let wanted = match event.as_str() {
        "ping" => return Ok(Decision::Ping),
        "pull_request" => parse::<PullRequest>(body)?.is_wanted()?,
        "status" => parse::<Status>(body)?.is_wanted(),
        "issues" => parse::<Issues>(body)?.is_wanted(),
        _ => return Ok(Decision::NotWanted),
    };
    Ok(if wanted { Decision::Queue } else { Decision::Ignore })
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Malformed> {
    let text = std::str::from_utf8(body).map_err(|_| Malformed::Encoding)?;
    // serde would read a list as a struct.
    if !text.trim_ascii_start().starts_with('{') {
        return Err(Malformed::NotAnObject);
    }
    Ok(serde_json::from_str(text)?)
}

#[derive(Deserialize)]
struct PullRequest {
    action: String,
    pull_request: Merged,
}

#[derive(Deserialize)]
struct Merged {
    merged: Option<bool>,
}

impl PullRequest {
    fn is_wanted(&self) -> Result<bool, Malformed> {
        match self.action.as_str() {
            "opened" | "synchronize" | "reopened" | "edited" | "labeled" => Ok(true),
            "closed" => self.pull_request.merged.ok_or_else(|| {
                serde::de::Error::custom("missing field `pull_request.merged` of a closed pull request")
            }),
            _ => Ok(false),
        }
        .map_err(Malformed::Json)
    }
}

#[derive(Deserialize)]
struct Status {
    state: StatusState,
    description: Option<String>,
}

impl Status {
    fn is_wanted(&self) -> bool {
        is_direct_trigger(self.state, self.description.as_deref())
    }
}

#[derive(Deserialize)]
struct Issues {
    action: String,
}

impl Issues {
    fn is_wanted(&self) -> bool {
        matches!(self.action.as_str(), "opened" | "edited" | "labeled")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decide(event: &str, body: &str) -> Result<Decision, Malformed> {
        super::decide(&EventName::new(event).unwrap(), body.as_bytes())
    }

    #[test]
    fn events_are_wanted_as_the_wire_facts_say() {
        let pull = |action: &str, merged: &str| {
            format!(r#"{{"action": "{action}", "pull_request": {{"merged": {merged}}}}}"#)
        };
        let status = |state: &str, description: &str| {
            format!(r#"{{"state": "{state}", "description": {description}}}"#)
        };
        let issue = |action: &str| format!(r#"{{"action": "{action}"}}"#);
        let table = [
            ("ping", "{}".to_owned(), Decision::Ping),
            ("pull_request", pull("opened", "false"), Decision::Queue),
            ("pull_request", pull("synchronize", "false"), Decision::Queue),
            ("pull_request", pull("reopened", "false"), Decision::Queue),
            ("pull_request", pull("edited", "false"), Decision::Queue),
            ("pull_request", pull("labeled", "false"), Decision::Queue),
            ("pull_request", pull("closed", "true"), Decision::Queue),
            ("pull_request", pull("closed", "false"), Decision::Ignore),
            ("pull_request", pull("unlabeled", "null"), Decision::Ignore),
            ("pull_request", pull("assigned", "false"), Decision::Ignore),
            ("status", status("pending", "\"Not yet tested (direct trigger)\""), Decision::Queue),
            ("status", status("pending", "\"Not yet tested (direct trigger) \\n\""), Decision::Queue),
            ("status", status("pending", "\"Not yet tested\""), Decision::Ignore),
            ("status", status("pending", "null"), Decision::Ignore),
            ("status", status("failure", "\"Not yet tested (direct trigger)\""), Decision::Ignore),
            ("status", status("skipped", "\"Not yet tested (direct trigger)\""), Decision::Ignore),
            ("issues", issue("opened"), Decision::Queue),
            ("issues", issue("edited"), Decision::Queue),
            ("issues", issue("labeled"), Decision::Queue),
            ("issues", issue("closed"), Decision::Ignore),
            ("push", "{}".to_owned(), Decision::NotWanted),
            ("check_run", "no JSON".to_owned(), Decision::NotWanted),
        ];
        for (event, body, decision) in table {
            assert_eq!(decide(event, &body).unwrap(), decision, "{event} {body}");
        }
    }

    #[test]
    fn bodies_that_lack_what_is_needed_are_malformed() {
        for (event, body) in [
            ("pull_request", ""),
            ("pull_request", "payload=%7B%7D"),
            ("pull_request", "[\"opened\", {\"merged\": true}]"),
            ("pull_request", "{}"),
            ("pull_request", r#"{"action": "opened"}"#),
            ("pull_request", r#"{"action": 1, "pull_request": {}}"#),
            ("pull_request", r#"{"action": "closed", "pull_request": {}}"#),
            ("pull_request", r#"{"action": "opened", "pull_request": {}} x"#),
            ("status", r#"{"state": 1}"#),
            ("issues", r#"{"action": null}"#),
        ] {
            assert!(decide(event, body).is_err(), "{event} {body}");
        }
        let event = EventName::new("issues").unwrap();
        assert!(super::decide(&event, b"{\"action\": \"opened\", \"x\": \"\xff\"}").is_err());
    }

    #[test]
    fn deep_nesting_costs_nothing() {
        let deep = "[".repeat(10_000) + &"]".repeat(10_000);
        let body = format!(r#"{{"x": {deep}, "action": "opened"}}"#);
        assert_eq!(decide("issues", &body).unwrap(), Decision::Queue);
    }
}
