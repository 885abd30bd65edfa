//! `run-local`: what `tests/run-local.sh` runs when everything is installed and built.

use std::process::ExitCode;

use clap::Parser;
use tests::local::{self, Options, Then};

/// Starts the whole fleet on this machine, sends a pull request through it, shows what happens, and takes everything down.
#[derive(Parser)]
#[command(after_help = "Exit codes: 0 the job was green, 1 it was not or something failed, 130 Ctrl-C.")]
struct Cli {
    /// Keep the fleet up afterwards, and print its addresses
    #[arg(short, long)]
    interactive: bool,
    /// The shell script that is the repository's test, instead of one that succeeds
    #[arg(short, long, value_name = "SCRIPT")]
    job: Option<String>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let Cli { interactive, job } = Cli::parse();
    common::crypto::install();
    let then = if interactive { Then::Keep } else { Then::End };
    local::run(&Options { then, job }).await
}
