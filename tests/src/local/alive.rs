//! Whether what was started is still there.

use std::path::Path;

use anyhow::{Result, bail};

use super::facts;
use super::tail::Tail;
use crate::fleet::{Fleet, Program};

/// How much of a log is shown when its program has died.
const LINES: usize = 20;

/// Fails when a part of the fleet has ended by itself; says which, and what it said last.
pub(super) fn check(fleet: &mut Fleet) -> Result<()> {
    program(fleet.webhook()?)?;
    program(fleet.worker(0)?)?;
    if let Some(words) = fleet.broker.last_words()? {
        bail!(
            "the broker has ended by itself. The end of its log:\n{}",
            end(words.lines().map(str::to_owned))
        );
    }
    Ok(())
}

fn program(program: &mut Program) -> Result<()> {
    if let Some(status) = program.exited()? {
        bail!(
            "{} has ended by itself ({status}). The end of its log:\n{}",
            program.name(),
            said(program.log_file())?
        );
    }
    Ok(())
}

/// The end of a program's log, for people.
pub(super) fn said(log: &Path) -> Result<String> {
    Ok(end(Tail::new(log).events()?.iter().map(facts::line)))
}

fn end(lines: impl Iterator<Item = String>) -> String {
    let lines: Vec<_> = lines.map(|it| format!("  │ {it}")).collect();
    lines[lines.len().saturating_sub(LINES)..].join("\n")
}
