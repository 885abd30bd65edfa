//! `{"command": …}`: a command on the worker itself.

use serde::{Deserialize, Serialize};

/// A command that the worker runs in its own environment and folder, with its own rights.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Wire", into = "Wire")]
pub enum Command {
    /// A text for `sh -c`.
    Shell(String),
    /// A program and its arguments, run without a shell. Never empty.
    Words(Vec<String>),
}

/// Both forms of the wire; the only place where an untagged enum is worth its poor errors, which `try_from` mends.
#[derive(Serialize, Deserialize)]
#[serde(untagged, expecting = "expected a text for `sh -c` or a list of words")]
enum Wire {
    Shell(String),
    Words(Vec<String>),
}

const NUL: &str = "expected a command without NUL characters";

impl TryFrom<Wire> for Command {
    type Error = &'static str;

    fn try_from(wire: Wire) -> Result<Self, Self::Error> {
        let empty = match &wire {
            Wire::Shell(text) => text.trim().is_empty(),
            Wire::Words(words) => words.first().is_none_or(String::is_empty),
        };
        match wire {
            _ if empty => Err("expected a command, found none"),
            Wire::Shell(text) if text.contains('\0') => Err(NUL),
            Wire::Words(words) if words.iter().any(|it| it.contains('\0')) => Err(NUL),
            Wire::Shell(text) => Ok(Self::Shell(text)),
            Wire::Words(words) => Ok(Self::Words(words)),
        }
    }
}

impl From<Command> for Wire {
    fn from(command: Command) -> Self {
        match command {
            Command::Shell(text) => Self::Shell(text),
            Command::Words(words) => Self::Words(words),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Kind, Task};
    use super::*;

    #[test]
    fn both_forms_go_both_ways_as_the_golden_files_say() {
        for (golden, command) in [
            (
                include_str!("../../golden/command-shell-1.json"),
                Command::Shell("./store-tests --repo o/r && ./prometheus-stats".into()),
            ),
            (
                include_str!("../../golden/command-words-1.json"),
                Command::Words(vec!["./image-prune".into(), "-s".into()]),
            ),
        ] {
            let task = Task::parse(golden.as_bytes()).unwrap();
            assert_eq!(task.kind, Kind::Command(command));
            assert_eq!(task.to_json(), golden.trim());
        }
    }

    #[test]
    fn commands_that_cannot_run_are_refused() {
        for body in [
            r#"{"command": ""}"#,
            r#"{"command": " "}"#,
            r#"{"command": []}"#,
            r#"{"command": [""]}"#,
            r#"{"command": "a\u0000"}"#,
            r#"{"command": null}"#,
        ] {
            assert!(Task::parse(body.as_bytes()).is_err(), "{body}");
        }
    }
}
