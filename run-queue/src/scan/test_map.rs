//! The test map: which contexts a branch of a repository is tested with.

use std::collections::{BTreeMap, BTreeSet};

use common::id::{BranchName, Context, RepoName};

use super::TestContext;

/// Contexts that are run only when asked for are listed under this branch.
const MANUAL: &str = "_manual";

/// Repository → branch → contexts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TestMap(BTreeMap<RepoName, BTreeMap<BranchName, Vec<Context>>>);

impl TestMap {
    /// Adds a context to a branch of a repository.
    pub fn insert(&mut self, repo: RepoName, branch: BranchName, context: Context) {
        let contexts = self.0.entry(repo).or_default().entry(branch).or_default();
        if !contexts.contains(&context) {
            contexts.push(context);
        }
    }

    /// Adds a context to a branch of every repository (`$COCKPIT_TESTMAP_INJECT`).
    pub fn inject(&mut self, branch: &BranchName, context: &Context) {
        let repos: Vec<_> = self.0.keys().cloned().collect();
        for repo in repos {
            self.insert(repo, branch.clone(), context.clone());
        }
    }

    /// Whether the repository is in it.
    #[must_use]
    pub fn knows(&self, repo: &RepoName) -> bool {
        self.0.contains_key(repo)
    }

    /// What a branch is tested with, in the order of the map.
    #[must_use]
    pub fn contexts(&self, repo: &RepoName, branch: &BranchName) -> &[Context] {
        self.0.get(repo).and_then(|it| it.get(branch)).map_or(&[], Vec::as_slice)
    }

    /// Whether its image is in the map: of the repository, or of the repository and branch that the context names.
    #[must_use]
    pub fn is_valid(&self, repo: &RepoName, context: &TestContext) -> bool {
        match &context.other {
            None => self.images(repo, None).contains(context.image.as_str()),
            Some(other) => {
                let branch = other.branch.clone().or_else(|| self.default_branch(&other.repo));
                self.images(&other.repo, branch.as_ref()).contains(context.image.as_str())
            }
        }
    }

    /// `master` if the map has it, else `main`.
    #[must_use]
    pub fn default_branch(&self, repo: &RepoName) -> Option<BranchName> {
        let has_master = self.0.get(repo).is_some_and(|it| it.keys().any(|it| it.as_str() == "master"));
        BranchName::new(if has_master { "master" } else { "main" }).ok()
    }

    /// The images of a repository; of one branch and the manual ones, where there is a branch.
    fn images(&self, repo: &RepoName, branch: Option<&BranchName>) -> BTreeSet<&str> {
        let wanted = |name: &BranchName| branch.is_none_or(|it| it == name) || name.as_str() == MANUAL;
        let branches = self.0.get(repo).into_iter().flatten().filter(|(name, _)| wanted(name));
        branches
            .flat_map(|(_, contexts)| contexts)
            .filter_map(|it| it.as_str().split(['/', '@']).next())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(entries: &[(&str, &str, &str)]) -> TestMap {
        let mut map = TestMap::default();
        for (repo, branch, context) in entries {
            map.insert(repo.parse().unwrap(), branch.parse().unwrap(), context.parse().unwrap());
        }
        map
    }

    #[test]
    fn an_image_of_the_map_makes_a_context_valid() {
        let map = map(&[
            ("o/r", "main", "fedora/x"),
            ("o/r", "_manual", "arch"),
            ("p/q", "stable", "rhel"),
            ("p/q", "main", "debian"),
        ]);
        let valid = |context: &str| map.is_valid(&"o/r".parse().unwrap(), &context.parse().unwrap());
        for context in ["fedora", "fedora/other", "fedora@bots#1", "arch", "debian@p/q", "rhel@p/q/stable"] {
            assert!(valid(context), "{context}");
        }
        for context in ["rhel", "rhel@p/q", "debian@p/q/stable", "fedora@p/q", "fedora@x/y"] {
            assert!(!valid(context), "{context}");
        }
    }

    #[test]
    fn a_context_can_be_injected_everywhere() {
        let mut map = map(&[("o/r", "main", "fedora"), ("p/q", "master", "rhel")]);
        map.inject(&"main".parse().unwrap(), &"arch".parse().unwrap());
        let contexts = |repo: &str| map.contexts(&repo.parse().unwrap(), &"main".parse().unwrap()).len();
        assert_eq!((contexts("o/r"), contexts("p/q")), (2, 1));
        assert_eq!(map.default_branch(&"p/q".parse().unwrap()).unwrap().as_str(), "master");
        assert_eq!(map.default_branch(&"o/r".parse().unwrap()).unwrap().as_str(), "main");
    }
}
