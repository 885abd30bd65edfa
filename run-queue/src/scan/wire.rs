//! Tasks as the old scanners write them: the same fields in the same order, so that the bodies of both generations can be compared.

use std::fmt::Write as _;
use std::io;

use common::id::{BranchName, ForgeName};
use common::task::{EnvName, EnvValue, Issue, Job, Kind, Subject, Task};
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use serde_json::ser::{Formatter, PrettyFormatter};

/// The order of the variables of a job.
const VARIABLES: [&str; 6] =
    ["TEST_OS", "TEST_REVISION", "TEST_SCENARIO", "COCKPIT_BOTS_REF", "BASE_BRANCH", "TEST_PULL"];

/// The body of a task's message.
pub(super) fn body(task: &Task) -> String {
    match &task.kind {
        Kind::Job(job) => json(&Entry { job: Written::of(job), human: task.human.as_deref() }, OneLine),
        Kind::Command(_) | Kind::Statistics(_) => task.to_json(),
    }
}

/// A job as `tests-scan` prints it: indented by four, ASCII.
pub(super) fn indented(job: &Job) -> String {
    json(&Written::of(job), PrettyFormatter::with_indent(b"    "))
}

#[derive(Serialize)]
struct Entry<'a> {
    job: Written<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    human: Option<&'a str>,
}

/// The fields of one scanner or the other. What they would leave out of a job, ours never set.
enum Written<'a> {
    Tests(&'a Job),
    Issue(&'a Job),
}

impl<'a> Written<'a> {
    /// Only items of check lists bring a command of their own.
    const fn of(job: &'a Job) -> Self {
        if job.command.is_none() { Self::Tests(job) } else { Self::Issue(job) }
    }
}

impl Serialize for Written<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(None)?;
        match self {
            Self::Tests(job) => {
                let Job { repo, sha, context, pull, report, command_subject, slug, env, secrets, .. } = job;
                map.serialize_entry("repo", repo)?;
                map.serialize_entry("sha", sha)?;
                map.serialize_entry("context", context)?;
                map.serialize_entry("pull", pull)?;
                map.serialize_entry("report", &report.as_ref().map(Report))?;
                map.serialize_entry("command_subject", &command_subject.as_ref().map(Other::of))?;
                map.serialize_entry("slug", slug)?;
                map.serialize_entry("env", &Variables(env.iter().collect()))?;
                map.serialize_entry("secrets", secrets)?;
            }
            Self::Issue(job) => {
                let Job { repo, sha, pull, slug, context, command, secrets, .. } = job;
                map.serialize_entry("repo", repo)?;
                map.serialize_entry("sha", sha)?;
                map.serialize_entry("pull", pull)?;
                map.serialize_entry("slug", slug)?;
                map.serialize_entry("context", context)?;
                map.serialize_entry("command", command)?;
                map.serialize_entry("secrets", secrets)?;
            }
        }
        map.end()
    }
}

/// An issue, its title first.
struct Report<'a>(&'a Issue);

impl Serialize for Report<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut fields: Vec<_> = self.0.iter().collect();
        fields.sort_by_key(|(name, _)| *name != "title");
        to.collect_map(fields)
    }
}

/// Where the command comes from; an empty text is the default forge.
#[derive(Serialize)]
struct Other<'a> {
    forge: &'a str,
    repo: &'a str,
    branch: Option<&'a str>,
}

impl<'a> Other<'a> {
    fn of(subject: &'a Subject) -> Self {
        Self {
            forge: subject.forge.as_ref().map_or("", ForgeName::as_str),
            repo: subject.repo.as_str(),
            branch: subject.branch.as_ref().map(BranchName::as_str),
        }
    }
}

struct Variables<'a>(Vec<(&'a EnvName, &'a EnvValue)>);

