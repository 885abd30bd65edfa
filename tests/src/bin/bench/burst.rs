//! A burst of events, and whether all that comes of it is done once, in order, and in bounded memory.

use std::time::Duration;

use ::tests::faults::burst::{self, Memory, Options, Outcome};
use anyhow::Result;
use clap::Args;

use super::machine::processors;
use super::table::{Row, Table, Target, Unit};

/// The burst.
#[derive(Clone, Copy, Args)]
pub(super) struct Burst {
    /// How many events
    #[arg(long, value_name = "N", default_value = "10000", value_parser = clap::value_parser!(u32).range(40..=100_000))]
    events: u32,
    /// In how many seconds they are sent
    #[arg(long, value_name = "N", default_value = "60", value_parser = clap::value_parser!(u32).range(1..=3600))]
    within: u32,
    /// What their order comes from
    #[arg(long, value_name = "N", default_value = "1")]
    seed: u64,
}

/// How long all may take that comes of a burst.
const PATIENCE: Duration = Duration::from_mins(10);

pub(super) async fn measure(Burst { events, within, seed }: Burst) -> Result<Table> {
    let options = Options {
        seed,
        events: usize::try_from(events)?,
        length: Duration::from_secs(within.into()),
        patience: PATIENCE,
    };
    let outcome = Box::pin(burst::run(&options)).await?;
    let mut about = vec![processors(), format!("{events} events within {within} s, seed {seed}")];
    about.extend(outcome.told());
    about.push(outcome.verdict.to_string());
    Ok(Table { about, rows: rows(&outcome) })
}

fn rows(outcome: &Outcome) -> Vec<Row> {
    let seconds = |name, time: Duration| Row::new(name, Unit::Seconds, vec![time.as_secs_f64()]);
    let [accepted, scanned, done] = outcome.times;
    let mut rows = vec![
        seconds("all accepted after", accepted),
        seconds("all scanned after", scanned),
        seconds("all done after", done),
        count("sent again", outcome.refused),
        count("events that were scanned", outcome.wanted),
        count("tasks as workers got them", outcome.tasks),
        count("  containers begun", outcome.containers),
        count("lost, doubled or wrong", outcome.verdict.findings().count()).target(Target::AtMost(0.0)),
        count("out of order", outcome.out_of_order.len()).target(Target::AtMost(0.0)),
    ];
    rows.extend(outcome.memory.iter().flat_map(memory));
    rows
}

fn memory(Memory { name, idle, highest, after, most }: &Memory) -> [Row; 3] {
    let row = |what, megabytes| Row::new(what, Unit::Megabytes, vec![megabytes]);
    let highest = row("  highest", *highest);
    let highest = match most {
        Some(most) => highest.target(Target::AtMost(*most)),
        None => highest,
    };
    [row(name, *idle), highest, row("  after", *after)]
}

#[expect(clippy::cast_precision_loss, reason = "some thousands")]
fn count(name: &'static str, of: usize) -> Row {
    Row::new(name, Unit::Count, vec![of as f64])
}
