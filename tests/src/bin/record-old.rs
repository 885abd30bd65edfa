//! `record-old FOLDER`: plays every situation with the programs of an existing deployment, and writes the table that the integration
//! tests compare ours with (`tests/interop/decisions.jsonl`).

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser;
use tests::situations::old::OldPrograms;
use tests::situations::{Decision, generate, save};

/// Plays every situation with old programs and writes down what they do.
#[derive(Parser)]
struct Cli {
    /// A checkout of theirs: tests-scan, issue-scan, tests-trigger and lib.
    #[arg(env = "FLOTILLA_OLD_BOTS")]
    checkout: PathBuf,
    /// A python that has pika; tests/interop/python.sh makes one.
    #[arg(long, env = "FLOTILLA_TEST_PYTHON")]
    python: String,
}

#[tokio::main]
async fn main() -> ExitCode {
    common::crypto::install();
    match record(&Cli::parse()).await {
        Ok(count) => {
            eprintln!("{count} situations");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("record-old: {error:?}");
            ExitCode::FAILURE
        }
    }
}

async fn record(cli: &Cli) -> Result<usize> {
    let mut programs = OldPrograms::start(&cli.python, &cli.checkout).await?;
    let mut decisions = Vec::new();
    for situation in generate::situations() {
        let old = programs.play(&situation).await.with_context(|| situation.name.clone())?;
        decisions.push(Decision { situation, old });
    }
    save(&decisions)?;
    Ok(decisions.len())
}
