//! Issues and pull requests, as far as people write check lists into them.

use jiff::Timestamp;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::types::{Label, Pull, PullState, User, null_is_default};
use crate::id::{CommitSha, PullNumber};

/// An issue, or a pull request seen as one.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Item {
    /// Its number on the repository; pulls and issues share them.
    pub number: PullNumber,
    /// Its title.
    #[serde(default, deserialize_with = "null_is_default")]
    pub title: String,
    /// Its text.
    pub body: Option<String>,
    /// Open or closed, where that is said.
    pub state: Option<PullState>,
    /// Who opened it; none where the account is gone.
    pub user: Option<User>,
    /// Its labels.
    #[serde(default, deserialize_with = "null_is_default")]
    pub labels: Vec<Label>,
    /// A pull in a list of issues has this.
    pull_request: Option<IgnoredAny>,
    /// A pull by itself has this.
    commits: Option<IgnoredAny>,
    /// What is to be merged; a pull in a list of issues does not say.
    head: Option<ItemHead>,
    updated_at: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
struct ItemHead {
    sha: CommitSha,
}

impl Item {
    /// Whether it is a pull request.
    #[must_use]
    pub const fn is_pull(&self) -> bool {
        self.pull_request.is_some() || self.commits.is_some() || self.head.is_some()
    }

    /// The commit of a pull request, where it is said.
    #[must_use]
    pub fn head(&self) -> Option<&CommitSha> {
        self.head.as_ref().map(|it| &it.sha)
    }

    /// Who opened it; empty where the account is gone.
    #[must_use]
    pub fn author(&self) -> &str {
        self.user.as_ref().map_or("", |it| &it.login)
    }

    /// Whether it has the label.
    #[must_use]
    pub fn has_label(&self, name: &str) -> bool {
        self.labels.iter().any(|it| it.name == name)
    }

    /// Whether this is what it was like before: see [`Pull::is_older_than`].
    #[must_use]
    pub fn is_older_than(&self, other: &Self) -> bool {
        is_older(self.updated_at.as_deref(), other.updated_at.as_deref())
    }
}

impl From<&Pull> for Item {
    fn from(pull: &Pull) -> Self {
        Self {
            number: pull.number,
            title: pull.title.clone(),
            body: pull.body.clone(),
            state: Some(pull.state),
            user: pull.user.clone(),
            labels: pull.labels.clone(),
            pull_request: Some(IgnoredAny),
            commits: None,
            head: Some(ItemHead { sha: pull.head.sha.clone() }),
            updated_at: pull.updated_at.clone(),
        }
    }
}

/// Whether one time comes before the other; not where either is none.
pub(super) fn is_older(one: Option<&str>, other: Option<&str>) -> bool {
    let parse = |it: Option<&str>| it?.parse::<Timestamp>().ok();
    parse(one).zip(parse(other)).is_some_and(|(one, other)| one < other)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(text: &str) -> Item {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn pulls_are_told_from_issues() {
        assert!(!item(r#"{"number": 1}"#).is_pull());
        assert!(item(r#"{"number": 1, "pull_request": {"url": "x"}}"#).is_pull());
        assert!(item(r#"{"number": 1, "commits": 1}"#).is_pull());
        let pull = item(r#"{"number": 1, "head": {"sha": "abcdef", "repo": null}}"#);
        assert_eq!((pull.is_pull(), pull.head().map(CommitSha::as_str)), (true, Some("abcdef")));
    }

    #[test]
    fn what_is_missing_is_nothing() {
        let item = item(
            r#"{"number": 1, "title": null, "body": null, "user": null, "labels": [{}, {"name": null}]}"#,
        );
        assert_eq!((item.title.as_str(), item.body.as_deref(), item.author()), ("", None, ""));
        assert!(!item.has_label("bot"));
    }
}
