//! `[forge]`: the forges that repositories are on.

use std::collections::BTreeMap;
use std::path::PathBuf;

use reqwest::Url;
use secrecy::SecretString;

use super::{Reader, Table};
use crate::forge::{Forge, ForgeSettings, Writes};
use crate::id::ForgeName;

const GITHUB: &str = "github";
const GITHUB_API: &str = "https://api.github.com";
const GITHUB_CLONE: &str = "https://github.com";
const USER_AGENT: &str = concat!("flotilla/", env!("CARGO_PKG_VERSION"));

/// The configured forges.
#[derive(Clone, Debug)]
pub struct Forges {
    default: Forge,
    forges: BTreeMap<ForgeName, Forge>,
}

impl Forges {
    /// Reads `[forge]`. Without it there is one forge, `github`, found and authenticated by the environment.
    pub fn read(reader: &Reader) -> Option<Self> {
        let table = reader.table("forge");
        let asked: Option<ForgeName> = table.parse("default");
        let mut forges = BTreeMap::new();
        for name in table.names().filter(|it| *it != "default") {
            if let Some(forge) = read_forge(&table, name) {
                forges.insert(forge.name().clone(), forge);
            }
        }
        if forges.is_empty() && table.names().all(|it| it == "default") {
            let github = default_github(reader)?;
            forges.insert(github.name().clone(), github);
        }
        table.done();
        let Some(asked) = asked else {
            let default = forges.values().next()?.clone();
            return Some(Self { default, forges });
        };
        let default = forges.get(&asked).cloned();
        if default.is_none() {
            reader.problem("forge.default", format!("there is no table [forge.{asked}]"));
        }
        Some(Self { default: default?, forges })
    }

    /// The default one: the only one, the one that `forge.default` names, else the first by name.
    #[must_use]
    pub const fn default_forge(&self) -> &Forge {
        &self.default
    }

    /// The forge of this name, or the default one; none if nobody configured it.
    #[must_use]
    pub fn get(&self, name: Option<&ForgeName>) -> Option<&Forge> {
        name.map_or(Some(&self.default), |it| self.forges.get(it))
    }
}

fn read_forge(forges: &Table<'_>, name: &str) -> Option<Forge> {
    let table = forges.table(name);
    if let Some(driver) = table.text("driver")
        && driver != "github"
    {
        table.problem(
            "driver",
            format!("expected \"github\" (Forgejo and Gitea speak enough of it), found {driver:?}"),
        );
    }
    let is_github = name == GITHUB;
    let url = |key: &str, default: &str| match table.parse::<Url>(key) {
        None if table.value(key).is_none() && !is_github => {
            table.problem(key, "is missing; only the forge called `github` has a default");
            None
        }
        None => default.parse().ok(),
        found => found,
    };
    let api = forges.reader.environment.github_api.as_deref().unwrap_or(GITHUB_API);
    let token = table.text("token").map(SecretString::from);
    let writes = writes(&table, token.is_some());
    let settings = ForgeSettings {
        name: ForgeName::new(name).inspect_err(|it| forges.problem(name, it.to_string())).ok()?,
        api_url: url("api-url", api)?,
        clone_url: url("clone-url", GITHUB_CLONE)?,
        user_agent: table.text("user-agent").unwrap_or_else(|| USER_AGENT.to_owned()),
        token,
        writes,
        ca: table.text("ca").and_then(|it| certificates(&table, it)),
    };
    table.done();
    make(forges.reader, &format!("forge.{name}"), settings)
}

/// `post = true` needs a token; where nothing is said, there is posting where there is a token.
fn writes(table: &Table<'_>, has_token: bool) -> Writes {
    match table.flag("post") {
        Some(true) if !has_token => {
            table.problem("token", "is missing; `post = true` needs it");
            Writes::Post
        }
        Some(true) => Writes::Post,
        None if has_token => Writes::Post,
        Some(false) | None => Writes::Say,
    }
}

/// A PEM text, or the path of one.
fn certificates(table: &Table<'_>, text: String) -> Option<String> {
    if text.contains("-----BEGIN") {
        return Some(text);
    }
    let file = table.reader.path(&text);
    std::fs::read_to_string(&file)
        .inspect_err(|it| table.problem("ca", format!("{} cannot be read: {it}", file.display())))
        .ok()
}

fn default_github(reader: &Reader) -> Option<Forge> {
    let token = github_token(reader);
    let settings = ForgeSettings {
        name: ForgeName::new(GITHUB).ok()?,
        api_url: reader
            .environment
            .github_api
            .as_deref()
            .unwrap_or(GITHUB_API)
            .parse()
            .inspect_err(|it| reader.problem("$GITHUB_API", format!("expected a URL: {it}")))
            .ok()?,
        clone_url: GITHUB_CLONE.parse().ok()?,
        user_agent: USER_AGENT.to_owned(),
        writes: if token.is_some() { Writes::Post } else { Writes::Say },
        token,
        ca: None,
    };
    make(reader, "$GITHUB_API", settings)
}

/// The first of these files that exists (wire facts, section 3).
fn github_token(reader: &Reader) -> Option<SecretString> {
    let environment = &reader.environment;
    let in_home = |path: &str| environment.config_home.as_ref().map(|it| it.join(path));
    let files: [Option<PathBuf>; 3] =
        [environment.github_token_file.clone(), in_home("cockpit-dev/github-token"), in_home("github-token")];
    let file = files.into_iter().flatten().find(|it| it.is_file())?;
    match std::fs::read_to_string(&file) {
        Ok(text) => Some(text.trim().into()),
        Err(error) => {
            reader.problem_in(&file, None, format!("the forge's token cannot be read: {error}"));
            None
        }
    }
}

fn make(reader: &Reader, key: &str, settings: ForgeSettings) -> Option<Forge> {
    Forge::new(settings).inspect_err(|it| reader.problem(key, crate::Chain(it).to_string())).ok()
}
