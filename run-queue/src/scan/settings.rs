//! `[scan]`: what there is to test, and for whom.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use common::config::{Reader, Table};
use common::id::{BranchName, Context, RepoName, SecretName};
use serde_json::{Map, Value};

use super::issue::IssueItems;
use super::{AllowList, Project, SweepSettings, Template, TestContext, TestMap, merged};

/// The scanner's own options.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct ScanArgs {
    /// Test map: JSON {"owner/name": {"branch": ["context", …]}} [default: the table scan.test-map]
    #[arg(long, value_name = "FILE", global = true)]
    pub test_map: Option<PathBuf>,
    /// Allow list: one login or organisation a line [default: scan.allow-list]
    #[arg(long, value_name = "FILE", global = true)]
    pub allow_list: Option<PathBuf>,
}

/// What there is to test, and for whom.
#[derive(Clone, Debug, PartialEq)]
pub struct ScanSettings {
    /// Which contexts a branch is tested with.
    pub test_map: TestMap,
    /// Whose pulls are tested without being asked.
    pub allow_list: AllowList,
    /// A context that contains one of these needs resources inside a network.
    pub internal_patterns: Vec<String>,
    /// What `bots#N` in a context refers to.
    pub bots_repo: RepoName,
    /// What every job may have.
    pub secrets: Vec<SecretName>,
    /// What the jobs of a repository may have beside that.
    pub extra_secrets: BTreeMap<RepoName, Vec<SecretName>>,
    /// What check lists can ask for.
    pub issue_items: IssueItems,
    /// What is queued for a merged pull; none: our own kind of task.
    pub merged_pull_command: Option<Template>,
    /// When everything is looked at.
    pub sweep: SweepSettings,
}

impl Default for ScanSettings {
    /// Nothing to test; the rest as existing deployments have it.
    fn default() -> Self {
        let known = "only constants, within their grammars";
        Self {
            test_map: TestMap::default(),
            allow_list: AllowList::default(),
            internal_patterns: vec!["rhel".to_owned()],
            #[expect(clippy::expect_used, reason = "a constant")]
            bots_repo: RepoName::new("cockpit-project/bots").expect(known),
            secrets: ["github-token", "image-download"]
                .iter()
                .filter_map(|it| SecretName::new(*it).ok())
                .collect(),
            extra_secrets: BTreeMap::new(),
            issue_items: IssueItems::default(),
            merged_pull_command: None,
            sweep: SweepSettings::default(),
        }
    }
}

impl ScanSettings {
    /// Whether a context's jobs go to the internal queue.
    #[must_use]
    pub fn is_internal(&self, context: &str) -> bool {
        self.internal_patterns.iter().any(|it| context.contains(it.as_str()))
    }

    /// The secrets of a repository's jobs.
    #[must_use]
    pub fn secrets_for(&self, repo: &RepoName) -> Vec<SecretName> {
        let extra = self.extra_secrets.get(repo).into_iter().flatten();
        self.secrets.iter().chain(extra).cloned().collect()
    }
}

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
            internal_patterns: table.words("internal-patterns").unwrap_or(default.internal_patterns),
            bots_repo: table.parse("bots-repo").unwrap_or(default.bots_repo),
            secrets: secret_names(&table, "secrets").unwrap_or(default.secrets),
            extra_secrets: extra_secrets(&table),
            issue_items: IssueItems::read(&table),
            merged_pull_command: merged_pull_command(&table),
            sweep: SweepSettings::read(table.table("sweep")),
        };
        table.done();
        settings
    }
}

/// A file by option, else the file or table of the configuration.
fn test_map(reader: &Reader, table: &Table<'_>, option: Option<&Path>) -> TestMap {
    let configured = table.value("test-map");
    let file = match (option, configured) {
        (Some(file), _) => Some(file.to_owned()),
        (None, Some(Value::String(file))) => Some(reader.path(file)),
        _ => None,
    };
    match (file, configured) {
        (Some(file), _) => match read_map(&file) {
            Ok(map) => {
                parse_map(&map, &mut |key, text| reader.problem_in(&file, None, format!("{key}: {text}")))
            }
            Err(text) => {
                reader.problem_in(&file, None, text);
                TestMap::default()
            }
        },
        (None, Some(Value::Object(map))) => {
            parse_map(map, &mut |key, text| table.problem("test-map", format!("{key}: {text}")))
        }
        (None, None) => TestMap::default(),
        (None, Some(_)) => {
            table.problem("test-map", "expected a file's path, or a table of repositories");
            TestMap::default()
        }
    }
}

fn read_map(file: &Path) -> Result<Map<String, Value>, String> {
    let text = std::fs::read_to_string(file).map_err(|it| format!("the test map cannot be read: {it}"))?;
    serde_json::from_str(&text).map_err(|it| {
        format!("expected a JSON object {{\"owner/name\": {{\"branch\": [\"context\", …]}}}}: {it}")
    })
}

/// Reads what it can and complains about the rest.
fn parse_map(repos: &Map<String, Value>, complain: &mut dyn FnMut(&str, String)) -> TestMap {
    let mut map = TestMap::default();
    for (repo, branches) in repos {
        let (Ok(project), Some(branches)) = (repo.parse::<Project>(), branches.as_object()) else {
            complain(repo, "expected `\"[forge:]owner/name\" = { branch = [contexts] }`".to_owned());
            continue;
        };
        for (branch, contexts) in branches {
            let key = format!("{repo}.{branch}");
            match (BranchName::new(branch), parse_contexts(contexts)) {
                (Err(error), _) => complain(&key, error.to_string()),
                (_, Err(error)) => complain(&key, error),
                (Ok(branch), Ok(contexts)) => map.insert(project.clone(), branch, contexts),
            }
        }
    }
    map
}

fn parse_contexts(contexts: &Value) -> Result<Vec<Context>, String> {
    let expected = || "expected a list of contexts".to_owned();
    let parse = |context: &Value| {
        let text = context.as_str().ok_or_else(expected)?;
        text.parse::<TestContext>().map_err(|it| it.to_string())?;
        Context::new(text).map_err(|it| it.to_string())
    };
    contexts.as_array().ok_or_else(expected)?.iter().map(parse).collect()
}

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
    let file = match (option, table.value("allow-list")) {
        (Some(file), _) => file.to_owned(),
        (None, Some(Value::String(file))) => reader.path(file),
        (None, Some(_)) => return table.words("allow-list").unwrap_or_default().iter().collect(),
        (None, None) => return AllowList::default(),
    };
    match std::fs::read_to_string(&file) {
        Ok(text) => AllowList::from_text(&text),
        Err(error) => {
            reader.problem_in(&file, None, format!("the allow list cannot be read: {error}"));
            AllowList::default()
        }
    }
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
