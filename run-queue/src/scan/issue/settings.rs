//! `[scan.issue-items.NAME]`: what check lists can ask for.

use std::collections::BTreeMap;
use std::str::FromStr;

use common::config::Table;
use common::id::{RepoName, SecretName};

use super::super::template::Template;

/// What stands for the item's argument and the issue's number.
const PLACEHOLDERS: [&str; 2] = ["argument", "number"];
/// The item that is there without being configured.
const IMAGE_REFRESH: &str = "image-refresh";

/// The items, by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssueItems(BTreeMap<String, IssueItem>);

/// An item, and the job that it becomes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssueItem {
    /// The first word of the item.
    pub name: String,
    /// Where it can be asked for.
    pub repositories: Vec<RepoPattern>,
    /// What the job reports under.
    pub context: Template,
    /// What the job runs.
    pub command: Vec<Template>,
    /// What the job may have.
    pub secrets: Vec<SecretName>,
}

impl IssueItem {
    /// Whether it means nothing without an argument.
    #[must_use]
    pub fn takes_argument(&self) -> bool {
        self.command.iter().chain([&self.context]).any(|it| it.names("argument"))
    }
}

impl IssueItems {
    /// The item of this name, where it can be asked for.
    #[must_use]
    pub fn get(&self, repo: &RepoName, name: &str) -> Option<&IssueItem> {
        self.0.get(name).filter(|it| it.repositories.iter().any(|it| it.fits(repo)))
    }

    /// Whether anything can be asked for there.
    #[must_use]
    pub fn any_in(&self, repo: &RepoName) -> bool {
        self.0.values().any(|it| it.repositories.iter().any(|it| it.fits(repo)))
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = &IssueItem> {
        self.0.values()
    }

    /// Reads the table `issue-items`. A table for `image-refresh` changes the one that is there without it; one without
    /// repositories takes it away.
    pub(in super::super) fn read(scan: &Table<'_>) -> Self {
        let table = scan.table("issue-items");
        let mut items = Self::default();
        for name in table.names() {
            if name.is_empty() || name.contains(char::is_whitespace) {
                table.problem(name, "expected the first word of an item, without white space");
            }
            let before = items.0.remove(name.as_str());
            if let Some(item) = read_item(table.table(name), name, before) {
                items.0.insert(name.clone(), item);
            }
        }
        table.done();
        items
    }
}

impl Default for IssueItems {
    /// `image-refresh` in any repository called `bots`, as existing deployments have it.
    fn default() -> Self {
        let template = |text: &str| Template::parse(text, &PLACEHOLDERS).ok();
        let item = template("image-refresh/%{argument}").map(|context| IssueItem {
            name: IMAGE_REFRESH.to_owned(),
            repositories: "*/bots".parse().into_iter().collect(),
            context,
            command: ["./image-refresh", "--verbose", "--issue=%{number}", "%{argument}"]
                .into_iter()
                .filter_map(template)
                .collect(),
            secrets: ["github-token", "image-upload"]
                .into_iter()
                .filter_map(|it| SecretName::new(it).ok())
                .collect(),
        });
        Self(item.into_iter().map(|it| (it.name.clone(), it)).collect())
    }
}

fn read_item(own: Table<'_>, name: &str, before: Option<IssueItem>) -> Option<IssueItem> {
    let table = &own;
    let (old_repositories, old_context, old_command, old_secrets) = match before {
        Some(it) => (Some(it.repositories), Some(it.context), Some(it.command), it.secrets),
        None => (None, None, None, Vec::new()),
    };
    // Each is read before the first of them ends this: all problems are told at once.
    let repositories =
        read(table, "repositories", old_repositories, || parsed(table, "repositories", str::parse));
    let context = read(table, "context", old_context, || template(table, "context", &table.text("context")?));
    let command = read(table, "command", old_command, || {
        let words = parsed(table, "command", |it| Template::parse(it, &PLACEHOLDERS))?;
        let empty = words.is_empty();
        if empty {
            table.problem("command", "expected a program and its arguments");
        }
        (!empty).then_some(words)
    });
    let secrets = parsed(table, "secrets", |it| SecretName::new(it)).unwrap_or(old_secrets);
    own.done();
    Some(IssueItem {
        name: name.to_owned(),
        repositories: repositories?,
        context: context?,
        command: command?,
        secrets,
    })
}

/// A key that has to be there, unless there is something that it changes.
fn read<T>(table: &Table<'_>, key: &str, before: Option<T>, read: impl FnOnce() -> Option<T>) -> Option<T> {
    match (table.value(key), before) {
        (Some(_), _) => read(),
        (None, Some(before)) => Some(before),
        (None, None) => {
            table.problem(key, "is missing");
            None
        }
    }
}

fn template(table: &Table<'_>, key: &str, text: &str) -> Option<Template> {
    Template::parse(text, &PLACEHOLDERS).inspect_err(|it| table.problem(key, it.to_string())).ok()
}

fn parsed<T, E: ToString>(
    table: &Table<'_>,
    key: &str,
    parse: impl Fn(&str) -> Result<T, E>,
) -> Option<Vec<T>> {
    let parsed: Result<Vec<T>, E> = table.words(key)?.iter().map(|it| parse(it)).collect();
    parsed.map_err(|it| table.problem(key, it.to_string())).ok()
}

/// `OWNER/NAME`, where either may be `*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RepoPattern {
    owner: Option<String>,
    name: Option<String>,
}

