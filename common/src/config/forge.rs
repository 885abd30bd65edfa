//! `[forge]`: the forges that repositories are on.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use prometheus_client::registry::Registry;
use reqwest::Url;

use super::{Node, Reader, Summary, Table};
use crate::Chain;
use crate::forge::{Forge, ForgeMetrics, ForgeSettings, Limits, Token, Writes};
use crate::id::ForgeName;

const GITHUB: &str = "github";
const GITHUB_API: &str = "https://api.github.com";
const GITHUB_CLONE: &str = "https://github.com";
const USER_AGENT: &str = concat!("flotilla/", env!("CARGO_PKG_VERSION"));

/// As many as GitHub allows at a time for everything that uses one token.
const MOST_REQUESTS: u64 = 100;
/// In bytes.
const MOST_CACHED: u64 = 1 << 34;

/// The configured forges. Clones are the same ones.
#[derive(Clone, Debug)]
pub struct Forges(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    default: Forge,
    named: BTreeMap<ForgeName, Forge>,
    metrics: ForgeMetrics,
}

/// What the forges of a process share.
#[derive(Clone, Copy)]
struct Making<'m> {
    reader: Whose,
    metrics: &'m ForgeMetrics,
}

/// For whom forges are read, which says what a table means that leaves it open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Whose {
    /// A program that stays: answers do not outlive it without `cache-dir`, and where there is a token there is posting.
    Service,
    /// A program that is run by hand and ends: answers are kept in the user's cache, and nothing is posted.
    Person,
}

impl Forges {
    /// Reads `[forge]`. The forge `github` is always there: the environment says where it is and how to get in, and a table
    /// `[forge.github]` refines that.
    ///
    /// What the forges answer outlives the process only where `cache-dir` names a folder: this is for programs that stay.
    pub fn read(reader: &Reader) -> Option<Self> {
        Self::read_with(reader, Whose::Service)
    }

    /// The same for programs that are run by hand and end: what the forges answer is kept below `$XDG_CACHE_HOME/flotilla/forge`,
    /// unless `cache-dir` names another folder, and nothing is posted where no `post = true` asks for it, token or not.
    pub fn read_for_a_person(reader: &Reader) -> Option<Self> {
        Self::read_with(reader, Whose::Person)
    }

    fn read_with(reader: &Reader, whose: Whose) -> Option<Self> {
        let metrics = ForgeMetrics::default();
        let making = Making { reader: whose, metrics: &metrics };
        let table = reader.table("forge");
        table.retired("driver");
        let asked: Option<ForgeName> = table.parse("default");
        let mut forges = BTreeMap::new();
        let configured: BTreeSet<&str> =
            table.names().map(String::as_str).filter(|it| !["default", "driver"].contains(it)).collect();
        for name in &configured {
            if let Some(forge) = read_forge(&table, name, making) {
                forges.insert(forge.name().clone(), forge);
            }
        }
        let name = asked.map_or_else(|| ForgeName::new(GITHUB), Ok).ok()?;
        if !configured.contains(GITHUB)
            && let Some(forge) = built_in(&table, name.as_str() == GITHUB, making)
        {
            forges.insert(forge.name().clone(), forge);
        }
        table.done();
        let default = forges.get(&name).cloned();
        if default.is_none() && !configured.contains(name.as_str()) && name.as_str() != GITHUB {
            reader.problem("forge.default", format!("there is no table [forge.{name}]"));
        }
        Some(Self(Arc::new(Inner { default: default?, named: forges, metrics })))
    }

    /// The one that `forge.default` names, else `github`.
    #[must_use]
    pub fn default_forge(&self) -> &Forge {
        &self.0.default
    }

    /// Shows operators what is asked of the forges.
    pub fn register(&self, registry: &mut Registry) {
        self.0.metrics.register(registry);
    }

    /// The forge of this name, or the default one; none if nobody configured it.
    #[must_use]
    pub fn get(&self, name: Option<&ForgeName>) -> Option<&Forge> {
        name.map_or(Some(&self.0.default), |it| self.0.named.get(it))
    }

    /// What was understood of `[forge]`.
    pub fn summarize(&self, summary: &mut Summary) {
        summary.table("forge");
        summary.line("default", self.0.default.name());
        for (name, forge) in &self.0.named {
            summary.line(
                name.as_str(),
                if forge.says_only() { "is read; nothing is posted" } else { "is posted to" },
            );
        }
    }
}