impl Serialize for Variables<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let place = |name: &EnvName| VARIABLES.iter().position(|it| *it == name.as_str());
        let mut variables = self.0.clone();
        variables.sort_by_key(|(name, _)| place(name).unwrap_or(VARIABLES.len()));
        to.collect_map(variables.into_iter().map(|(name, value)| (name.as_str(), value.as_str())))
    }
}

fn json(value: &impl Serialize, formatter: impl Formatter) -> String {
    let mut bytes = Vec::new();
    // Texts, lists and maps with keys of text: there is nothing that JSON could not say.
    let written = value.serialize(&mut serde_json::Serializer::with_formatter(&mut bytes, formatter));
    if let Err(error) = written {
        tracing::error!(%error, "a job that cannot be written");
    }
    ascii(&String::from_utf8_lossy(&bytes))
}

/// Outside of texts JSON is ASCII anyway.
fn ascii(json: &str) -> String {
    let mut escaped = String::with_capacity(json.len());
    for c in json.chars() {
        if c.is_ascii() && c != '\x7f' {
            escaped.push(c);
        } else {
            for unit in c.encode_utf16(&mut [0; 2]) {
                // A text takes all that is written to it.
                let _ = write!(escaped, "\\u{unit:04x}");
            }
        }
    }
    escaped
}

/// One line with a space behind commas and colons.
struct OneLine;

impl Formatter for OneLine {
    fn begin_array_value<W: ?Sized + io::Write>(&mut self, to: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { to.write_all(b", ") }
    }

    fn begin_object_key<W: ?Sized + io::Write>(&mut self, to: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { to.write_all(b", ") }
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, to: &mut W) -> io::Result<()> {
        to.write_all(b": ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(body: &str) -> Task {
        Task::parse(body.as_bytes()).unwrap()
    }

    #[test]
    fn a_job_is_printed_as_the_old_scanner_prints_it() {
        let task = task(
            r#"{"job": {"repo": "o/r", "sha": "abcdef", "context": "fédora/\"x\"@o/x", "slug": "s", "secrets": [],
                "env": {"BASE_BRANCH": "main", "TEST_OS": "fédora", "TEST_SCENARIO": "\ud83d\ude00", "TEST_REVISION": "abcdef"},
                "report": {"labels": ["nightly"], "title": "t"}, "command_subject": {"forge": null, "repo": "o/x", "branch": "main"}}}"#,
        );
        let Kind::Job(job) = &task.kind else { panic!("{task:?}") };
        let expected = r#"{
    "repo": "o/r",
    "sha": "abcdef",
    "context": "f\u00e9dora/\"x\"@o/x",
    "pull": null,
    "report": {
        "title": "t",
        "labels": [
            "nightly"
        ]
    },
    "command_subject": {
        "forge": "",
        "repo": "o/x",
        "branch": "main"
    },
    "slug": "s",
    "env": {
        "TEST_OS": "f\u00e9dora",
        "TEST_REVISION": "abcdef",
        "TEST_SCENARIO": "\ud83d\ude00",
        "BASE_BRANCH": "main"
    },
    "secrets": []
}"#;
        assert_eq!(indented(job), expected);
    }

    #[test]
    fn a_body_means_what_it_meant() {
        for golden in [
            include_str!("../../../common/golden/job-scan-1.json"),
            include_str!("../../../common/golden/command-shell-1.json"),
            include_str!("../../../common/golden/statistics-1.json"),
        ] {
            let task = task(golden);
            let value = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
            assert_eq!(value(&body(&task)), value(golden));
        }
    }

    #[test]
    fn an_item_is_one_line_with_the_fields_of_the_old_scanner() {
        let line = r#"{"job": {"repo": "o/bots", "sha": "abcdef", "pull": null, "slug": "s", "context": "image-refresh/x", "command": ["./image-refresh", "x"], "secrets": ["github-token", "image-upload"]}, "human": "issue-7 image-refresh x main"}"#;
        assert_eq!(body(&task(line)), line);
    }
}
