//! The command line.

use std::path::PathBuf;

use common::id::{
    BranchName, CommitSha, Context, ForgeName, ImageRef, PullNumber, RepoName, SecretName, Slug,
};
use common::task::{EnvName, EnvValue, Issue};
use common::telemetry::LogArgs;

use super::EXIT_CODES;

/// Runs one job by hand: tests of a repository in a container, with a log, as a worker runs them.
///
/// Statuses and issues are written only where the configuration says `post = true` for the forge; elsewhere it is said what would
/// be. A job is run although its commit has a verdict already.
#[derive(Debug, clap::Parser)]
#[command(name = "job-runner", version, after_help = EXIT_CODES)]
pub struct JobRunner {
    /// Show the log of the job on the standard output as it grows, and say more of what is done on the standard error
    #[arg(long, global = true)]
    pub debug: bool,
    /// Configuration: TOML, or JSON or YAML by its name [default: `$JOB_RUNNER_CONFIG`, else `$XDG_CONFIG_HOME/cockpit-dev/job-runner.toml` where it exists]
    #[arg(short = 'F', long, global = true, value_name = "FILE")]
    pub config_file: Option<PathBuf>,
    /// When the job is red, open a shell in what its container has left
    #[arg(long, global = true)]
    pub shell_on_failure: bool,
    /// Check the configuration, say what is wrong with it or what was understood, and do nothing else
    #[arg(long, global = true)]
    pub check_config: bool,
    #[command(flatten)]
    pub(super) log: LogArgs,
    #[command(subcommand)]
    pub(super) what: Option<What>,
}

/// Where the job is described.
#[derive(Debug, clap::Subcommand)]
pub(super) enum What {
    /// A job of these options
    Run(Box<RunArgs>),
    /// A job as it is in a message on a queue
    Json {
        /// The job's fields, or a whole message: {"job": {…}}
        #[arg(value_name = "JSON")]
        job: String,
    },
}

/// The fields of a job.
#[derive(Debug, clap::Args)]
pub(super) struct RunArgs {
    /// The repository under test
    #[arg(value_name = "OWNER/NAME")]
    pub(super) repo: RepoName,
    /// The forge that it is on [default: forge.default]
    #[arg(long, value_name = "NAME")]
    pub(super) forge: Option<ForgeName>,
    /// The pull request under test; when it is closed or gets another head, the job ends as a failure
    #[arg(long, value_name = "NUMBER", value_parser = pull)]
    pub(super) pull: Option<PullNumber>,
    /// The commit under test [default: the pull's head, else the branch's tip]
    #[arg(long, value_name = "SHA")]
    pub(super) sha: Option<CommitSha>,
    /// The branch whose tip is tested [default: the repository's default branch]
    #[arg(long, value_name = "NAME")]
    pub(super) branch: Option<BranchName>,
    /// The status to report under [default: nothing is reported]
    #[arg(long, value_name = "TEXT")]
    pub(super) context: Option<Context>,
    /// The branch to rebase onto [default: the pull's base]
    #[arg(long, value_name = "BRANCH")]
    pub(super) target: Option<BranchName>,
    /// On failure, open an issue with these fields (`title` and `body` have defaults)
    #[arg(long, value_name = "JSON", value_parser = issue)]
    pub(super) report: Option<Issue>,
    /// The log's folder [default: OWNER/NAME/CONTEXT/SHA]
    #[arg(long, value_name = "PATH")]
    pub(super) slug: Option<Slug>,
    /// The log's first line [default: CONTEXT@OWNER/NAME#SHA]
    #[arg(long, value_name = "TEXT")]
    pub(super) title: Option<String>,
    /// The image to run in [default: what `.cockpit-ci/container` names at the commit, else container.default-image]
    #[arg(long, value_name = "IMAGE")]
    pub(super) container: Option<ImageRef>,
    /// A variable of the command's environment; can be given more than once
    #[arg(long, value_name = "NAME=VALUE", value_parser = variable)]
    pub(super) env: Vec<(EnvName, EnvValue)>,
    /// How long it may run, in minutes; 0 is for ever
    #[arg(long, value_name = "MINUTES", default_value_t = 120)]
    pub(super) timeout: u32,
    /// A secret that the job gets, by the name that the configuration has for it; can be given more than once
    #[arg(long = "secret", value_name = "NAME")]
    pub(super) secrets: Vec<SecretName>,
    /// What to run [default: `.cockpit-ci/run`, else `test/run`]; all that follows its first word belongs to it
    #[arg(value_name = "COMMAND", trailing_var_arg = true)]
    pub(super) command: Vec<String>,
}

/// What comes of a value is told to who typed it, but a value may be a secret.
fn variable(text: &str) -> Result<(EnvName, EnvValue), String> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=VALUE")?;
    Ok((EnvName::try_from(name.to_owned())?, EnvValue::try_from(value.to_owned())?))
}

fn pull(text: &str) -> Result<PullNumber, &'static str> {
    text.parse().ok().and_then(PullNumber::new).ok_or("expected a number from 1")
}

fn issue(text: &str) -> Result<Issue, String> {
    serde_json::from_str(text).map_err(|it| format!("expected a JSON object: {it}"))
}
