//! `{"statistics": …}`: the results of a merged pull request, for the results database.

use serde::{Deserialize, Serialize};

use super::job::empty_is_none;
use crate::id::{CommitSha, ForgeName, RepoName};

/// Store the results of a merged pull's head commit and publish the metrics. Ours: a scanner of existing deployments writes a
/// [`super::Command`] for that, with the programs of the worker's folder in it; which programs do it is the worker's business here.
///
/// Belongs on [`crate::queue::Queue::Statistics`] and nowhere else, since the database has one writer at a time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statistics {
    /// Which forge `repo` is on; none: the configured default.
    #[serde(default, deserialize_with = "empty_is_none")]
    pub forge: Option<ForgeName>,
    /// The repository.
    pub repo: RepoName,
    /// The commit whose statuses tell what ran: the head of the pull, as it was when it was merged.
    pub sha: CommitSha,
}

#[cfg(test)]
mod tests {
    use super::super::{Kind, Task};
    use super::*;

    #[test]
    fn it_goes_both_ways_as_the_golden_files_say() {
        for (golden, forge, human) in [
            (
                include_str!("../../golden/statistics-1.json"),
                None,
                Some("statistics of o/r at 0123456789ab".to_owned()),
            ),
            (
                include_str!("../../golden/statistics-forge-1.json"),
                Some(ForgeName::new("codeberg").unwrap()),
                None,
            ),
        ] {
            let task = Task::parse(golden.as_bytes()).unwrap();
            let expected = Statistics {
                forge,
                repo: RepoName::new("o/r").unwrap(),
                sha: CommitSha::new("0123456789abcdef0123456789abcdef01234567").unwrap(),
            };
            assert_eq!(task, Task { kind: Kind::Statistics(expected), human });
            assert_eq!(task.to_json(), golden.trim());
            assert!(Task::unknown_fields(golden.as_bytes()).unwrap().is_empty());
        }
    }

    #[test]
    fn a_forge_that_is_not_named_is_the_default_one() {
        for forge in ["", r#""forge": null, "#, r#""forge": "", "#] {
            let body = format!(r#"{{"statistics": {{{forge}"repo": "o/r", "sha": "abcdef"}}}}"#);
            let Kind::Statistics(statistics) = Task::parse(body.as_bytes()).unwrap().kind else {
                panic!("{body}")
            };
            assert_eq!(statistics.forge, None, "{body}");
        }
    }

    #[test]
    fn what_names_no_commit_is_refused() {
        for statistics in [
            "null",
            "[]",
            r#"["", "o/r", "abcdef"]"#,
            r#""o/r""#,
            "{}",
            r#"{"repo": "o/r"}"#,
            r#"{"repo": "o/r", "sha": null}"#,
            r#"{"repo": "o/r", "sha": "main"}"#,
            r#"{"repo": "-o/r", "sha": "abcdef"}"#,
            r#"{"forge": "a b", "repo": "o/r", "sha": "abcdef"}"#,
        ] {
            let body = format!(r#"{{"statistics": {statistics}}}"#);
            assert!(Task::parse(body.as_bytes()).is_err(), "{body}");
        }
    }
}