/// What is wrong with the forge is a problem, unless nobody mentions it: a machine of another forge may well be unable to
/// reach `github`.
fn built_in(forges: &Table<'_>, wanted: bool, making: Making<'_>) -> Option<Forge> {
    let (settings, limits) = read_settings(&forges.table(GITHUB), GITHUB, making.reader)?;
    let made = Forge::with_metrics(settings, limits, making.metrics);
    if let Err(error) = &made {
        if wanted {
            forges.problem(GITHUB, Chain(error).to_string());
        } else {
            tracing::info!(error = %Chain(error), "the forge `github` is not used");
        }
    }
    made.ok()
}

fn read_forge(forges: &Table<'_>, name: &str, making: Making<'_>) -> Option<Forge> {
    let table = forges.table(name);
    if let Some(driver) = table.text("driver")
        && driver != "github"
    {
        table.problem(
            "driver",
            format!("expected \"github\" (Forgejo and Gitea speak enough of it), found {driver:?}"),
        );
    }
    table.retired("content-url");
    let read = read_settings(&table, name, making.reader);
    table.done();
    let (settings, limits) = read?;
    let made = Forge::with_metrics(settings, limits, making.metrics);
    if let Err(error) = &made {
        // One that came with the program is nobody's mistake.
        if forges.value(name).is_some_and(Node::is_built_in) {
            tracing::info!(error = %Chain(error), "the forge `{name}` is not used");
        } else {
            forges.problem(name, Chain(error).to_string());
        }
    }
    made.ok()
}

fn read_settings(table: &Table<'_>, name: &str, whose: Whose) -> Option<(ForgeSettings, Limits)> {
    let is_github = name == GITHUB;
    let reader = table.reader;
    let token = read_token(table);
    let token = if is_github { token.or_else(|| github_token(reader)) } else { token };
    // Each is read before the first of them ends this: all problems are told at once.
    let limits = read_limits(table);
    let cache_dir = cache_dir(table, name, whose);
    let (api_url, clone_url) = (url(table, "api-url", is_github), url(table, "clone-url", is_github));
    let settings = ForgeSettings {
        name: ForgeName::new(name)
            .inspect_err(|it| reader.problem(&format!("forge.{name}"), it.to_string()))
            .ok()?,
        writes: writes(table, token.is_some(), whose),
        user_agent: table.text("user-agent").unwrap_or_else(|| USER_AGENT.to_owned()),
        ca: table.text("ca").and_then(|it| certificates(table, it)),
        token,
        api_url: api_url?,
        clone_url: clone_url?,
        cache_dir,
    };
    Some((settings, limits))
}

fn cache_dir(table: &Table<'_>, name: &str, whose: Whose) -> Option<PathBuf> {
    let caches = table.reader.environment.cache_home.as_ref().filter(|_| whose == Whose::Person);
    table.path("cache-dir").or_else(|| Some(caches?.join("flotilla/forge").join(name)))
}

fn read_limits(table: &Table<'_>) -> Limits {
    let defaults = Limits::default();
    let number = |key, least, most| table.number(key, least, most).and_then(|it| usize::try_from(it).ok());
    Limits {
        requests: number("max-requests", 1, MOST_REQUESTS).unwrap_or(defaults.requests),
        cache: number("cache-bytes", 0, MOST_CACHED).unwrap_or(defaults.cache),
        ..defaults
    }
}

/// A text, or `[{file="NAME"}]`: that file is read again when it changes.
fn read_token(table: &Table<'_>) -> Option<Token> {
    let text = table.text("token")?;
    match table.file_of("token") {
        Some(file) => token_file(table.reader, &file),
        None => Some(text.into()),
    }
}

fn token_file(reader: &Reader, file: &Path) -> Option<Token> {
    match Token::from_file(file.to_owned()) {
        Ok(token) => Some(token),
        Err(error) => {
            reader.problem_in(file, None, format!("the forge's token cannot be read: {error}"));
            None
        }
    }
}

fn url(table: &Table<'_>, key: &str, is_github: bool) -> Option<Url> {
    if table.value(key).is_some() {
        return table.parse(key);
    }
    match (is_github, key, &table.reader.environment.github_api) {
        (false, _, _) => {
            table.problem(key, "is missing; only the forge called `github` has a default");
            None
        }
        (true, "api-url", Some(api)) => api
            .parse()
            .inspect_err(|it| table.reader.problem("$GITHUB_API", format!("expected a URL: {it}")))
            .ok(),
        (true, "api-url", None) => GITHUB_API.parse().ok(),
        (true, _, _) => GITHUB_CLONE.parse().ok(),
    }
}

