//! What may be put into which queue; all of it is known before a socket is opened.

use std::fmt;
use std::io::Read;

use bytes::Bytes;
use common::Chain;
use common::event::{Envelope, InvalidEvent};
use common::queue::{Holds, Queue};
use common::task::{InvalidTask, Task};

use crate::Failure;

/// The largest payload that a forge sends, and room for its envelope.
const LIMIT: u32 = 25 * 1024 * 1024 + 1024;

/// Why a body is not published; the problems one a line, each with the path to its place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Refusal {
    summary: String,
    problems: Vec<String>,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.summary)?;
        self.problems.iter().try_for_each(|it| write!(f, "\n  {it}"))
    }
}

impl Refusal {
    fn new(summary: &str) -> Self {
        Self { summary: format!("refused: {summary}"), problems: Vec::new() }
    }

    fn because(queue: Queue, expected: &str, problems: Vec<String>) -> Self {
        let summary = format!(
            "refused: not fit for `{queue}`, which holds {expected} (--raw publishes it all the same)"
        );
        Self { summary, problems }
    }
}

/// Reads a body without the white space at both its ends, and no more of it than is permitted.
pub fn read(input: impl Read) -> Result<Bytes, Failure> {
    let mut read = Vec::new();
    let mut input = input.take(u64::from(LIMIT) + 1);
    input.read_to_end(&mut read).map_err(Failure::machine("read the message from the standard input"))?;
    if read.len() > LIMIT as usize {
        let summary = format!("the message is larger than {LIMIT} bytes (25 MiB and room for an envelope)");
        return Err(Refusal::new(&summary).into());
    }
    let body = Bytes::from(read);
    Ok(body.slice_ref(trim(&body)))
}

fn trim(body: &[u8]) -> &[u8] {
    std::str::from_utf8(body).map_or_else(|_| body.trim_ascii(), |text| text.trim().as_bytes())
}

/// Whether the readers of a queue could make sense of a body.
pub fn check(body: &[u8], queue: Queue) -> Result<(), Refusal> {
    if body.is_empty() {
        return Err(Refusal::new("there is no message on the standard input"));
    }
    match queue.holds() {
        Holds::Tasks => check_task(body, queue).map_err(|it| Refusal::because(queue, "tasks", it)),
        Holds::Events => check_event(body).map_err(|it| Refusal::because(queue, "events", vec![it])),
        Holds::Anything => Ok(()),
    }
}

/// Workers ignore fields that they do not know; from an operator they are slips.
fn check_task(body: &[u8], queue: Queue) -> Result<(), Vec<String>> {
    let report = |it: InvalidTask| vec![Chain(&it).to_string()];
    let kind = Task::parse(body).map_err(report)?.kind;
    let unknown = Task::unknown_fields(body).map_err(report)?;
    let misplaced = (!kind.fits(queue)).then(|| {
        let fitting: Vec<_> =
            Queue::ALL.into_iter().filter(|it| kind.fits(*it)).map(|it| format!("`{it}`")).collect();
        format!("{}: belongs on {}", kind.name(), fitting.join(", "))
    });
    let unknown = unknown.iter().map(|path| format!("{path}: unknown field"));
    let problems: Vec<_> = misplaced.into_iter().chain(unknown).collect();
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}

fn check_event(body: &[u8]) -> Result<(), String> {
    let report = |it: InvalidEvent| match it {
        InvalidEvent::Name(_) => format!("event: {it}"),
        other => Chain(&other).to_string(),
    };
    Envelope::decode(body).and_then(|it| it.parse()).map(drop).map_err(report)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(body: &str, queue: Queue) -> String {
        check(body.as_bytes(), queue).unwrap_err().to_string()
    }

    #[test]
    fn white_space_at_both_ends_goes_and_none_within() {
        assert_eq!(read(&b"\n\t {\"a\": \"b  c\"}\r\n\n"[..]).unwrap(), "{\"a\": \"b  c\"}");
        assert_eq!(read("\u{a0}é\u{2003}".as_bytes()).unwrap(), "é");
        assert_eq!(read(&b" \xff \n"[..]).unwrap(), &b"\xff"[..]);
        assert!(read(&b" \n"[..]).unwrap().is_empty());
    }

    #[test]
    fn no_more_is_read_than_is_permitted() {
        let mut endless = std::io::repeat(b'x');
        let error = read(&mut endless).unwrap_err().to_string();
        assert!(error.contains("larger than 26215424 bytes"), "{error}");
        assert_eq!(read(endless.take(LIMIT.into())).unwrap().len(), LIMIT as usize);
    }

    #[test]
    fn queues_of_tasks_take_tasks() {
        for queue in [Queue::Public, Queue::Internal, Queue::Statistics] {
            for good in [
                r#"{"command": "true"}"#,
                r#"{"job": {"repo": "o/r"}, "human": "x"}"#,
                r#"{"command": ["a"]}"#,
            ] {
                assert_eq!(check(good.as_bytes(), queue), Ok(()), "{good}");
            }
            for bad in ["{}", "[]", "x", r#"{"event": "ping", "request": {}}"#] {
                assert!(check(bad.as_bytes(), queue).is_err(), "{bad}");
            }
        }
    }

    #[test]
    fn statistics_have_a_queue_of_their_own() {
        let body = r#"{"statistics": {"repo": "o/r", "sha": "abcdef"}}"#;
        assert_eq!(check(body.as_bytes(), Queue::Statistics), Ok(()));
        for queue in [Queue::Public, Queue::Internal] {
            let error = refused(body, queue);
            assert!(error.ends_with("\n  statistics: belongs on `statistics`"), "{error}");
        }
    }

    #[test]
    fn a_refusal_has_the_path_to_each_bad_field() {
        let error = refused(r#"{"job": {"repo": "o/r", "env": {"A": 1}}}"#, Queue::Public);
        let mut lines = error.lines();
        assert!(lines.next().unwrap().starts_with("refused: not fit for `public`, which holds tasks (--raw"));
        assert!(lines.next().unwrap().starts_with("  job.env.A: "), "{error}");
        let error = refused(
            r#"{"job": {"repo": "o/r", "contxt": 1, "command_subject": {"repo": "a/b", "x": 1}}, "x": 1}"#,
            Queue::Public,
        );
        let lines: Vec<_> = error.lines().skip(1).collect();
        assert_eq!(
            lines,
            ["  job.contxt: unknown field", "  job.command_subject.x: unknown field", "  x: unknown field"]
        );
    }

    #[test]
    fn the_webhook_queue_takes_events() {
        let check = |body: &str| check(body.as_bytes(), Queue::Webhook);
        assert_eq!(check(r#"{"event": "ping", "request": {"zen": "x"}}"#), Ok(()));
        assert!(check(r#"{"event": "issues", "request": {"action": "opened"}}"#).is_err());
        assert!(check(r#"{"event": "issues"}"#).unwrap_err().to_string().contains("missing field `request`"));
        assert!(check(r#"{"event": "a b", "request": {}}"#).unwrap_err().to_string().contains("\n  event: "));
        let error = check(r#"{"event": "status", "request": {"sha": 5}}"#).unwrap_err().to_string();
        assert!(error.contains("\n  status payload: sha: "), "{error}");
        assert!(check(r#"{"command": "true"}"#).is_err());
    }

    #[test]
    fn the_dead_queue_takes_anything_but_nothing() {
        assert_eq!(check(b"\xff", Queue::Dead), Ok(()));
        assert_eq!(refused("", Queue::Dead), "refused: there is no message on the standard input");
    }
}
