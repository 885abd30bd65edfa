//! The test map: which contexts a branch of a repository is tested with.

mod read;

use std::collections::{BTreeMap, BTreeSet};

use common::id::{BranchName, Context, RepoName};

use super::{Project, TestContext};

/// Contexts that are run only when asked for are listed under this branch.
const MANUAL: &str = "_manual";

/// Repository → branch → contexts. A branch without contexts says something too: that the repository has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TestMap {
    projects: BTreeMap<Project, BTreeMap<BranchName, Vec<Context>>>,
    /// What every repository has beside that, listed or not.
    injected: Option<(BranchName, Context)>,
}

/// A branch of a repository as the map lists it.
#[derive(Clone, Copy, Debug)]
pub struct Listed<'m> {
    /// The repository.
    pub project: &'m Project,
    /// The branch, or `_manual`.
    pub branch: &'m BranchName,
    /// In the order of the map.
    pub contexts: &'m [Context],
}

impl Listed<'_> {
    /// Whether these are run only when asked for.
    #[must_use]
    pub fn is_manual(&self) -> bool {
        self.branch.as_str() == MANUAL
    }
}

impl TestMap {
    /// The repositories that the map names, in alphabetical order; one without branches too.
    pub fn projects(&self) -> impl Iterator<Item = &Project> {
        self.projects.keys()
    }

    /// Every branch that the map lists, by repository; without what is injected.
    pub fn listed(&self) -> impl Iterator<Item = Listed<'_>> {
        self.projects.iter().flat_map(|(project, branches)| {
            branches.iter().map(move |(branch, contexts)| Listed { project, branch, contexts })
        })
    }

    /// What every repository has beside that.
    #[must_use]
    pub fn injected(&self) -> Option<&(BranchName, Context)> {
        self.injected.as_ref()
    }

    /// Adds a repository, if it is not there.
    pub fn insert_repo(&mut self, project: Project) {
        self.projects.entry(project).or_default();
    }

    /// Adds contexts to a branch of a repository.
    pub fn insert(
        &mut self,
        project: Project,
        branch: BranchName,
        contexts: impl IntoIterator<Item = Context>,
    ) {
        let listed = self.projects.entry(project).or_default().entry(branch).or_default();
        for context in contexts {
            if !listed.contains(&context) {
                listed.push(context);
            }
        }
    }

    /// Adds a context to a branch of every repository (`$COCKPIT_TESTMAP_INJECT`).
    pub fn inject(&mut self, branch: BranchName, context: Context) {
        self.injected = Some((branch, context));
    }

    /// Whether there is anything to test in a repository.
    #[must_use]
    pub fn knows(&self, repo: &RepoName) -> bool {
        self.injected.is_some() || self.projects.contains_key(&Project::from(repo.clone()))
    }

    /// The repositories of the default forge: those whose pulls are tested.
    #[must_use]
    pub fn repos(&self) -> Vec<RepoName> {
        self.projects.keys().filter(|it| it.forge.is_none()).map(|it| it.repo.clone()).collect()
    }

    /// What a branch is tested with, in the order of the map.
    pub fn contexts(&self, repo: &RepoName, branch: &BranchName) -> impl Iterator<Item = &Context> {
        let listed = self.projects.get(&Project::from(repo.clone())).and_then(|it| it.get(branch));
        let injected = self.injected.iter().filter(move |(to, _)| to == branch).map(|(_, context)| context);
        listed.into_iter().flatten().chain(injected)
    }

    /// Whether its image is in the map: of the repository, or of the repository and branch that the context names.
    #[must_use]
    pub fn is_valid(&self, repo: &RepoName, context: &TestContext) -> bool {
        let images = match &context.other {
            None => self.images(&repo.clone().into(), None),
            Some(other) => {
                let branch = other.branch.clone().or_else(|| self.default_branch(&other.project));
                self.images(&other.project, branch.as_ref())
            }
        };
        images.contains(context.image.as_str())
    }

    /// `master` if the map has it, else `main`.
    #[must_use]
    pub fn default_branch(&self, project: &Project) -> Option<BranchName> {
        let branches = self.projects.get(project);
        let has_master = branches.is_some_and(|it| it.keys().any(|it| it.as_str() == "master"));
        BranchName::new(if has_master { "master" } else { "main" }).ok()
    }

    /// The images of a repository; of one branch and the manual ones, where there is a branch.
    fn images(&self, project: &Project, branch: Option<&BranchName>) -> BTreeSet<&str> {
        let wanted = |name: &BranchName| branch.is_none_or(|it| it == name) || name.as_str() == MANUAL;
        let listed = self.projects.get(project).into_iter().flatten().filter(|(name, _)| wanted(name));
        let injected = self.injected.iter().filter(|(name, _)| wanted(name)).map(|(_, context)| context);
        listed
            .flat_map(|(_, contexts)| contexts)
            .chain(injected)
            .filter_map(|it| it.as_str().split(['/', '@']).next())
            .collect()
    }
}

