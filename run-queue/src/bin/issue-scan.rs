//! Looks for check lists that ask for something: see `issue-scan --help`.

use std::process::ExitCode;

use clap::Parser;
use run_queue::scan::programs::{IssueScan, end};

#[tokio::main]
async fn main() -> ExitCode {
    let program = IssueScan::parse();
    program.install();
    end("issue-scan", program.run().await)
}
