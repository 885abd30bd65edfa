//! A message as a line of text.

use std::borrow::Cow;
use std::fmt::{self, Display};

use serde::Deserialize;

use super::OneLine;
use crate::broker::{Burial, Received};
use crate::id::{Attempt, TaskId};
use crate::queue::Holds;

/// What is shown of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Show {
    /// All of it.
    Message,
    /// Its field `human`; all of it where it has none.
    Human,
}

/// A message on its way to a reader.
#[derive(Clone, Debug)]
pub struct Entry<'a> {
    story: Option<Story<'a>>,
    body: &'a [u8],
    show: Show,
}

/// What is said of a message in `dead`, before it: which one it is, where it comes from and why it is there.
#[derive(Clone, Debug)]
struct Story<'a> {
    id: &'a TaskId,
    attempt: Attempt,
    burial: Option<Burial>,
}

impl<'a> Entry<'a> {
    /// Of a message; only what lies in `dead` has a story, other queues look as they do in older programs.
    #[must_use]
    pub fn new(received: &'a Received, show: Show) -> Self {
        let headers = received.headers();
        let story = (received.queue().holds() == Holds::Anything).then(|| Story {
            id: &headers.id,
            attempt: headers.attempt,
            burial: received.burial(),
        });
        Self { story, body: received.body(), show }
    }

    /// Its line is no shorter than this, in bytes.
    pub(super) fn least_bytes(&self) -> usize {
        match self.show {
            // White space goes at both ends, and after each line break.
            Show::Message => self.body.iter().filter(|it| !it.is_ascii_whitespace()).count(),
            Show::Human => 0,
        }
    }

    fn text(&self) -> Cow<'a, str> {
        let human = if self.show == Show::Human { human(self.body) } else { None };
        human.unwrap_or_else(|| String::from_utf8_lossy(self.body))
    }
}

impl Display for Entry<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(story) = &self.story {
            write!(f, "[{}] ", OneLine(&story.to_string()))?;
        }
        write!(f, "{}", OneLine(self.text().trim()))
    }
}

impl Display for Story<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, attempt, burial } = self;
        write!(f, "{id}")?;
        if let Some(from) = burial.as_ref().and_then(|it| it.from.as_ref()) {
            write!(f, " from {from}")?;
        }
        let reason = burial.as_ref().map_or("no reason given", |it| it.reason.as_str());
        write!(f, ", attempt {attempt}: {reason}")
    }
}

/// The line for people that a message brings, if it does.
fn human(body: &[u8]) -> Option<Cow<'_, str>> {
    #[derive(Deserialize)]
    struct Wire<'a> {
        #[serde(borrow)]
        human: Cow<'a, str>,
    }
    let is_object = body.trim_ascii_start().starts_with(b"{");
    let wire: Wire<'_> = is_object.then(|| serde_json::from_slice(body).ok()).flatten()?;
    (!wire.human.trim().is_empty()).then_some(wire.human)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(body: &[u8], show: Show) -> String {
        Entry { story: None, body, show }.to_string()
    }

    #[test]
    fn a_message_is_shown_as_it_is() {
        let body = br#"{"job": {"repo": "o/r"}, "human": "pull-1  x"}"#;
        assert_eq!(shown(body, Show::Message).as_bytes(), body);
    }

    #[test]
    fn a_message_is_one_line_whatever_it_is() {
        assert_eq!(shown(b"\n{\n}\n", Show::Message), "{ }");
        assert_eq!(shown(b"\xff\xfe\x1b", Show::Message), "\u{fffd}\u{fffd}\\u001b");
        assert_eq!(shown(b"", Show::Message), "");
    }

    #[test]
    fn people_read_the_field_for_people() {
        let human = |body: &str| shown(body.as_bytes(), Show::Human);
        assert_eq!(human(r#"{"job": {}, "human": "pull-1   fedora"}"#), "pull-1   fedora");
        assert_eq!(human(r#"{"human": "a\u001b[0m\nb \u00e9", "command": "x"}"#), "a\\u001b[0m b é");
        for without in [r#"{"job": {"human": "x"}}"#, r#"{"human": 1}"#, r#"{"human": ""}"#, r#"["x"]"#, "x"]
        {
            assert_eq!(human(without), without);
        }
    }

    #[test]
    fn deep_nesting_does_no_harm() {
        let deep = format!(r#"{{"x": {}1{}, "human": "y"}}"#, "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(shown(deep.as_bytes(), Show::Human), "y");
    }

    #[test]
    fn the_dead_tell_their_story() {
        let id = TaskId::new("0193ae5c").unwrap();
        let attempt = Attempt::FIRST.next();
        let burial = Burial { reason: "not a\nJSON object".to_owned(), from: Some("rhel".to_owned()) };
        let story = |burial| Some(Story { id: &id, attempt, burial });
        let entry = Entry { story: story(Some(burial)), body: b"x", show: Show::Human };
        assert_eq!(entry.to_string(), "[0193ae5c from rhel, attempt 2: not a JSON object] x");
        let entry = Entry { story: story(None), ..entry };
        assert_eq!(entry.to_string(), "[0193ae5c, attempt 2: no reason given] x");
    }
}
