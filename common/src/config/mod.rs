//! Configuration: one TOML file (or JSON, by its name), of which `job-runner.toml` of existing deployments is a valid subset.
//!
//! A program reads the tables that it needs with a [`Reader`], which collects every problem; [`Reader::finish`] reports them all
//! at once, before any socket is opened. Command-line options win over the environment, that over the file, that over the
//! defaults.

mod broker;
mod environment;
mod forge;
mod logs;
mod problem;
mod reader;
mod s3;
mod source;

pub use broker::BrokerArgs;
pub use environment::Environment;
pub use forge::Forges;
pub use logs::logs;
pub use problem::{ConfigError, Problem};
pub use reader::{Reader, Table};
pub use source::Source;

/// The tables that a file may have; a table of another name is a slip. Those that several programs need are read here, the
/// others beside what they configure.
const TABLES: [&str; 9] =
    ["broker", "container", "execute", "forge", "logs", "scan", "secrets", "webhook", "worker"];

/// Where the configuration is, for every program.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct ConfigArgs {
    /// Configuration file, TOML or JSON [default: /etc/flotilla.toml where it exists, else built-in defaults]
    #[arg(long, global = true, value_name = "FILE", env = "FLOTILLA_CONFIG")]
    pub config: Option<std::path::PathBuf>,
    /// Check the configuration, say what is wrong with it, and do nothing else
    #[arg(long, global = true)]
    pub check_config: bool,
}
