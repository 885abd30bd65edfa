//! Which of the secrets that a job names it is given: a pure function of the rules and of where its code comes from.

use std::fmt;

use common::id::{CommitSha, ForgeName, RepoName, SecretName};

use super::super::{Authors, ContainerSettings, RepoRule, SecretRule, SecretSettings};
use super::references;

/// A commit whose code runs, or that the code is run for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct Origin {
    /// The forge that it is on.
    pub(in super::super) forge: ForgeName,
    /// Where it was asked for.
    pub(in super::super) repo: RepoName,
    /// Whose it is.
    pub(in super::super) author: Author,
}

/// Whose a commit is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) enum Author {
    /// The tip of a branch of the repository: who may push there.
    Repository,
    /// That of a pull whose author is on the allow list.
    Listed,
    /// That of a pull of somebody else. It runs because a maintainer asked for it, and that is all that speaks for it.
    Stranger(String),
    /// Nobody says whose it is: a commit that may have been a stranger's pull once.
    Unknown(CommitSha),
}

/// A secret that a job names and does not get.
#[derive(Debug, PartialEq, Eq)]
pub(in super::super) struct Withheld<'a> {
    name: &'a SecretName,
    /// Whose rule says so: the secret's own, or that of one that its words refer to.
    rule: SecretName,
    why: Why<'a>,
}

#[derive(Debug, PartialEq, Eq)]
enum Why<'a> {
    Repo(&'a RepoName),
    Stranger(&'a str),
    Unknown(&'a CommitSha),
}

impl fmt::Display for Withheld<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, rule, why } = self;
        write!(f, "the secret `{name}` is withheld: by secrets.allow.{rule} it is not for ")?;
        match why {
            Why::Repo(repo) => write!(f, "{repo}"),
            Why::Stranger(login) => write!(f, "pulls of {login:?}, who is not on the allow list"),
            Why::Unknown(sha) => {
                write!(f, "the commit {}, which is neither a pull's head nor a branch's tip", sha.short(12))
            }
        }
    }
}

/// What came of the names.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in super::super) struct Decision<'a> {
    pub(in super::super) given: Vec<&'a SecretName>,
    pub(in super::super) withheld: Vec<Withheld<'a>>,
}

/// The rules, and what they are about.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Rules<'s> {
    pub(in super::super) container: &'s ContainerSettings,
    pub(in super::super) secrets: &'s SecretSettings,
    /// The forge that a rule means which names none.
    pub(in super::super) default_forge: &'s ForgeName,
}

impl<'s> Rules<'s> {
    /// Whether a rule about any of these secrets asks whose the code is.
    pub(in super::super) fn ask_for_authors(&self, named: &[SecretName]) -> bool {
        named.iter().flat_map(|it| self.about(it)).any(|(_, rule)| rule.authors == Authors::Listed)
    }

