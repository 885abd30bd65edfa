//! `{"job": …}`: a repository's tests in a container (wire facts, section 2).

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize};

use crate::id::{BranchName, CommitSha, Context, ForgeName, PullNumber, RepoName, SecretName, Slug};

/// What to test, where to report it, and how to run it. Optional fields are explained by the wire facts; what they
/// become is decided by the worker (`run-queue`), who asks the forge.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// The repository under test.
    pub repo: RepoName,
    /// Which forge `repo` is on; none: the configured default.
    #[serde(default, deserialize_with = "empty_is_none", skip_serializing_if = "Option::is_none")]
    pub forge: Option<ForgeName>,
    /// The commit under test; none: see [`Subject`].
    #[serde(default)]
    pub sha: Option<CommitSha>,
    /// The pull request under test.
    #[serde(default)]
    pub pull: Option<PullNumber>,
    /// The branch whose tip is tested where there is neither `sha` nor `pull`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<BranchName>,
    /// The branch to rebase onto; none: the pull's base branch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<BranchName>,
    /// The commit status to report under; none reports nothing.
    #[serde(default)]
    pub context: Option<Context>,
    /// The log's folder; none: `<repo>/<context or "-">/<sha[:12]>`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slug: Option<Slug>,
    /// First line of the log; none: `<context>@<repo>#<sha[:12]>`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// The image; none: the file `.cockpit-ci/container` at the commit, else the configured default. Checked by the worker, as
    /// the file's text is, so that a bad one is a failure that its author sees.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    /// What to run; none: `.cockpit-ci/run`, or `test/run` where that does not exist.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<Vec<String>>,
    /// Another repository to run the command from; statuses still go to `repo` at `sha`.
    #[serde(default)]
    pub command_subject: Option<Subject>,
    /// Environment of the command.
    #[serde(default, deserialize_with = "null_is_default")]
    pub env: BTreeMap<EnvName, EnvValue>,
    /// Named secrets that the job may have.
    #[serde(default, deserialize_with = "null_is_default")]
    pub secrets: Vec<SecretName>,
    /// How long it may run.
    #[serde(default, deserialize_with = "null_is_default", skip_serializing_if = "Minutes::is_default")]
    pub timeout: Minutes,
    /// The issue to open on failure.
    #[serde(default)]
    pub report: Option<Issue>,
}

impl Job {
    /// The part that says which commit of which repository is under test.
    #[must_use]
    pub fn subject(&self) -> Subject {
        Subject {
            forge: self.forge.clone(),
            repo: self.repo.clone(),
            sha: self.sha.clone(),
            branch: self.branch.clone(),
            pull: self.pull,
            target: self.target.clone(),
        }
    }
}

/// A commit to find: with `pull`, its head (unless there is a `sha`) and its base branch as the target (unless there is
/// a `target`); else `sha` as is; else the tip of `branch`, or of the repository's default branch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subject {
    /// Which forge; none: the configured default. Older programs write an empty text for that.
    #[serde(default, deserialize_with = "empty_is_none", serialize_with = "none_is_empty")]
    pub forge: Option<ForgeName>,
    /// The repository.
    pub repo: RepoName,
    /// The commit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha: Option<CommitSha>,
    /// The branch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<BranchName>,
    /// The pull request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pull: Option<PullNumber>,
    /// The branch to rebase onto.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<BranchName>,
}

/// The fields of an issue as the forge takes them; `title` and `body` have defaults.
pub type Issue = serde_json::Map<String, serde_json::Value>;

/// A job's limit, in whole minutes; 120 unless told otherwise, 0 for none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Minutes(pub u32);

impl Minutes {
    /// The limit as a duration.
    #[must_use]
    pub fn limit(self) -> Option<Duration> {
        (self.0 > 0).then(|| Duration::from_secs(u64::from(self.0) * 60))
    }

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde wants")]
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl Default for Minutes {
    fn default() -> Self {
        Self(120)
    }
}

/// The name of an environment variable.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct EnvName(String);

impl EnvName {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for EnvName {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        let valid = !text.starts_with(|c: char| c.is_ascii_digit())
            && !text.is_empty()
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if valid {
            Ok(Self(text))
        } else {
            Err("expected a variable's name: letters, digits and `_`, no digit first")
        }
    }
}

/// The value of an environment variable: any text without NUL. Not shown by `Debug`, as people put tokens there.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct EnvValue(String);

impl EnvValue {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for EnvValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EnvValue(…)")
    }
}

impl TryFrom<String> for EnvValue {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        if text.contains('\0') { Err("expected a value without NUL characters") } else { Ok(Self(text)) }
    }
}

fn null_is_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(from: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or_default())
}

pub(super) fn empty_is_none<'de, D: Deserializer<'de>>(from: D) -> Result<Option<ForgeName>, D::Error> {
    let text: Option<String> = Option::deserialize(from)?;
    text.filter(|it| !it.is_empty())
        .map(|it| ForgeName::new(it).map_err(serde::de::Error::custom))
        .transpose()
}

#[expect(clippy::ref_option, reason = "the signature that serde wants")]
fn none_is_empty<S: serde::Serializer>(forge: &Option<ForgeName>, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(forge.as_ref().map_or("", ForgeName::as_str))
}

#[cfg(test)]
mod tests {
    use super::super::{Kind, Task};
    use super::*;

    fn job(body: &str) -> Job {
        match Task::parse(body.as_bytes()).unwrap().kind {
            Kind::Job(job) => *job,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_job_of_the_old_scanner_goes_both_ways_as_the_golden_file_says() {
        let golden = include_str!("../../golden/job-scan-1.json");
        let task = Task::parse(golden.as_bytes()).unwrap();
        let expected: serde_json::Value = serde_json::from_str(golden).unwrap();
        assert_eq!(serde_json::from_str::<serde_json::Value>(&task.to_json()).unwrap(), expected);
        assert_eq!(
            task.human.as_deref(),
            Some("pull-1      fedora/nightly            abcdef       (o/r) [bots@main]   {main}")
        );
    }

    #[test]
    fn a_job_with_every_field_goes_both_ways() {
        let golden = include_str!("../../golden/job-full-1.json");
        let task = Task::parse(golden.as_bytes()).unwrap();
        let expected: serde_json::Value = serde_json::from_str(golden).unwrap();
        assert_eq!(serde_json::from_str::<serde_json::Value>(&task.to_json()).unwrap(), expected);
        assert!(Task::unknown_fields(golden.as_bytes()).unwrap().is_empty());
    }

    #[test]
    fn the_least_job_has_the_defaults_of_the_wire() {
        let job = job(r#"{"job": {"repo": "o/r"}}"#);
        assert_eq!(job.timeout.limit(), Some(Duration::from_hours(2)));
        assert_eq!((job.sha, job.pull, job.context, job.report), (None, None, None, None));
    }

    #[test]
    fn null_means_the_default() {
        let job =
            job(r#"{"job": {"repo": "o/r", "env": null, "secrets": null, "timeout": null, "forge": null}}"#);
        assert_eq!(job.timeout, Minutes(120));
        assert_eq!(job.forge, None);
    }

    #[test]
    fn zero_minutes_are_no_limit() {
        assert_eq!(Minutes(0).limit(), None);
    }

    #[test]
    fn values_of_the_environment_stay_out_of_debug_output() {
        let job = job(r#"{"job": {"repo": "o/r", "env": {"TOKEN": "hunter2"}}}"#);
        assert!(!format!("{job:?}").contains("hunter2"));
    }
}
