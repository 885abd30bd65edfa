//! Logs: to standard error, for people or as JSON. Never in them: payloads, tokens, signatures.

use std::io::{IsTerminal, stderr};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::time::SystemTime;

/// lapin says as an error what is the normal end of a channel, and what concerns us comes back as an error of ours.
/// `--log lapin=debug` lets it speak.
const SILENT: &str = "lapin=off";

/// How a program logs, for every program.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct LogArgs {
    /// What to log, as `LEVEL` or `TARGET=LEVEL,…`
    #[arg(long, global = true, value_name = "FILTER", env = "FLOTILLA_LOG", default_value = "info")]
    pub log: String,
    /// Log JSON objects, one a line
    #[arg(long, global = true)]
    pub log_json: bool,
}

impl LogArgs {
    /// Begins to log. A filter that can't be read is said and replaced by `info`.
    pub fn install(&self) {
        let filter = EnvFilter::try_new(format!("{SILENT},{}", self.log));
        let bad = filter.as_ref().err().map(ToString::to_string);
        let filter = filter.unwrap_or_else(|_| EnvFilter::new(format!("{SILENT},info")));
        let builder =
            tracing_subscriber::fmt().with_env_filter(filter).with_writer(stderr).with_timer(SystemTime);
        let installed = if self.log_json {
            builder.json().flatten_event(true).try_init()
        } else {
            builder.with_ansi(stderr().is_terminal()).with_target(false).try_init()
        };
        if let Err(error) = installed {
            tracing::debug!(error, "another log is there already");
        }
        if let Some(error) = bad {
            tracing::warn!(error, "--log ($FLOTILLA_LOG) cannot be read, so it is `info`");
        }
    }
}
