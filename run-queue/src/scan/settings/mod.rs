//! `[scan]`: what there is to test, and for whom.

mod read;
mod summary;
#[cfg(test)]
pub(super) mod tests;

use std::collections::BTreeMap;
use std::path::PathBuf;

use common::id::{RepoName, SecretName};

use super::issue::IssueItems;
use super::{AllowList, SweepSettings, Template, TestMap};

/// The scanner's own options.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct ScanArgs {
    /// Test map: JSON {"owner/name": {"branch": ["context", …]}}, or TOML or YAML by its name [default: the table scan.test-map]
    #[arg(long, value_name = "FILE", global = true)]
    pub test_map: Option<PathBuf>,
    /// Allow list: one login or organisation a line, or TOML, JSON or YAML by its name [default: scan.allow-list]
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