/// `post = true` needs a token; where nothing is said, a service posts where there is a token, and a person does not.
fn writes(table: &Table<'_>, has_token: bool, whose: Whose) -> Writes {
    match table.flag("post") {
        Some(true) if !has_token => {
            table.problem("token", "is missing; `post = true` needs it");
            Writes::Post
        }
        Some(true) => Writes::Post,
        None if has_token && whose == Whose::Service => Writes::Post,
        Some(false) | None => Writes::Say,
    }
}

/// The certificates that a table's key `ca` names: a PEM text, or the path of one.
#[must_use]
pub fn certificates(table: &Table<'_>, text: String) -> Option<String> {
    if text.contains("-----BEGIN") {
        return Some(text);
    }
    let file = table.reader.path(&text);
    std::fs::read_to_string(&file)
        .inspect_err(|it| table.problem("ca", format!("{} cannot be read: {it}", file.display())))
        .ok()
}

/// The first of these files that exists (wire facts, section 3).
fn github_token(reader: &Reader) -> Option<Token> {
    let environment = &reader.environment;
    let in_home = |path: &str| environment.config_home.as_ref().map(|it| it.join(path));
    let files: [Option<PathBuf>; 3] =
        [environment.github_token_file.clone(), in_home("cockpit-dev/github-token"), in_home("github-token")];
    let file = files.into_iter().flatten().find(|it| it.is_file())?;
    token_file(reader, &file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Environment, Source};

    fn read(text: &str, environment: Environment) -> Result<Forges, Vec<String>> {
        let reader = Reader::new(Source::from_toml(text).unwrap(), environment);
        let forges = Forges::read(&reader);
        match reader.finish(()) {
            Ok(()) => Ok(forges.unwrap()),
            Err(error) => Err(error.0.iter().map(|it| format!("{}: {}", it.key, it.text)).collect()),
        }
    }

    /// In the clear and on this machine, so that no test depends on the machine's authorities.
    fn environment() -> Environment {
        Environment { github_api: Some("http://127.0.0.1:1/".to_owned()), ..Environment::default() }
    }

    fn with_token(folder: &tempfile::TempDir) -> Environment {
        let file = folder.path().join("token");
        std::fs::write(&file, "s3cret\n").unwrap();
        Environment { github_token_file: Some(file), ..environment() }
    }

    const OTHER: &str =
        "[forge.other]\napi-url = \"http://127.0.0.1:2/\"\nclone-url = \"https://git.example/\"\n";

    fn name(text: &str) -> ForgeName {
        ForgeName::new(text).unwrap()
    }

    #[test]
    fn github_is_there_and_the_default() {
        for text in ["", "[forge.github]\nuser-agent = \"me\"", OTHER] {
            let forges = read(text, environment()).unwrap();
            assert_eq!(forges.default_forge().name(), &name("github"), "{text}");
            let repo = "o/r".parse().unwrap();
            assert_eq!(forges.default_forge().clone_url(&repo), "https://github.com/o/r");
        }
        let forges = read(OTHER, environment()).unwrap();
        assert_eq!(forges.get(Some(&name("other"))).unwrap().name(), &name("other"));
        assert!(forges.get(Some(&name("third"))).is_none());
    }

    #[test]
    fn another_can_be_the_default() {
        let forges = read(&format!("[forge]\ndefault = \"other\"\n{OTHER}"), environment()).unwrap();
        assert_eq!(forges.default_forge().name(), &name("other"));
        assert_eq!(forges.get(Some(&name("github"))).unwrap().name(), &name("github"));
        let problems = read("[forge]\ndefault = \"third\"", environment()).unwrap_err();
        assert_eq!(problems, ["forge.default: there is no table [forge.third]"]);
    }

    #[test]
    fn a_table_without_a_token_has_the_one_of_the_files() {
        let folder = tempfile::tempdir().unwrap();
        let says_only =
            |text: &str, environment| read(text, environment).unwrap().default_forge().says_only();
        assert!(says_only("", environment()));
        assert!(!says_only("", with_token(&folder)));
        assert!(!says_only("[forge.github]\nuser-agent = \"me\"", with_token(&folder)));
        assert!(!says_only("[forge.github]\npost = true", with_token(&folder)));
        assert!(says_only("[forge.github]\npost = false", with_token(&folder)));
        assert!(!says_only("[forge.github]\ntoken = \"t\"", environment()));
        let forges = read(OTHER, with_token(&folder)).unwrap();
        assert!(forges.get(Some(&name("other"))).unwrap().says_only(), "the files are github's");
    }

    #[test]
    fn how_much_is_asked_and_kept_has_bounds() {
        for (text, key) in [
            ("max-requests = 0", "forge.other.max-requests"),
            ("max-requests = 101", "forge.other.max-requests"),
            ("cache-bytes = -1", "forge.other.cache-bytes"),
            ("cache-dir = 7", "forge.other.cache-dir"),
            ("cache = 7", "forge.other.cache"),
        ] {
            let problems = read(&format!("{OTHER}{text}"), environment()).unwrap_err();
            assert!(problems[0].starts_with(&format!("{key}: ")), "{problems:?}");
        }
        let good = "max-requests = 1\ncache-bytes = 0\ncache-dir = \"/var/cache/flotilla\"";
        read(&format!("{OTHER}{good}"), environment()).unwrap();
    }

    #[test]
    fn answers_outlive_a_process_where_that_is_asked_for() {
        let environment = Environment { cache_home: Some("/c".into()), ..environment() };
        let reader = Reader::new(Source::from_toml("[forge.hub]\ncache-dir = \"/k\"").unwrap(), environment);
        let forges = reader.table("forge");
        let folder = |name, whose| {
            let table = forges.table(name);
            cache_dir(&table, name, whose).map(|it| it.display().to_string())
        };
        assert_eq!(folder("github", Whose::Service), None);
        assert_eq!(folder("github", Whose::Person).as_deref(), Some("/c/flotilla/forge/github"));
        assert_eq!(folder("hub", Whose::Service).as_deref(), Some("/k"));
        assert_eq!(folder("hub", Whose::Person).as_deref(), Some("/k"));
    }

    #[test]
    fn a_person_posts_nothing_that_was_not_asked_for() {
        for (post, says_only) in [("", true), ("post = false", true), ("post = true", false)] {
            let text = format!("[forge]\ndefault = \"other\"\n{OTHER}token = \"t\"\n{post}");
            let reader = Reader::new(Source::from_toml(&text).unwrap(), environment());
            let forges = Forges::read_for_a_person(&reader).unwrap();
            assert_eq!(forges.default_forge().says_only(), says_only, "{post}");
        }
    }

    #[test]
    fn keys_of_older_programs_are_passed_over() {
        let text = format!("[forge]\ndriver = \"github\"\n{OTHER}content-url = \"https://raw.example/\"");
        read(&text, environment()).unwrap();
    }

    #[test]
    fn a_token_can_be_in_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        let text = format!("{OTHER}post = true\ntoken = [{{file={:?}}}]", file.display().to_string());
        let missing = read(&text, environment()).unwrap_err();
        assert!(missing.iter().any(|it| it.contains("cannot be read")), "{missing:?}");
        std::fs::write(&file, " s3cret \n").unwrap();
        assert!(!read(&text, environment()).unwrap().get(Some(&name("other"))).unwrap().says_only());
        std::fs::write(&file, "").unwrap();
        let empty = read(&text, environment()).unwrap_err();
        assert_eq!(
            empty,
            ["forge.other: forge `other`: token: expected one line of visible ASCII characters"]
        );
    }

    #[test]
    fn a_forge_that_is_not_github_says_where_it_is() {
        let problems = read("[forge.other]\ndriver = \"gitlab\"", environment()).unwrap_err();
        let keys: Vec<_> = problems.iter().map(|it| it.split_once(": ").unwrap().0).collect();
        assert_eq!(keys, ["forge.other.driver", "forge.other.api-url", "forge.other.clone-url"]);
    }

    #[test]
    fn a_github_that_cannot_be_used_matters_only_where_it_is_meant() {
        let folder = tempfile::tempdir().unwrap();
        let in_the_clear =
            || Environment { github_api: Some("http://api.example/".to_owned()), ..with_token(&folder) };
        assert!(read("", in_the_clear()).unwrap_err()[0].contains("clear text"));
        let forges = read(&format!("[forge]\ndefault = \"other\"\n{OTHER}"), in_the_clear()).unwrap();
        assert!(forges.get(Some(&name("github"))).is_none());
    }
}
