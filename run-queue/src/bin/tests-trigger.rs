//! Asks for runs of tests: see `tests-trigger --help`.

use std::process::ExitCode;

use clap::Parser;
use run_queue::scan::programs::{TestsTrigger, end};

#[tokio::main]
async fn main() -> ExitCode {
    let program = TestsTrigger::parse();
    program.install();
    end("tests-trigger", program.run().await)
}
