//! A merged pull: its results go into the database.

use common::event::PullRequestEvent;
use common::queue::{Priority, Queue};
use common::task::{Command, Kind, Statistics, Task};

use super::template::{InvalidTemplate, Template};
use super::{Found, ScanSettings};

/// What stands for the repository and the commit; both are of grammars that a shell takes for plain words.
const PLACEHOLDERS: [&str; 2] = ["repo", "sha"];

/// Reads `scan.merged-pull-command`.
pub(super) fn command(text: &str) -> Result<Template, InvalidTemplate> {
    Template::parse(text, &PLACEHOLDERS)
}

/// The task: the configured command, else our own kind of task.
pub(super) fn found(settings: &ScanSettings, event: &PullRequestEvent) -> Found {
    let (repo, sha) = (event.repo(), &event.pull_request.head.sha);
    let task = match &settings.merged_pull_command {
        Some(command) => {
            let text = command.fill(&[("repo", repo.as_str()), ("sha", sha.as_str())]);
            Task { kind: Kind::Command(Command::Shell(text)), human: None }
        }
        None => Task {
            kind: Kind::Statistics(Statistics { forge: None, repo: repo.clone(), sha: sha.clone() }),
            human: Some(format!("statistics of {repo} at {}", sha.short(12))),
        },
    };
    Found { task, queue: Queue::Statistics, priority: Priority::HIGH, key: None }
}

#[cfg(test)]
mod tests {
    use common::event::{Envelope, Event};

    use super::*;

    fn body(settings: &ScanSettings) -> String {
        let event = r#"{"event": "pull_request", "request": {"action": "closed", "repository": {"full_name": "o/r"},
            "pull_request": {"number": 1, "state": "closed", "merged": true, "head": {"sha": "0123456789abcdef"}, "base": {"ref": "main"}}}}"#;
        let Event::PullRequest(event) = Envelope::decode(event.as_bytes()).unwrap().parse().unwrap() else {
            panic!("{event}")
        };
        let found = found(settings, &event);
        assert_eq!((found.queue, found.priority), (Queue::Statistics, Priority::HIGH));
        super::super::wire::body(&found.task)
    }

    #[test]
    fn a_merged_pull_is_a_task_of_ours_or_the_configured_command() {
        let own = r#"{"human":"statistics of o/r at 0123456789ab","statistics":{"forge":null,"repo":"o/r","sha":"0123456789abcdef"}}"#;
        assert_eq!(body(&ScanSettings::default()), own);
        let text = "./store-tests --db d --repo %{repo} %{sha} && ./prometheus-stats --db d";
        let settings =
            ScanSettings { merged_pull_command: Some(command(text).unwrap()), ..ScanSettings::default() };
        assert_eq!(
            body(&settings),
            r#"{"command":"./store-tests --db d --repo o/r 0123456789abcdef && ./prometheus-stats --db d"}"#
        );
    }
}
