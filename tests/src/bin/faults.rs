//! `faults`: a fleet in which everything breaks at random, and a ledger of what came of it. docs/OPERATIONS.md, "Trying it".

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, bail};
use clap::{Parser, ValueEnum};
use tests::faults::{self, Fault, Options, Times};
use tokio::signal::unix::{SignalKind, signal};

/// Breaks a fleet of its own at random while it works, and says what was lost and what was done twice
#[derive(Parser)]
#[command(after_help = "Exit codes: 0 nothing lost or doubled, 1 something is wrong, 2 could not run.")]
struct Cli {
    /// What the schedule comes from: the same seed and options are the same schedule
    #[arg(long, value_name = "N")]
    seed: u64,
    /// How much people do
    #[arg(long, value_name = "N", default_value = "150", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    events: u32,
    /// In how much time they do it [default: two events a second]
    #[arg(long, value_name = "M", value_parser = clap::value_parser!(u32).range(1..=1440))]
    minutes: Option<u32>,
    /// What may break, several if repeated [default: all]
    #[arg(long, value_name = "NAME", value_enum)]
    fault: Vec<Fault>,
    /// How many workers there are
    #[arg(long, value_name = "N", default_value = "3", value_parser = clap::value_parser!(u8).range(1..=16))]
    workers: u8,
    /// How long workers wait for each other, and how long outages last
    #[arg(long, value_enum, default_value = "short")]
    times: Times,
}

impl Cli {
    fn options(self) -> Options {
        let Self { seed, events, minutes, fault, workers, times } = self;
        let length = minutes
            .map_or_else(|| Duration::from_millis(500) * events, |it| Duration::from_mins(u64::from(it)));
        let events = usize::try_from(events).unwrap_or(usize::MAX);
        let faults = if fault.is_empty() { Fault::value_variants().to_vec() } else { fault };
        Options { seed, events, length, faults, workers: usize::from(workers), times }
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let options = Cli::parse().options();
    // Whatever was started ends when the run is dropped.
    let ended = tokio::select! {
        ended = run(options) => ended,
        signal = asked_to_end() => signal.and_then(|()| bail!("ended by a signal")),
    };
    match ended {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("faults: {error:?}");
            ExitCode::from(2)
        }
    }
}

async fn asked_to_end() -> Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = terminate.recv() => {}
        pressed = tokio::signal::ctrl_c() => pressed?,
    }
    Ok(())
}

async fn run(options: Options) -> Result<bool> {
    let verdict = Box::pin(faults::run(&options)).await?;
    let mut out = io::stdout().lock();
    for (kind, finding) in verdict.findings() {
        writeln!(out, "\n{kind}: {}", finding.what)?;
        for line in &finding.story {
            writeln!(out, "    {line}")?;
        }
    }
    writeln!(out, "{verdict}")?;
    Ok(verdict.is_good())
}
