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
    /// `$XDG_STATE_HOME`, else `$HOME/.local/state`.
    pub state_home: Option<PathBuf>,
    /// The first folder of `$STATE_DIRECTORY`, which systemd sets where a unit has one.
    pub state_directory: Option<PathBuf>,
    /// `$XDG_CACHE_HOME`, else `$HOME/.cache`.
    pub cache_home: Option<PathBuf>,
    /// `$TMPDIR`.
    pub temporary: Option<PathBuf>,
    /// `$COCKPIT_GITHUB_TOKEN_FILE`.
    pub github_token_file: Option<PathBuf>,
    /// `$COCKPIT_GITHUB_WEBHOOK_TOKEN_FILE`.
    pub webhook_token_file: Option<PathBuf>,
    /// `$JOB_RUNNER_CONFIG`.
    pub job_runner_config: Option<PathBuf>,
    /// `$COCKPIT_S3_KEY_DIR`, else `cockpit-dev/s3-keys` in [`Self::config_home`].
    pub s3_key_dir: Option<PathBuf>,
    /// `$GITHUB_API`.
    pub github_api: Option<String>,
    /// `$COCKPIT_TESTMAP_INJECT`: `BRANCH/CONTEXT`.
    pub testmap_inject: Option<String>,
    /// `$TEST_NOTIFICATION_TO`: mail addresses with commas between them.
    pub notification_to: Option<String>,
    /// `$TEST_NOTIFICATION_MX`: the server that takes mail for them.
    pub notification_mx: Option<String>,
    /// `$RUN_STATISTICS_QUEUE` is set to something.
    pub run_statistics_queue: bool,
}

impl Environment {
    /// The process's own. A variable that is empty or not UTF-8 counts as not set.
    #[must_use]
    pub fn read() -> Self {
        Self::of(variable)
    }

    fn of(variable: impl Fn(&str) -> Option<String>) -> Self {
        let path = |name| variable(name).map(PathBuf::from);
        let home = path("HOME");
        let in_home = |path: &str| home.as_ref().map(|it| it.join(path));
        let config_home = path("XDG_CONFIG_HOME").or_else(|| in_home(".config"));
        let in_config = |path: &str| config_home.as_ref().map(|it| it.join(path));
        Self {
            s3_key_dir: path("COCKPIT_S3_KEY_DIR").or_else(|| in_config("cockpit-dev/s3-keys")),
            state_home: path("XDG_STATE_HOME").or_else(|| in_home(".local/state")),
            state_directory: first_of(path("STATE_DIRECTORY")),
            cache_home: path("XDG_CACHE_HOME").or_else(|| in_home(".cache")),
            temporary: path("TMPDIR"),
            runtime_dir: path("XDG_RUNTIME_DIR"),
            github_token_file: path("COCKPIT_GITHUB_TOKEN_FILE"),
            job_runner_config: path("JOB_RUNNER_CONFIG"),
            webhook_token_file: path("COCKPIT_GITHUB_WEBHOOK_TOKEN_FILE"),
            github_api: variable("GITHUB_API"),
            testmap_inject: variable("COCKPIT_TESTMAP_INJECT"),
            notification_to: variable("TEST_NOTIFICATION_TO"),
            notification_mx: variable("TEST_NOTIFICATION_MX"),
            run_statistics_queue: variable("RUN_STATISTICS_QUEUE").is_some(),
            config_home,
            home,
        }
    }
}

/// The first of several with colons between them.
fn first_of(folders: Option<PathBuf>) -> Option<PathBuf> {
    std::env::split_paths(&folders?).find(|it| !it.as_os_str().is_empty())
}

#[expect(clippy::disallowed_methods, reason = "the one place that reads the environment, beside clap")]
fn variable(name: &str) -> Option<String> {
    let text: Result<String, VarError> = std::env::var(name);
    text.ok().filter(|it| !it.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_of_the_desktop_have_defaults_in_the_home() {
        let home = |name: &str| (name == "HOME").then(|| "/h".to_owned());
        let found = Environment::of(home);
        assert_eq!(found.config_home, Some("/h/.config".into()));
        assert_eq!(found.state_home, Some("/h/.local/state".into()));
        assert_eq!(found.s3_key_dir, Some("/h/.config/cockpit-dev/s3-keys".into()));
        assert_eq!(found.cache_home, Some("/h/.cache".into()));
        assert_eq!(found.temporary, None);
        assert_eq!(found.state_directory, None);
        let several = |name: &str| (name == "STATE_DIRECTORY").then(|| "/a:/b".to_owned());
        assert_eq!(Environment::of(several).state_directory, Some("/a".into()));
        let all = Environment::of(|name| Some(format!("/{name}")));
        assert_eq!(all.config_home, Some("/XDG_CONFIG_HOME".into()));
        assert_eq!(all.state_home, Some("/XDG_STATE_HOME".into()));
        assert_eq!(all.s3_key_dir, Some("/COCKPIT_S3_KEY_DIR".into()));
        assert_eq!(all.cache_home, Some("/XDG_CACHE_HOME".into()));
        assert_eq!(all.temporary, Some("/TMPDIR".into()));
    }
}
