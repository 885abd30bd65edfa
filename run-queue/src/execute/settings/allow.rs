//! `[secrets.allow]`: whose jobs get which secrets.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use common::config::{Table, listed};
use common::id::{ForgeName, RepoName, SecretName};

use super::secrets::secret_name;
use crate::scan::issue::RepoPattern;

/// Whose jobs get a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretRule {
    /// For which repositories.
    pub repos: Vec<RepoRule>,
    /// For whose code.
    pub authors: Authors,
}

/// Whose code a secret is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Authors {
    /// The repository's own, and that of pulls whose author is on the allow list.
    Listed,
    /// That of all pulls: whoever asked for the test answers for them.
    Any,
}

/// `[FORGE:]OWNER/NAME`, where either of the last two may be `*`; without a forge, those on the default one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RepoRule {
    forge: Option<ForgeName>,
    pattern: RepoPattern,
    text: String,
}

impl RepoRule {
    /// Whether this repository of this forge is meant.
    #[must_use]
    pub fn fits(&self, default: &ForgeName, forge: &ForgeName, repo: &RepoName) -> bool {
        self.forge.as_ref().unwrap_or(default) == forge && self.pattern.fits(repo)
    }

    /// The forge that it names.
    #[must_use]
    pub const fn forge(&self) -> Option<&ForgeName> {
        self.forge.as_ref()
    }
}

impl FromStr for RepoRule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (forge, pattern) = match text.split_once(':') {
            Some((forge, pattern)) => (Some(ForgeName::new(forge).map_err(|it| it.to_string())?), pattern),
            None => (None, text),
        };
        Ok(Self { forge, pattern: pattern.parse()?, text: text.to_owned() })
    }
}

impl fmt::Display for SecretRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let authors = match self.authors {
            Authors::Listed => "authors on the allow list",
            Authors::Any => "any author",
        };
        write!(f, "{}; {authors}", listed(self.repos.iter().map(|it| &it.text)))
    }
}

pub(super) fn rules(table: &Table<'_>) -> BTreeMap<SecretName, SecretRule> {
    let rule = |name: &String| Some((secret_name(table, name)?, rule(table.table(name))?));
    // Each is read before the first problem ends this: all are told at once.
    let read: Vec<_> = table.names().map(rule).collect();
    read.into_iter().flatten().collect()
}

/// A rule that leaves something open is the stricter one about authors, who are strangers, and the wider one about repositories,
/// which are the operator's.
fn rule(table: Table<'_>) -> Option<SecretRule> {
    let repos = table.words("repos").unwrap_or_else(|| vec!["*/*".to_owned()]);
    let repos: Result<Vec<_>, _> = repos.iter().map(|it| it.parse()).collect();
    let repos = repos.map_err(|it: String| table.problem("repos", it));
    let authors = match table.text("authors").as_deref() {
        None | Some("listed") => Some(Authors::Listed),
        Some("any") => Some(Authors::Any),
        Some(_) => {
            table.problem("authors", "expected \"listed\" (the default) or \"any\"");
            None
        }
    };
    table.done();
    Some(SecretRule { repos: repos.ok()?, authors: authors? })
}

#[cfg(test)]
mod tests {
    use common::config::{Environment, Forges, Reader, Summary};

    use super::super::super::source;
    use super::super::{ContainerSettings, SecretSettings};
    use super::*;

    fn read(text: &str) -> Result<SecretSettings, Vec<String>> {
        let text = format!("[secrets.inline]\na = \"x\"\nb = \"y\"\n{text}");
        let reader = Reader::new(source(&text), Environment::default());
        let (secrets, container) = (SecretSettings::read(&reader), ContainerSettings::read(&reader, 1));
        secrets.check(&reader, &container, Forges::read(&reader).as_ref());
        reader.finish(secrets).map_err(|it| it.0.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn a_rule_that_says_nothing_is_strict_about_authors() {
        assert!(read("").unwrap().allow.is_empty(), "existing files have none");
        let settings =
            read("[secrets.allow.a]\n[secrets.allow.b]\nrepos = [\"o/r\", \"o/*\"]\nauthors = \"any\"\n")
                .unwrap();
        let mut summary = Summary::default();
        settings.summarize(&mut summary);
        let summary = summary.to_string();
        assert!(
            summary.contains(
                "allow: 2 rules\n    a: */*; authors on the allow list\n    b: o/r, o/*; any author\n"
            ),
            "{summary}"
        );
        assert_eq!(settings.asking_for_authors().map(SecretName::as_str).collect::<Vec<_>>(), ["a"]);
    }

    #[test]
    fn every_problem_of_a_rule_is_told() {
        let problems = read(
            "[secrets.allow.a]\nrepos = [\"o\"]\nauthors = \"all\"\nwho = 1\n[secrets.allow.typo]\n[secrets.allow.b]\nrepos = [\"none:o/r\"]\n",
        )
        .unwrap_err()
        .join("\n");
        for expected in [
            "secrets.allow.a.repos: \"o\": expected OWNER/NAME",
            "secrets.allow.a.authors: expected \"listed\"",
            "secrets.allow.a.who: is no known key",
            "secrets.allow.typo: is a rule for a secret that is not there",
            "secrets.allow.b.repos: `none` is no forge",
        ] {
            assert!(problems.contains(expected), "{expected}:\n{problems}");
        }
    }
}
