//! What is scanned.

use common::forge::Pull;
use common::id::{BranchName, CommitSha, PullNumber};

/// A pull, or a commit that no open pull has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// None for a commit without a pull.
    pub number: Option<PullNumber>,
    /// Who answers for it.
    pub author: String,
    /// Its title.
    pub title: String,
    /// It has the label `no-test`.
    pub no_test: bool,
    /// Its head.
    pub sha: CommitSha,
    /// Where it goes; none for a commit without a pull.
    pub base: Option<BranchName>,
}

impl Subject {
    /// A commit without a pull.
    #[must_use]
    pub fn bare(sha: &CommitSha) -> Self {
        Self {
            number: None,
            author: "cockpit-project".to_owned(),
            title: String::new(),
            no_test: false,
            sha: sha.clone(),
            base: None,
        }
    }
}

impl From<&Pull> for Subject {
    fn from(pull: &Pull) -> Self {
        Self {
            number: Some(pull.number),
            author: pull.author().to_owned(),
            title: pull.title.clone(),
            no_test: pull.has_label("no-test"),
            sha: pull.head.sha.clone(),
            base: Some(pull.base.branch.clone()),
        }
    }
}

impl From<&Box<Pull>> for Subject {
    fn from(pull: &Box<Pull>) -> Self {
        Self::from(&**pull)
    }
}
