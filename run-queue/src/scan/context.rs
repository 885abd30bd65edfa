//! `IMAGE[/SCENARIO][@bots#PULL][@[FORGE:]OWNER/REPO[/BRANCH]]`: what a context asks for.

use std::fmt;
use std::num::ParseIntError;
use std::str::FromStr;

use common::id::{BranchName, ForgeName, InvalidId, PullNumber, RepoName};

/// A context in its parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TestContext {
    /// The operating system image.
    pub image: String,
    /// The scenario; may contain slashes.
    pub scenario: Option<String>,
    /// `IMAGE[/SCENARIO]` as it is written.
    pub image_scenario: String,
    /// The pull of the bots repository whose head the test is to use.
    pub bots: Option<PullNumber>,
    /// The repository to test instead of the one that the status is on.
    pub other: Option<OtherRepo>,
}

/// A repository that a context names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OtherRepo {
    /// The repository.
    pub project: Project,
    /// None: its default branch.
    pub branch: Option<BranchName>,
}

/// `[FORGE:]OWNER/REPO`: a repository as contexts and the test map name it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Project {
    /// None: the default one.
    pub forge: Option<ForgeName>,
    /// The repository.
    pub repo: RepoName,
}

impl From<RepoName> for Project {
    fn from(repo: RepoName) -> Self {
        Self { forge: None, repo }
    }
}

impl FromStr for Project {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        match text.split_once(':') {
            None => Ok(RepoName::new(text)?.into()),
            Some((forge, repo)) => {
                Ok(Self { forge: Some(ForgeName::new(forge)?), repo: RepoName::new(repo)? })
            }
        }
    }
}

impl fmt::Display for Project {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.forge {
            None => write!(f, "{}", self.repo),
            Some(forge) => write!(f, "{forge}:{}", self.repo),
        }
    }
}

/// A text that is no context.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("context {0:?}: expected IMAGE[/SCENARIO][@bots#PULL][@[FORGE:]OWNER/REPO[/BRANCH]]")]
pub struct InvalidContext(String);

impl FromStr for TestContext {
    type Err = InvalidContext;

    /// Takes what old programs take: an empty part is none, the second of two repositories counts, and what stands behind a
    /// bots pull and a repository does not.
    fn from_str(text: &str) -> Result<Self, InvalidContext> {
        let invalid = || InvalidContext(text.chars().take(100).collect());
        let mut parts = text.split('@');
        let image_scenario = parts.next().unwrap_or_default();
        let (image, scenario) = image_scenario.split_once('/').unwrap_or((image_scenario, ""));
        // It becomes part of a log's path.
        if image.is_empty() || text.contains('\\') {
            return Err(invalid());
        }
        let (second, third) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        let (bots, repo) = match second.strip_prefix("bots#") {
            Some(number) => (bots(number).map_err(|_| invalid())?, third),
            None if third.is_empty() => (None, second),
            None => (None, third),
        };
        Ok(Self {
            image: image.to_owned(),
            scenario: (!scenario.is_empty()).then(|| scenario.to_owned()),
            image_scenario: image_scenario.to_owned(),
            bots,
            other: other(repo).map_err(|_| invalid())?,
        })
    }
}

/// 0 is no pull.
fn bots(number: &str) -> Result<Option<PullNumber>, ParseIntError> {
    number.parse().map(PullNumber::new)
}

fn other(part: &str) -> Result<Option<OtherRepo>, InvalidId> {
    if part.is_empty() {
        return Ok(None);
    }
    let (project, branch) = match part.match_indices('/').nth(1) {
        Some((slash, _)) => part.split_at(slash),
        None => (part, ""),
    };
    let branch = Some(branch.strip_prefix('/').unwrap_or(branch)).filter(|it| !it.is_empty());
    let branch = branch.map(BranchName::new).transpose()?;
    Ok(Some(OtherRepo { project: project.parse()?, branch }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str) -> Option<(String, Option<String>, Option<String>)> {
        let context: TestContext = text.parse().ok()?;
        let other = context.other.as_ref().map(|it| {
            let branch = it.branch.as_ref().map_or("-", BranchName::as_str);
            let Project { forge, repo } = &it.project;
            format!("{}:{repo} {branch}", forge.as_ref().map_or("", ForgeName::as_str))
        });
        Some((context.image_scenario, context.bots.map(|it| it.to_string()), other))
    }

    #[test]
    fn contexts_have_their_parts() {
        let row = |image: &str, bots: Option<&str>, other: Option<&str>| {
            Some((image.to_owned(), bots.map(str::to_owned), other.map(str::to_owned)))
        };
        for (text, expected) in [
            ("fedora", row("fedora", None, None)),
            ("fedora/nightly", row("fedora/nightly", None, None)),
            ("fedora/a/b", row("fedora/a/b", None, None)),
            ("fedora@bots#7", row("fedora", Some("7"), None)),
            ("fedora@o/r", row("fedora", None, Some(":o/r -"))),
            ("fedora/x@o/r/b", row("fedora/x", None, Some(":o/r b"))),
            ("fedora@o/r/b/c", row("fedora", None, Some(":o/r b/c"))),
            ("fedora@bots#7@o/r", row("fedora", Some("7"), Some(":o/r -"))),
            ("fedora@bots#7@gitea:o/r/b", row("fedora", Some("7"), Some("gitea:o/r b"))),
            ("fedora@gitea:o/r", row("fedora", None, Some("gitea:o/r -"))),
            // As old programs read them.
            ("fedora@", row("fedora", None, None)),
            ("fedora/", row("fedora/", None, None)),
            ("fedora@o/r/", row("fedora", None, Some(":o/r -"))),
            ("fedora@bots#0", row("fedora", None, None)),
            ("fedora@bots#007", row("fedora", Some("7"), None)),
            ("fedora@@o/r", row("fedora", None, Some(":o/r -"))),
            ("fedora@o/r@p/q", row("fedora", None, Some(":p/q -"))),
            ("fedora@bots#7@o/r@anything", row("fedora", Some("7"), Some(":o/r -"))),
            ("fédora/ñ", row("fédora/ñ", None, None)),
        ] {
            assert_eq!(parts(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_context_is_refused() {
        let many = "@".repeat(1000);
        for text in [
            "",
            "@",
            &many,
            "/x",
            "@o/r",
            "fedora@o",
            "fedora@bots#",
            "fedora@bots#x",
            "fedora@bots#-1",
            "fedora@bots#99999999999999999999",
            "fedora@o/r@bots#1",
            "fedora@bots#1@bots#2",
            "fedora@../r",
            "fedora@o/..",
            "fedora@a:b:o/r",
            "fedora@o/r/-x",
            "fedora/a\\b",
        ] {
            assert_eq!(parts(text), None, "{text}");
        }
    }
}