    /// Gives what no rule is against. A rule must hold for every origin: what runs, and what it runs for.
    pub(in super::super) fn decide<'a>(
        &self,
        named: &'a [SecretName],
        origins: &'a [Origin],
    ) -> Decision<'a> {
        let mut decision = Decision::default();
        for name in named {
            let against = self.about(name).into_iter().find_map(|(of, rule)| {
                origins.iter().find_map(|it| self.against(rule, it)).map(|why| (of, why))
            });
            match against {
                None => decision.given.push(name),
                Some((rule, why)) => decision.withheld.push(Withheld { name, rule, why }),
            }
        }
        decision
    }

    /// The rule about a secret, and those about the secrets that its words refer to.
    fn about(&self, name: &SecretName) -> Vec<(SecretName, &'s SecretRule)> {
        let words = self.container.secrets.get(name).into_iter().flatten();
        let referred = words.flat_map(|it| references(it)).filter_map(|it| SecretName::new(it).ok());
        let names = [name.clone()].into_iter().chain(referred);
        names.filter_map(|it| self.secrets.allow.get(&it).map(|rule| (it, rule))).collect()
    }

    fn against<'o>(&self, rule: &SecretRule, origin: &'o Origin) -> Option<Why<'o>> {
        let meant = |it: &RepoRule| it.fits(self.default_forge, &origin.forge, &origin.repo);
        if !rule.repos.iter().any(meant) {
            return Some(Why::Repo(&origin.repo));
        }
        match (rule.authors, &origin.author) {
            (Authors::Any, _) | (Authors::Listed, Author::Repository | Author::Listed) => None,
            (Authors::Listed, Author::Stranger(login)) => Some(Why::Stranger(login)),
            (Authors::Listed, Author::Unknown(sha)) => Some(Why::Unknown(sha)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::settings;
    use super::*;

    fn origin(forge: Option<&str>, repo: &str, author: Author) -> Origin {
        let forge = forge.unwrap_or("github").parse().unwrap();
        Origin { forge, repo: repo.parse().unwrap(), author }
    }

    /// Those of `token` and `keys` that are given, under a rule about `token`.
    fn given(repos: &[&str], authors: Authors, origins: &[Origin]) -> (Vec<String>, Vec<String>) {
        let (container, mut secrets) = settings();
        let rule = SecretRule { repos: repos.iter().map(|it| it.parse().unwrap()).collect(), authors };
        secrets.allow.insert(SecretName::new("token").unwrap(), rule);
        let named = ["token", "keys"].map(|it| SecretName::new(it).unwrap());
        let default_forge = &"github".parse().unwrap();
        let rules = Rules { container: &container, secrets: &secrets, default_forge };
        let Decision { given, withheld } = rules.decide(&named, origins);
        (given.iter().map(ToString::to_string).collect(), withheld.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn a_rule_is_about_repositories_and_authors() {
        use Author::{Listed, Repository};
        let stranger = || Author::Stranger("mallory".to_owned());
        let unknown = || Author::Unknown("abcdef0".parse().unwrap());
        let (any, listed) = (Authors::Any, Authors::Listed);
        for (repos, authors, origins, token) in [
            // Repositories.
            (&["o/r"][..], any, vec![origin(None, "o/r", stranger())], true),
            (&["o/r"], any, vec![origin(None, "O/R", Repository)], true),
            (&["o/*"], any, vec![origin(None, "o/x", unknown())], true),
            (&["a/b", "o/*"], any, vec![origin(None, "o/x", Listed)], true),
            (&["o/r"], any, vec![origin(None, "o/r2", Repository)], false),
            (&["o/*"], any, vec![origin(None, "p/o", Listed)], false),
            (&[], any, vec![origin(None, "o/r", Repository)], false),
            // The same name on another forge is another repository.
            (&["o/r"], any, vec![origin(Some("other"), "o/r", Repository)], false),
            (&["other:o/r"], any, vec![origin(Some("other"), "o/r", Repository)], true),
            (&["github:o/r"], any, vec![origin(None, "o/r", Repository)], true),
            (&["other:o/r"], any, vec![origin(None, "o/r", Repository)], false),
            // Authors.
            (&["*/*"], listed, vec![origin(None, "o/r", Repository)], true),
            (&["*/*"], listed, vec![origin(None, "o/r", Listed)], true),
            (&["*/*"], listed, vec![origin(None, "o/r", stranger())], false),
            (&["*/*"], listed, vec![origin(None, "o/r", unknown())], false),
            (&["o/r"], listed, vec![origin(None, "p/r", Listed)], false),
            // The code that runs, and what it runs for.
            (&["o/*"], any, vec![origin(None, "o/r", Listed), origin(None, "p/bots", Repository)], false),
            (&["o/*"], any, vec![origin(None, "p/r", Listed), origin(None, "o/bots", Repository)], false),
            (&["*/*"], listed, vec![origin(None, "o/r", Listed), origin(None, "p/bots", stranger())], false),
            (&["*/*"], listed, vec![origin(None, "o/r", stranger()), origin(None, "p/b", Listed)], false),
            (&["*/*"], listed, vec![origin(None, "o/r", Listed), origin(None, "p/b", Repository)], true),
        ] {
            let (names, withheld) = given(repos, authors, &origins);
            let expected = if token { &["token", "keys"][..] } else { &["keys"] };
            assert_eq!(names, expected, "{repos:?} {authors:?} {origins:?}");
            assert_eq!(withheld.len(), usize::from(!token), "{withheld:?}");
        }
    }

    #[test]
    fn what_is_withheld_says_why() {
        let why = |repos, author| given(repos, Authors::Listed, &[origin(None, "o/r", author)]).1.remove(0);
        for (told, expected) in [
            (why(&["p/*"], Author::Listed), "not for o/r"),
            (why(&["*/*"], Author::Stranger("x\ny".to_owned())), "pulls of \"x\\ny\", who is not"),
            (why(&["*/*"], Author::Unknown("abcdef0".parse().unwrap())), "the commit abcdef0, which"),
        ] {
            assert!(told.contains(expected), "{told}");
            assert!(told.starts_with("the secret `token` is withheld: by secrets.allow.token "), "{told}");
        }
    }

    #[test]
    fn a_rule_holds_for_who_refers_to_the_secret_too() {
        let (container, mut secrets) = settings();
        let rule = SecretRule { repos: vec!["o/r".parse().unwrap()], authors: Authors::Listed };
        secrets.allow.insert(SecretName::new("outside").unwrap(), rule);
        let named = ["keys", "token"].map(|it| SecretName::new(it).unwrap());
        let default_forge = &"github".parse().unwrap();
        let rules = Rules { container: &container, secrets: &secrets, default_forge };
        assert!(rules.ask_for_authors(&named));
        assert!(!rules.ask_for_authors(&named[1..]));
        let origins = [origin(None, "p/r", Author::Repository)];
        let Decision { given, withheld } = rules.decide(&named, &origins);
        assert_eq!(given, [&named[1]]);
        assert!(withheld[0].to_string().contains("`keys` is withheld: by secrets.allow.outside"));
    }
}
