//! Configuration: one TOML file (or JSON or YAML, by its name), of which `job-runner.toml` of existing deployments is a valid subset.
//!
//! A program reads the tables that it needs with a [`Reader`], which collects every problem; [`Reader::finish`] reports them all
//! at once, before any socket is opened. Command-line options win over the environment, that over the file, that over the
//! defaults.

mod broker;
mod environment;
mod forge;
mod logs;
mod place;
mod problem;
mod reader;
mod s3;
mod source;
mod summary;
mod table;
mod tree;

pub use broker::{BrokerArgs, summarize_broker};
pub use environment::Environment;
pub use forge::{Forges, certificates};
pub use logs::{logs, summarize_logs};
pub use place::Place;
pub use problem::{ConfigError, Problem};
pub use reader::Reader;
pub use source::Source;
pub use summary::{Summary, count, listed};
pub use table::Table;
pub use tree::{Fault, Format, Node, Value};

/// The tables that a file may have; a table of another name is a slip. Those that several programs need are read here, the
/// others beside what they configure.
const TABLES: [&str; 12] = [
    "broker",
    "container",
    "execute",
    "forge",
    "logs",
    "mail",
    "paths",
    "scan",
    "secrets",
    "statistics",
    "webhook",
    "worker",
];

/// Where the configuration is, for every program.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct ConfigArgs {
    /// Configuration file: TOML, or JSON or YAML by its name [default: /etc/flotilla.toml where it exists, else built-in defaults]
    #[arg(long, global = true, value_name = "FILE", env = "FLOTILLA_CONFIG")]
    pub config: Option<std::path::PathBuf>,
    /// Check the configuration, say what is wrong with it or what was understood, and do nothing else
    #[arg(long, global = true)]
    pub check_config: bool,
}
