//! Whose a container is, as its labels say.

use std::path::{Path, PathBuf};

use common::id::{Attempt, TaskId};
use serde::Deserialize;

use super::engine::Engine;
use super::error::EngineError;

const TASK: &str = "flotilla.task";
const ATTEMPT: &str = "flotilla.attempt";
const WORKER: &str = "flotilla.worker";
const OUTPUT: &str = "flotilla.output";

/// Whose a container is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The task that it runs.
    pub task: TaskId,
    /// The try at the task.
    pub attempt: Attempt,
    /// The machine of the worker that started it.
    pub worker: String,
}

/// A container that some worker of this machine has started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its name.
    pub name: String,
    /// Whose it is.
    pub owner: Owner,
    /// Whether it runs; the engine's list does not say more.
    pub runs: bool,
    /// The file of its output, where its engine is on this machine.
    pub(super) output: Option<PathBuf>,
}

impl Owner {
    /// A name that no other container has, now or later: a delivery that comes twice is two attempts with one number.
    pub(super) fn container_name(&self) -> String {
        format!("{}{:08x}", name_begins(&self.task, self.attempt), fastrand::u32(..))
    }

    pub(super) fn labels(&self) -> [String; 3] {
        let Self { task, attempt, worker } = self;
        [(TASK, task.to_string()), (ATTEMPT, attempt.to_string()), (WORKER, worker.clone())].map(label)
    }
}

fn name_begins(task: &TaskId, attempt: Attempt) -> String {
    format!("flotilla-{task}-{attempt}-")
}

/// Removes the folder for the output of a container that is gone, or never came to be.
pub(in super::super) fn remove_output(spool: &Path, task: &TaskId, attempt: Attempt) {
    let begins = name_begins(task, attempt);
    let is_ours = |name: &str| {
        let random = name.strip_prefix(&begins);
        random.is_some_and(|it| it.len() == 8 && it.bytes().all(|it| it.is_ascii_hexdigit()))
    };
    for entry in std::fs::read_dir(spool).into_iter().flatten().flatten() {
        if entry.file_name().to_str().is_some_and(is_ours)
            && let Err(error) = std::fs::remove_dir_all(entry.path())
        {
            tracing::warn!(%error, folder = %entry.path().display(), "the output of a container is left");
        }
    }
}

/// The label that says where the output is.
pub(super) fn output_label(file: &Path) -> String {
    label((OUTPUT, file.display().to_string()))
}

fn label((name, value): (&str, String)) -> String {
    format!("--label={name}={value}")
}

impl Engine {
    /// The containers of tasks that were started on this machine, by whatever process. What has not the labels of ours is not among them.
    pub async fn find(&self, worker: &str) -> Result<Vec<Found>, EngineError> {
        let mut list = self.command("ps");
        list.args(["--all", "--format=json"]).arg(format!("--filter=label={WORKER}={worker}"));
        let answer = self.ask("ps", list).await?;
        let listed: Option<Vec<Listed>> =
            serde_json::from_str(&answer).map_err(|_| self.misunderstood("ps", &answer))?;
        Ok(listed.unwrap_or_default().into_iter().filter_map(Listed::found).collect())
    }
}

/// What `ps` says of a container.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Listed {
    names: Vec<String>,
    labels: Option<std::collections::BTreeMap<String, String>>,
    state: String,
}

impl Listed {
    fn found(self) -> Option<Found> {
        let mut labels = self.labels?;
        let owner = Owner {
            task: labels.remove(TASK)?.parse().ok()?,
            attempt: Attempt::from_wire(labels.remove(ATTEMPT)?.parse().ok()),
            worker: labels.remove(WORKER)?,
        };
        let output = labels.remove(OUTPUT).map(PathBuf::from);
        let name = self.names.into_iter().next()?;
        Some(Found { name, owner, runs: self.state == "running", output })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_list_says_is_whose_it_is() {
        let listed = |json: &str| serde_json::from_str::<Listed>(json).unwrap().found();
        let labels = r#""flotilla.task": "t-1", "flotilla.attempt": "2", "flotilla.worker": "host""#;
        let ours = format!(r#"{{"Names": ["n"], "Labels": {{{labels}}}, "State": "running", "Pid": 4}}"#);
        let found = listed(&ours).unwrap();
        assert_eq!((found.name.as_str(), found.runs, found.output), ("n", true, None));
        assert_eq!((found.owner.task.as_str(), found.owner.attempt.number()), ("t-1", 2));
        for other in [
            r#"{"Names": ["n"], "Labels": null, "State": "exited"}"#,
            r#"{"Names": ["n"], "Labels": {"flotilla.task": "../x y"}, "State": "exited"}"#,
        ] {
            assert_eq!(listed(other), None);
        }
    }

    #[test]
    fn two_containers_of_one_attempt_have_two_names() {
        let owner = Owner { task: "a.b_C-1".parse().unwrap(), attempt: Attempt::FIRST, worker: "h".into() };
        let name = owner.container_name();
        assert!(name.starts_with("flotilla-a.b_C-1-1-"), "{name}");
        assert_ne!(name, owner.container_name());
    }
}
