//! Looks for tests that are to be run: see `tests-scan --help`.

use std::process::ExitCode;

use clap::Parser;
use run_queue::scan::programs::{TestsScan, end};

#[tokio::main]
async fn main() -> ExitCode {
    let program = TestsScan::parse();
    program.install();
    end("tests-scan", program.run().await)
}
