//! The environment variables that have no option beside them.

use std::env::VarError;
use std::path::PathBuf;

/// What the environment says, read once.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    /// `$HOME`.
    pub home: Option<PathBuf>,
    /// `$XDG_RUNTIME_DIR`.
    pub runtime_dir: Option<PathBuf>,
    /// `$XDG_CONFIG_HOME`, else `$HOME/.config`.
    pub config_home: Option<PathBuf>,
    /// `$COCKPIT_GITHUB_TOKEN_FILE`.
    pub github_token_file: Option<PathBuf>,
    /// `$COCKPIT_GITHUB_WEBHOOK_TOKEN_FILE`.
    pub webhook_token_file: Option<PathBuf>,
    /// `$GITHUB_API`.
    pub github_api: Option<String>,
    /// `$COCKPIT_TESTMAP_INJECT`: `BRANCH/CONTEXT`.
    pub testmap_inject: Option<String>,
    /// `$RUN_STATISTICS_QUEUE` is set to something.
    pub run_statistics_queue: bool,
}

impl Environment {
    /// The process's own. A variable that is empty or not UTF-8 counts as not set.
    #[must_use]
    pub fn read() -> Self {
        let path = |name| variable(name).map(PathBuf::from);
        let home = path("HOME");
        Self {
            config_home: path("XDG_CONFIG_HOME").or_else(|| home.as_ref().map(|it| it.join(".config"))),
            home,
            runtime_dir: path("XDG_RUNTIME_DIR"),
            github_token_file: path("COCKPIT_GITHUB_TOKEN_FILE"),
            webhook_token_file: path("COCKPIT_GITHUB_WEBHOOK_TOKEN_FILE"),
            github_api: variable("GITHUB_API"),
            testmap_inject: variable("COCKPIT_TESTMAP_INJECT"),
            run_statistics_queue: variable("RUN_STATISTICS_QUEUE").is_some(),
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the one place that reads the environment, beside clap")]
fn variable(name: &str) -> Option<String> {
    let text: Result<String, VarError> = std::env::var(name);
    text.ok().filter(|it| !it.is_empty())
}
