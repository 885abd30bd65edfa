//! A message as a line of text.

use std::borrow::Cow;
use std::fmt::{self, Display};

use serde::Deserialize;

use super::OneLine;
use super::epitaph::Epitaph;
use crate::broker::Received;
use crate::queue::Holds;

/// What is shown of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Show {
    /// All of it; of one in `dead`, a JSON object with all that is known of it.
    Message,
    /// Its field `human`; all of it where it has none.
    Human,
}

/// A message on its way to a reader.
#[derive(Clone, Debug)]
pub struct Entry<'a> {
    dead: Option<Epitaph<'a>>,
    body: &'a [u8],
    show: Show,
}

impl<'a> Entry<'a> {
    /// Of a message; only what lies in `dead` has a story, other queues look as they do in older programs.
    #[must_use]
    pub fn new(received: &'a Received, show: Show) -> Self {
        let dead = (received.queue().holds() == Holds::Anything).then(|| Epitaph::of(received));
        Self { dead, body: received.body(), show }
    }

    /// Of a message that waits to come back to its queue.
    #[must_use]
    pub(super) const fn waiting(body: &'a [u8], show: Show) -> Self {
        Self { dead: None, body, show }
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
        match (&self.dead, self.show) {
            (Some(dead), Show::Message) => {
                return write!(f, "{}", OneLine(&dead.json(self.body).map_err(|_| fmt::Error)?));
            }
            (Some(dead), Show::Human) => write!(f, "[{}] ", OneLine(&dead.to_string()))?,
            (None, _) => {}
        }
        write!(f, "{}", OneLine(self.text().trim()))
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
        Entry { dead: None, body, show }.to_string()
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
}
