//! `bench`: how fast and how small our programs are, beside what the broker alone can do. docs/PERFORMANCE.md explains the rows.

mod amqp;
mod burst;
mod http;
mod jobs;
mod load;
mod logs;
mod machine;
mod process;
mod scan;
mod table;
mod webhook;

use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Parser, Subcommand};
use common::crypto;

use self::burst::Burst;
use self::table::Table;

/// Measures our programs on this machine and prints what came out beside what is to be reached
#[derive(Parser)]
#[command(
    after_help = "Exit codes: 0 measured, 1 a target is missed (burst, or --check), 2 could not measure."
)]
struct Cli {
    #[command(subcommand)]
    topic: Topic,
    #[command(flatten)]
    effort: Effort,
    /// Fail when a target is missed
    #[arg(long, global = true)]
    check: bool,
    /// The cargo that builds the programs first; without one they are taken as they are
    #[arg(long, env = "CARGO", value_name = "PROGRAM", global = true)]
    cargo: Option<String>,
}

/// How long to measure. Each round takes all measurements in turn.
#[derive(Clone, Copy, Args)]
pub(crate) struct Effort {
    /// How many rounds
    #[arg(long, value_name = "N", default_value = "5", value_parser = clap::value_parser!(u32).range(1..=50), global = true)]
    rounds: u32,
    /// How long each turn of a round lasts, in seconds
    #[arg(long, value_name = "N", default_value = "2", value_parser = clap::value_parser!(u32).range(1..=20), global = true)]
    seconds: u32,
}

/// What can be measured: one file each.
#[derive(Clone, Copy, Subcommand)]
enum Topic {
    /// The receiver: rate and latency beside those of the broker alone; memory, a worker's too
    Webhook,
    /// The scanners: a sweep of 20 repositories and one event, with a forge that takes 50 ms a request
    Scan,
    /// Jobs in containers: what a worker adds to `podman run`, and eight jobs that print a lot
    Jobs,
    /// Logs: time, memory and processors, beside `cat` into a file
    Logs {
        /// How long each log is
        #[arg(long, value_name = "N", default_value = "1", value_parser = clap::value_parser!(u32).range(1..=100))]
        gigabytes: u32,
    },
    /// Thousands of events within a minute: nothing lost or done twice, the urgent first, in bounded memory
    Burst(Burst),
}

impl Topic {
    /// The packages whose programs it starts.
    fn packages(self) -> &'static [&'static str] {
        match self {
            Self::Webhook | Self::Burst(_) => &["webhook", "run-queue"],
            Self::Scan | Self::Jobs => &["run-queue"],
            Self::Logs { .. } => &["tests"],
        }
    }

    async fn measure(self, effort: Effort) -> Result<Table> {
        match self {
            Self::Webhook => webhook::measure(effort).await,
            Self::Scan => scan::measure(effort).await,
            Self::Jobs => jobs::measure(effort).await,
            Self::Logs { gigabytes } => logs::measure(effort, gigabytes).await,
            Self::Burst(burst) => burst::measure(burst).await,
        }
    }

    /// Whether its targets are laws.
    const fn judges(self) -> bool {
        matches!(self, Self::Burst(_))
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    crypto::install();
    match run(&cli).await {
        Ok(met) if (cli.check || cli.topic.judges()) && !met => ExitCode::from(1),
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error:?}");
            ExitCode::from(2)
        }
    }
}

/// Says whether every target is met.
async fn run(cli: &Cli) -> Result<bool> {
    if let Some(cargo) = &cli.cargo {
        process::build(cargo, cli.topic.packages()).await?;
    }
    let table = cli.topic.measure(cli.effort).await?;
    write!(io::stdout(), "{table}")?;
    Ok(table.is_met())
}
