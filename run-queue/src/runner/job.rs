//! The job, from the command line.

use common::Chain;
use common::id::ImageRef;
use common::task::{Job, Kind, Minutes, Task};
use serde_json::Value;

use super::options::{RunArgs, What};
use super::{JobRunner, Refused};

impl JobRunner {
    /// The job that was asked for.
    pub(super) fn job(&self) -> Result<Job, Refused> {
        match &self.what {
            Some(What::Run(arguments)) => Ok(arguments.job()),
            Some(What::Json { job }) => from_json(job).map_err(|it| Refused::Usage(format!("json: {it}"))),
            None => Err(Refused::Usage("which job? Say so by `run` or `json`; see --help".to_owned())),
        }
    }
}

impl RunArgs {
    fn job(&self) -> Job {
        let Self { repo, forge, pull, sha, branch, context, target, report, .. } = self;
        let Self { slug, title, container, env, timeout, secrets, command, .. } = self;
        Job {
            repo: repo.clone(),
            forge: forge.clone(),
            sha: sha.clone(),
            pull: *pull,
            branch: branch.clone(),
            target: target.clone(),
            context: context.clone(),
            slug: slug.clone(),
            title: title.clone(),
            container: container.as_ref().map(ToString::to_string),
            command: (!command.is_empty()).then(|| command.clone()),
            command_subject: None,
            env: env.iter().cloned().collect(),
            secrets: secrets.clone(),
            timeout: Minutes(*timeout),
            report: report.clone(),
        }
    }
}

/// The fields of a job, or a whole message.
fn from_json(text: &str) -> Result<Job, String> {
    let value: Value = serde_json::from_str(text).map_err(|it| it.to_string())?;
    let is_message = value.get("job").is_some();
    let message = if is_message { value } else { serde_json::json!({ "job": value }) }.to_string();
    let task = Task::parse(message.as_bytes()).map_err(|it| Chain(&it).to_string())?;
    let Kind::Job(job) = task.kind else { return Err("expected a job".to_owned()) };
    if let Some(image) = &job.container {
        ImageRef::new(image.trim()).map_err(|it| format!("job.container: {it}"))?;
    }
    for field in Task::unknown_fields(message.as_bytes()).unwrap_or_default() {
        tracing::warn!(field, "means nothing to us and is passed over");
    }
    Ok(*job)
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    fn job(words: &[&str]) -> Result<Job, String> {
        let words = ["job-runner"].iter().chain(words);
        JobRunner::try_parse_from(words).map_err(|it| it.to_string())?.job().map_err(|it| it.to_string())
    }

    fn of_message(json: &str) -> Job {
        match Task::parse(json.as_bytes()).unwrap().kind {
            Kind::Job(job) => *job,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_option_is_a_field_of_the_job() {
        let words = [
            "run",
            "o/r",
            "--forge",
            "hub",
            "--pull",
            "5",
            "--sha",
            "abcdef0",
            "--branch",
            "b",
            "--context",
            "c/d",
            "--target",
            "t",
            "--report",
            r#"{"title": "T"}"#,
            "--slug",
            "s/l",
            "--title",
            "my job",
            "--container",
            "quay.io/i:t",
            "--env",
            "A=1=2",
            "--env",
            "B=",
            "--timeout",
            "0",
            "--secret",
            "x",
            "--secret",
            "y",
            "ls",
            "-la",
            "--pull",
            "9",
            "--",
            "-",
        ];
        let expected = of_message(
            r#"{"job": {"repo": "o/r", "forge": "hub", "pull": 5, "sha": "abcdef0", "branch": "b", "context": "c/d",
                "target": "t", "report": {"title": "T"}, "slug": "s/l", "title": "my job", "container": "quay.io/i:t",
                "env": {"A": "1=2", "B": ""}, "timeout": 0, "secrets": ["x", "y"],
                "command": ["ls", "-la", "--pull", "9", "--", "-"]}}"#,
        );
        assert_eq!(job(&words).unwrap(), expected);
        assert_eq!(job(&["run", "o/r"]).unwrap(), of_message(r#"{"job": {"repo": "o/r"}}"#));
        let after_dashes = job(&["run", "o/r", "--pull", "5", "--", "--version", "x"]).unwrap();
        assert_eq!(after_dashes.command.unwrap(), ["--version", "x"]);
    }

    #[test]
    fn a_job_may_come_with_its_message() {
        let fields = r#"{"repo": "o/r", "pull": 3, "command": ["true"], "newer": 1}"#;
        let whole = format!(r#"{{"job": {fields}, "human": "pull-3"}}"#);
        assert_eq!(job(&["json", fields]).unwrap(), job(&["json", &whole]).unwrap());
        assert_eq!(job(&["json", fields]).unwrap().pull.unwrap().get(), 3);
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        for (words, expected) in [
            (&["run"][..], "OWNER/NAME"),
            (&["run", "nothing"], "'nothing' for '<OWNER/NAME>'"),
            (&["run", "o/r", "--pull", "x"], "--pull"),
            (&["run", "o/r", "--pull", "0"], "--pull"),
            (&["run", "o/r", "--pul", "5"], "--pul"),
            (&["run", "o/r", "--sha", "--privileged"], "--privileged"),
            (&["run", "o/r", "--sha", "xyz"], "--sha"),
            (&["run", "o/r", "--env", "A"], "expected NAME=VALUE"),
            (&["run", "o/r", "--env", "1=x"], "expected a variable's name"),
            (&["run", "o/r", "--report", "[]"], "expected a JSON object"),
            (&["run", "o/r", "--container=--privileged"], "--container"),
            (&["run", "o/r", "--container", "a b"], "--container"),
            (&["run", "o/r", "--timeout", "-1"], "-1"),
            (&["run", "o/r", "--slug", "../up"], "--slug"),
            (&["json", "{"], "json: EOF"),
            (&["json", "[]"], "json: job: expected an object"),
            (&["json", "{}"], "missing field `repo`"),
            (&["json", r#"{"job": {"repo": "o/r", "pull": "x"}}"#], "job.pull"),
            (&["json", r#"{"job": {"repo": "o/r"}, "command": "x"}"#], "more than one kind"),
            (&["json", r#"{"repo": "o/r", "container": "a b"}"#], "job.container"),
            (&[], "which job?"),
        ] {
            let said = job(words).unwrap_err();
            assert!(said.contains(expected), "{words:?}: {said}");
        }
    }
}
