//! `job-runner`: runs one job by hand.

use std::process::ExitCode;

use clap::Parser;
use run_queue::runner::JobRunner;

#[tokio::main]
async fn main() -> ExitCode {
    Box::pin(JobRunner::parse().run()).await
}