/// A line a branch.
#[cfg(test)]
fn summary(map: &TestMap) -> Vec<String> {
    let line = |it: Listed<'_>| {
        let contexts: Vec<_> = it.contexts.iter().map(|it| format!(" {it}")).collect();
        let forge = it.project.forge.as_ref().map(|it| format!("{it}:")).unwrap_or_default();
        format!("{forge}{} {}:{}", it.project.repo, it.branch, contexts.concat())
    };
    map.listed().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(entries: &[(&str, &str, &[&str])]) -> TestMap {
        let mut map = TestMap::default();
        for (project, branch, contexts) in entries {
            let contexts: Vec<_> = contexts.iter().map(|it| it.parse().unwrap()).collect();
            map.insert(project.parse().unwrap(), branch.parse().unwrap(), contexts);
        }
        map
    }

    fn default_branch(map: &TestMap, project: &str) -> String {
        map.default_branch(&project.parse().unwrap()).unwrap().to_string()
    }

    #[test]
    fn an_image_of_the_map_makes_a_context_valid() {
        let map = map(&[
            ("o/r", "main", &["fedora/x"]),
            ("o/r", "_manual", &["arch"]),
            ("p/q", "stable", &["rhel"]),
            ("p/q", "main", &["debian"]),
            ("forge:p/q", "main", &["suse"]),
        ]);
        let valid = |context: &str| map.is_valid(&"o/r".parse().unwrap(), &context.parse().unwrap());
        for context in [
            "fedora",
            "fedora/other",
            "fedora@bots#1",
            "arch",
            "debian@p/q",
            "rhel@p/q/stable",
            "suse@forge:p/q",
        ] {
            assert!(valid(context), "{context}");
        }
        for context in [
            "rhel",
            "rhel@p/q",
            "debian@p/q/stable",
            "fedora@p/q",
            "fedora@x/y",
            "suse@p/q",
            "debian@forge:p/q",
        ] {
            assert!(!valid(context), "{context}");
        }
    }

    #[test]
    fn a_branch_without_contexts_is_known_all_the_same() {
        let map = map(&[("p/q", "master", &[]), ("f:p/q", "main", &[])]);
        assert!(map.knows(&"p/q".parse().unwrap()));
        assert_eq!(default_branch(&map, "p/q"), "master");
        assert_eq!(default_branch(&map, "f:p/q"), "main");
        assert_eq!(default_branch(&map, "o/r"), "main");
    }

    #[test]
    fn a_context_can_be_injected_everywhere() {
        let mut map = map(&[("o/r", "main", &["fedora"]), ("p/q", "master", &["rhel"])]);
        let unknown = "x/y".parse().unwrap();
        assert!(!map.knows(&unknown));
        map.inject("main".parse().unwrap(), "arch".parse().unwrap());
        let contexts = |repo: &str| map.contexts(&repo.parse().unwrap(), &"main".parse().unwrap()).count();
        assert_eq!((contexts("o/r"), contexts("p/q"), contexts("x/y")), (2, 1, 1));
        assert!(map.knows(&unknown) && map.is_valid(&unknown, &"arch/z".parse().unwrap()));
    }
}
