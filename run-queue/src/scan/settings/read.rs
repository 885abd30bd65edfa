//! Reads `[scan]`: a function a concern.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use common::config::{Format, Node, Reader, Table};
use common::id::{BranchName, Context, RepoName, SecretName};

use super::{ScanArgs, ScanSettings};
use crate::scan::issue::IssueItems;
use crate::scan::{AllowList, SweepSettings, Template, TestContext, TestMap, merged};

/// Short enough for a person who waits, long enough to cost nothing.
const RELOAD: Duration = Duration::from_secs(1);

impl ScanArgs {
    /// Reads `[scan]`; the options win.
    #[must_use]
    pub fn read(&self, reader: &Reader) -> ScanSettings {
        let table = reader.table("scan");
        let default = ScanSettings::default();
        let mut test_map = test_map(reader, &table, self.test_map.as_deref());
        inject(reader, &mut test_map);
        let settings = ScanSettings {
            test_map,
            allow_list: allow_list(reader, &table, self.allow_list.as_deref()),
            internal_patterns: internal_patterns(&table).unwrap_or(default.internal_patterns),
            bots_repo: table.parse("bots-repo").unwrap_or(default.bots_repo),
            secrets: secret_names(&table, "secrets").unwrap_or(default.secrets),
            extra_secrets: extra_secrets(&table),
            issue_items: IssueItems::read(&table),
            merged_pull_command: merged_pull_command(&table),
            sweep: SweepSettings::read(table.table("sweep")),
        };
        // Known here; see `reload_every`.
        table.value("reload-seconds");
        table.done();
        settings
    }

    /// How often the files of these settings are looked at.
    #[must_use]
    pub fn reload_every(&self, reader: &Reader) -> Duration {
        reader.table("scan").seconds("reload-seconds", 0.05, 3600.0).unwrap_or(RELOAD)
    }
}

/// The file of an option, else the one that the configuration names; none for a value that is in the configuration.
fn file_of(reader: &Reader, option: Option<&Path>, configured: Option<&Node>) -> Option<PathBuf> {
    let named = || configured.and_then(Node::as_str).map(|it| reader.path(it));
    option.map(Path::to_owned).or_else(named)
}

fn test_map(reader: &Reader, table: &Table<'_>, option: Option<&Path>) -> TestMap {
    let configured = table.value("test-map");
    if let Some(file) = file_of(reader, option, configured) {
        let Some((root, place)) = reader.tree_of(&file, Format::Json) else { return TestMap::default() };
        return TestMap::read(&root, &place);
    }
    match configured {
        None => TestMap::default(),
        Some(map) if map.as_table().is_some() => TestMap::read(map, &table.place("test-map")),
        Some(_) => {
            table.problem("test-map", "expected a file's path, or a table of repositories");
            TestMap::default()
        }
    }
}

/// Adds what the environment says; like the old programs, the first part is the branch.
fn inject(reader: &Reader, map: &mut TestMap) {
    let Some(text) = &reader.environment.testmap_inject else { return };
    let parts = text.split_once('/').and_then(|(branch, context)| {
        context.parse::<TestContext>().ok()?;
        Some((BranchName::new(branch).ok()?, Context::new(context).ok()?))
    });
    match parts {
        Some((branch, context)) => map.inject(branch, context),
        None => {
            reader.problem("$COCKPIT_TESTMAP_INJECT", "expected BRANCH/CONTEXT, such as `main/fedora/devel`");
        }
    }
}

fn allow_list(reader: &Reader, table: &Table<'_>, option: Option<&Path>) -> AllowList {
    let configured = table.value("allow-list");
    if let Some(file) = file_of(reader, option, configured) {
        return AllowList::read_file(reader, &file);
    }
    configured.map_or_else(AllowList::default, |it| AllowList::read(it, &table.place("allow-list")))
}

/// An empty pattern would be in every context.
fn internal_patterns(table: &Table<'_>) -> Option<Vec<String>> {
    let patterns = table.words("internal-patterns")?;
    if patterns.iter().any(String::is_empty) {
        table.problem(
            "internal-patterns",
            "expected texts with something in them: an empty one is in every context",
        );
    }
    Some(patterns)
}

fn merged_pull_command(table: &Table<'_>) -> Option<Template> {
    let key = "merged-pull-command";
    merged::command(&table.text(key)?).inspect_err(|it| table.problem(key, it.to_string())).ok()
}

fn secret_names(table: &Table<'_>, key: &str) -> Option<Vec<SecretName>> {
    let parsed: Result<Vec<_>, _> = table.words(key)?.into_iter().map(SecretName::new).collect();
    parsed.inspect_err(|it| table.problem(key, it.to_string())).ok()
}

fn extra_secrets(table: &Table<'_>) -> BTreeMap<RepoName, Vec<SecretName>> {
    let repos = table.table("extra-secrets");
    let mut extra = BTreeMap::new();
    for repo in repos.names() {
        match (RepoName::new(repo), secret_names(&repos, repo)) {
            (Ok(name), Some(secrets)) => {
                extra.insert(name, secrets);
            }
            (Err(error), _) => repos.problem(repo, error.to_string()),
            (Ok(_), None) => {}
        }
    }
    repos.done();
    extra
}
