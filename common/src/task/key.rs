//! What a piece of work is known by, whoever asks for it and however often.

use std::fmt;

use super::{Job, Kind, Task};
use crate::id::{CommitSha, Context, ForgeName, RepoName};

/// The key of a job that reports: two messages with the same key ask for the same run.
///
/// The forge is always named, since an old program leaves out the default one. Forges take no notice of the case of a
/// repository's name, so it is kept in small letters.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WorkKey {
    forge: ForgeName,
    repo: String,
    sha: CommitSha,
    context: Context,
}

impl WorkKey {
    /// For a context of a commit.
    #[must_use]
    pub fn new(forge: ForgeName, repo: &RepoName, sha: CommitSha, context: Context) -> Self {
        Self { forge, repo: repo.as_str().to_ascii_lowercase(), sha, context }
    }

    /// Of a job; none where it reports nothing, or names no commit.
    #[must_use]
    pub fn of_job(job: &Job, default_forge: &ForgeName) -> Option<Self> {
        let forge = job.forge.as_ref().unwrap_or(default_forge);
        Some(Self::new(forge.clone(), &job.repo, job.sha.clone()?, job.context.clone()?))
    }

    /// Of a task; none where it is no job that reports on a commit.
    #[must_use]
    pub fn of_task(task: &Task, default_forge: &ForgeName) -> Option<Self> {
        let Kind::Job(job) = &task.kind else { return None };
        Self::of_job(job, default_forge)
    }

    /// Of the body of a message, whoever wrote it; none where it is no job that reports on a commit.
    #[must_use]
    pub fn of_body(body: &[u8], default_forge: &ForgeName) -> Option<Self> {
        Self::of_task(&Task::parse(body).ok()?, default_forge)
    }

    /// The forge that the repository is on.
    #[must_use]
    pub const fn forge(&self) -> &ForgeName {
        &self.forge
    }

    /// The repository, in small letters.
    #[must_use]
    pub fn repo(&self) -> &str {
        &self.repo
    }

    /// The commit.
    #[must_use]
    pub const fn sha(&self) -> &CommitSha {
        &self.sha
    }

    /// What it is reported under.
    #[must_use]
    pub const fn context(&self) -> &Context {
        &self.context
    }
}

impl fmt::Display for WorkKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { forge, repo, sha, context } = self;
        write!(f, "{forge}:{repo}@{sha} {context}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(body: &str) -> Option<String> {
        WorkKey::of_body(body.as_bytes(), &ForgeName::new("github").unwrap()).map(|it| it.to_string())
    }

    #[test]
    fn messages_that_ask_for_the_same_have_the_same_key() {
        let same = Some("github:o/r@abcdef fedora".to_owned());
        for body in [
            r#"{"job": {"repo": "o/r", "sha": "abcdef", "context": "fedora"}}"#,
            r#"{"job": {"repo": "o/r", "sha": "abcdef", "context": "fedora", "forge": null, "pull": 7}, "human": "x"}"#,
            r#"{"job": {"repo": "o/r", "sha": "abcdef", "context": "fedora", "forge": "", "slug": "elsewhere"}}"#,
            r#"{"job": {"repo": "O/R", "sha": "abcdef", "context": "fedora", "forge": "github"}}"#,
        ] {
            assert_eq!(key(body), same, "{body}");
        }
        for body in [
            r#"{"job": {"repo": "o/r", "sha": "abcdef", "context": "fedora", "forge": "gitea"}}"#,
            r#"{"job": {"repo": "o/x", "sha": "abcdef", "context": "fedora"}}"#,
            r#"{"job": {"repo": "o/r", "sha": "abcdef0", "context": "fedora"}}"#,
            r#"{"job": {"repo": "o/r", "sha": "abcdef", "context": "Fedora"}}"#,
        ] {
            assert!(key(body).is_some_and(|it| Some(it) != same), "{body}");
        }
    }

    #[test]
    fn what_reports_on_no_commit_has_none() {
        for body in [
            r#"{"job": {"repo": "o/r", "sha": "abcdef"}}"#,
            r#"{"job": {"repo": "o/r", "branch": "main", "context": "fedora"}}"#,
            r#"{"command": "true"}"#,
            "no task",
        ] {
            assert_eq!(key(body), None, "{body}");
        }
    }
}