impl RepoPattern {
    /// Whether a repository is meant. Case counts for nothing, as with forges.
    #[must_use]
    pub fn fits(&self, repo: &RepoName) -> bool {
        let fits = |wanted: &Option<String>, part: &str| {
            wanted.as_ref().is_none_or(|it| it.eq_ignore_ascii_case(part))
        };
        fits(&self.owner, repo.owner()) && fits(&self.name, repo.name())
    }
}

impl FromStr for RepoPattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?}: expected OWNER/NAME, where either may be `*`");
        // The grammar of a name, with a letter for each star.
        let (owner, name) = text.split_once('/').ok_or_else(wrong)?;
        let plain = |part: &str| if part == "*" { "x".to_owned() } else { part.to_owned() };
        RepoName::new(format!("{}/{}", plain(owner), plain(name))).map_err(|_| wrong())?;
        let part = |part: &str| (part != "*").then(|| part.to_owned());
        Ok(Self { owner: part(owner), name: part(name) })
    }
}

#[cfg(test)]
mod tests {
    use common::config::{ConfigError, Environment, Reader, Source};

    use super::*;

    fn items(text: &str) -> Result<IssueItems, ConfigError> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("c.toml");
        std::fs::write(&file, text).unwrap();
        let reader = Reader::new(Source::load(Some(&file)).unwrap(), Environment::default());
        let table = reader.table("scan");
        let items = IssueItems::read(&table);
        table.done();
        reader.finish(items)
    }

    fn names(items: &IssueItems, repo: &str) -> Vec<String> {
        let repo = repo.parse().unwrap();
        let there = items.iter().filter(|it| items.get(&repo, &it.name).is_some());
        there.map(|it| it.name.clone()).collect()
    }

    #[test]
    fn image_refresh_is_there_and_can_be_changed() {
        let default = items("").unwrap();
        assert_eq!(default, IssueItems::default());
        assert_eq!(names(&default, "o/bots"), ["image-refresh"]);
        assert!(!default.any_in(&"o/app".parse().unwrap()));
        let changed = items("[scan.issue-items.image-refresh]\nrepositories = [\"o/images\"]").unwrap();
        assert_eq!((names(&changed, "o/images").len(), names(&changed, "o/bots").len()), (1, 0));
        let item = changed.get(&"O/Images".parse().unwrap(), "image-refresh").unwrap();
        assert_eq!(item.command.len(), 4);
        let none = items("[scan.issue-items.image-refresh]\nrepositories = []").unwrap();
        assert_eq!(names(&none, "o/bots").len(), 0);
    }

    #[test]
    fn others_can_be_added() {
        let text = "[scan.issue-items.po-refresh]\nrepositories = [\"o/*\"]\ncontext = \"po-refresh\"\n\
                    command = [\"./po-refresh\", \"%{number}\"]\nsecrets = [\"github-token\"]";
        let items = items(text).unwrap();
        assert_eq!(names(&items, "o/bots"), ["image-refresh", "po-refresh"]);
        assert_eq!(names(&items, "o/app"), ["po-refresh"]);
        assert!(!items.get(&"o/app".parse().unwrap(), "po-refresh").unwrap().takes_argument());
    }

    #[test]
    fn all_that_is_wrong_is_told() {
        let text = "[scan.issue-items.a]\nrepositories = [\"o\"]\ncommand = [\"%{name}\"]\nspeed = 9\n\n\
                    [scan.issue-items.b]\nrepositories = []\ncontext = \"b\"\ncommand = []\n";
        let error = items(text).unwrap_err().to_string();
        for problem in [
            ":2: scan.issue-items.a.repositories: \"o\": expected OWNER/NAME",
            "scan.issue-items.a.context: is missing",
            ":3: scan.issue-items.a.command: %{name} stands for nothing; there are %{argument}, %{number}",
            ":4: scan.issue-items.a.speed: is no known key",
            ":9: scan.issue-items.b.command: expected a program",
        ] {
            assert!(error.contains(problem), "{problem} in {error}");
        }
    }
}
