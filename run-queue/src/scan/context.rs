//! `IMAGE[/SCENARIO][@bots#PULL][@[FORGE:]OWNER/REPO[/BRANCH]]`: what a context asks for.

use std::str::FromStr;

use common::id::{BranchName, ForgeName, InvalidId, PullNumber, RepoName};

/// A context in its parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TestContext {
    /// The operating system image.
    pub image: String,
    /// The scenario; may contain slashes.
    pub scenario: Option<String>,
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

/// A text that is no context.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("context {0:?}: expected IMAGE[/SCENARIO][@bots#PULL][@[FORGE:]OWNER/REPO[/BRANCH]]")]
pub struct InvalidContext(String);

impl TestContext {
    /// `IMAGE[/SCENARIO]`.
    #[must_use]
    pub fn image_scenario(&self) -> String {
        match &self.scenario {
            None => self.image.clone(),
            Some(scenario) => format!("{}/{scenario}", self.image),
        }
    }
}

impl FromStr for TestContext {
    type Err = InvalidContext;

    fn from_str(text: &str) -> Result<Self, InvalidContext> {
        let invalid = || InvalidContext(text.chars().take(100).collect());
        let mut parts = text.split('@');
        let image = parts.next().unwrap_or_default();
        let (image, scenario) = match image.split_once('/') {
            None => (image, None),
            Some((image, scenario)) => (image, Some(scenario)),
        };
        if image.is_empty() || scenario == Some("") {
            return Err(invalid());
        }
        let mut context =
            Self { image: image.to_owned(), scenario: scenario.map(str::to_owned), bots: None, other: None };
        for part in parts {
            match part.strip_prefix("bots#") {
                Some(number) if context.bots.is_none() && context.other.is_none() => {
                    let number = number.parse().ok().and_then(PullNumber::new);
                    context.bots = Some(number.ok_or_else(invalid)?);
                }
                None if context.other.is_none() => context.other = Some(other(part).ok_or_else(invalid)?),
                _ => return Err(invalid()),
            }
        }
        Ok(context)
    }
}

fn other(part: &str) -> Option<OtherRepo> {
    let mut names = part.splitn(3, '/');
    let project = format!("{}/{}", names.next()?, names.next()?);
    let branch = names.next().map(BranchName::new).transpose().ok()?;
    Some(OtherRepo { project: project.parse().ok()?, branch })
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
        Some((context.image_scenario(), context.bots.map(|it| it.to_string()), other))
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
            ("fedora@bots#7@gitea:o/r/b", row("fedora", Some("7"), Some("gitea:o/r b"))),
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
            "fedora/",
            "fedora@",
            "fedora@o",
            "fedora@bots#0",
            "fedora@bots#x",
            "fedora@o/r@bots#1",
            "fedora@bots#1@bots#2",
            "fedora@../r",
            "fedora@o/r/",
            "fedora@o/r@p/q",
        ] {
            assert_eq!(parts(text), None, "{text}");
        }
    }
}
