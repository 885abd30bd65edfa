//! What is told of a command that failed: a mail to people.

use std::fmt::Write;

use common::broker::Headers;
use common::queue::Queue;
use common::task::Command;
use lettre::Message;
use lettre::message::header::{ContentTransferEncoding, ContentType, HeaderName, HeaderValue};
use lettre::message::{Body, Mailbox, SinglePart};

use super::output::LastLines;
use super::process::Ended;

/// A command may be as large as a message.
const COMMAND: usize = 4000;

/// A command that failed.
pub(super) struct Notice<'a> {
    pub(super) command: &'a Command,
    pub(super) ended: Ended,
    pub(super) output: LastLines,
    pub(super) queue: Queue,
    pub(super) headers: &'a Headers,
    pub(super) host: &'a str,
}

impl Notice<'_> {
    /// The mail. Its headers hold nothing that a command or its output says.
    pub(super) fn mail(&self, from: &Mailbox, to: &[Mailbox]) -> Result<Message, lettre::error::Error> {
        let subject = format!("run-queue on {}: a command failed with {}", self.host, self.ended);
        // The same each time that the task is told of, as the server may have taken the one before: mail programs show one.
        letter(self.headers.id.as_str(), subject, self.text(), from, to)
    }

    fn text(&self) -> String {
        let Self { command, ended, output, queue, headers, host } = self;
        let mut text = format!(
            "The queue command\n\n{}\n\nfailed with {ended} on {host}.\n\nqueue: {queue}\ntask: {}\nattempt: {}\n",
            indented(&shown(command)),
            headers.id,
            headers.attempt,
        );
        // Writing into a String does not fail.
        let _ = match (output.text.is_empty(), output.cut) {
            (true, _) => write!(text, "\nIt said nothing.\n"),
            (false, false) => write!(text, "\nIt said:\n\n{}\n", indented(&output.text)),
            (false, true) => {
                write!(
                    text,
                    "\nThe last that it said (the worker's log has all):\n\n{}\n",
                    indented(&output.text)
                )
            }
        };
        text
    }
}

/// A mail of a program's, with this name among all mails. The subject holds nothing that others say.
pub(crate) fn letter(
    name: &str,
    subject: String,
    text: String,
    from: &Mailbox,
    to: &[Mailbox],
) -> Result<Message, lettre::error::Error> {
    let auto = HeaderName::new_from_ascii_str("Auto-Submitted");
    let domain = from.email.domain();
    let mut mail = Message::builder()
        .from(from.clone())
        .subject(subject)
        .message_id(Some(format!("<{name}@{domain}>")))
        // Nobody is to be told that somebody is on holiday (RFC 3834).
        .raw_header(HeaderValue::new(auto, "auto-generated".to_owned()));
    for to in to {
        mail = mail.to(to.clone());
    }
    // Fit for every server: ASCII, short lines, and nothing that a line's beginning could mean.
    let quoted = ContentTransferEncoding::QuotedPrintable;
    let body = Body::new_with_encoding(text, quoted).unwrap_or_else(Body::new);
    mail.singlepart(SinglePart::builder().header(ContentType::TEXT_PLAIN).body(body))
}

/// As it is in the message; words as a list, so that it can be seen where one ends.
fn shown(command: &Command) -> String {
    let text = match command {
        Command::Shell(text) => text.clone(),
        Command::Words(words) => serde_json::Value::from(words.as_slice()).to_string(),
    };
    match text.char_indices().nth(COMMAND) {
        None => text,
        Some((end, _)) => format!("{}… (cut)", text.get(..end).unwrap_or_default()),
    }
}

/// Each line a little further in, with pictures for what terminals and mail programs obey.
pub(crate) fn indented(text: &str) -> String {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let lines = text.split('\n').map(|line| format!("  {}", line.chars().map(harmless).collect::<String>()));
    lines.collect::<Vec<_>>().join("\n")
}

fn harmless(letter: char) -> char {
    match letter {
        '\t' => '\t',
        '\0'..='\u{1f}' => char::from_u32(0x2400 + u32::from(letter)).unwrap_or('\u{fffd}'),
        '\u{7f}' => '\u{2421}',
        other if other.is_control() => '\u{fffd}',
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::super::output::Tail;
    use super::*;

    fn mail(command: &Command, output: &[u8]) -> String {
        let (headers, ended) = (Headers::fresh(), Ended::OutOfTime);
        let output = Tail::of(output).last_lines();
        let notice =
            Notice { command, ended, output, queue: Queue::Public, headers: &headers, host: "w\r\nX: y" };
        let to = ["a@example.com".parse().unwrap(), "b@example.org".parse().unwrap()];
        let mail = notice.mail(&"bot@example.com".parse().unwrap(), &to).unwrap();
        String::from_utf8(mail.formatted()).unwrap()
    }

    #[test]
    fn nothing_that_a_command_says_becomes_a_header() {
        let command = Command::Shell("true\r\nBcc: x@example.com\r\n\r\n.\r\nQUIT\n".to_owned());
        let mail = mail(&command, b"Subject: x\n.\r\n..\n\r\nFrom me\n");
        let (headers, body) = mail.split_once("\r\n\r\n").unwrap();
        let names: Vec<_> = headers
            .lines()
            .filter(|it| !it.starts_with(' '))
            .map(|it| it.split(':').next().unwrap())
            .collect();
        let mut sorted = names.clone();
        sorted.sort_unstable();
        let expected = [
            "Auto-Submitted",
            "Content-Transfer-Encoding",
            "Content-Type",
            "Date",
            "From",
            "MIME-Version",
            "Message-ID",
            "Subject",
            "To",
        ];
        assert_eq!(sorted, expected, "{headers}");
        assert!(body.contains("\r\n  Bcc: x@example.com\r\n") && body.contains("\r\n  .\r\n"), "{body}");
    }

    #[test]
    fn every_server_takes_it() {
        let long = "ü".repeat(3000);
        let mut output = b"\x00\x1b[31mred\xff\r10%\r20%\x07\n".to_vec();
        output.extend(long.as_bytes());
        let mail = mail(&Command::Words(vec!["a b".to_owned(), "c\"\n".to_owned()]), &output);
        assert!(mail.is_ascii() && !mail.contains('\0') && !mail.contains('\x1b'), "{mail}");
        assert!(mail.lines().all(|it| it.len() < 200));
        assert!(mail.contains("  [\"a b\",\"c\\\"\\n\"]"), "{mail}");
        assert!(indented("\0\u{1b}[m\t\u{85}\u{7f}") == "  ␀␛[m\t\u{fffd}␡");
    }

    #[test]
    fn a_huge_command_is_cut() {
        let mail = mail(&Command::Shell("x".repeat(1_000_000)), b"");
        assert!(
            mail.len() < 3 * COMMAND && mail.contains("(cut)") && mail.contains("It said nothing."),
            "{mail}"
        );
    }
}
