//! Our scanners do what the old ones did: `tests/interop/decisions.jsonl`, situation by situation.

use std::fmt::Write as _;

use anyhow::{Context, Result};
use futures_util::future::try_join_all;
use tests::settings;
use tests::situations::compare::differences;
use tests::situations::ours::OurPrograms;
use tests::situations::{Decision, Program, decisions};

#[tokio::test]
async fn tests_scan_decides_like_the_old_one() {
    play(Program::TestsScan).await.unwrap();
}

#[tokio::test]
async fn issue_scan_decides_like_the_old_one() {
    play(Program::IssueScan).await.unwrap();
}

#[tokio::test]
async fn tests_trigger_decides_like_the_old_one() {
    play(Program::TestsTrigger).await.unwrap();
}

/// Played side by side, each with queues of its own.
const SIDE_BY_SIDE: usize = 4;

/// Of so many situations one is played, unless all are wanted: each is two processes' worth of time.
const SAMPLE: usize = 3;

async fn play(program: Program) -> Result<()> {
    common::crypto::install();
    let mut decisions = decisions()?;
    decisions.retain(|it| it.situation.program == program);
    if settings::get(settings::ALL).is_none() {
        let mut number = 0;
        decisions.retain(|_| {
            number += 1;
            number % SAMPLE == 0
        });
    }
    let parts = decisions.chunks(decisions.len().div_ceil(SIDE_BY_SIDE));
    let reports = try_join_all(parts.map(play_all)).await?;
    let report: String = reports.concat();
    assert!(report.is_empty(), "{report}");
    Ok(())
}

/// What differs, for people.
async fn play_all(decisions: &[Decision]) -> Result<String> {
    let ours = OurPrograms::prepare().await?;
    let mut report = String::new();
    for decision in decisions {
        let Decision { situation, old } = decision;
        let observed = ours.play(situation).await.with_context(|| situation.name.clone())?;
        let found = differences(decision, &observed);
        if !found.is_empty() {
            writeln!(report, "{} {:?} {:?}", situation.name, situation.arguments, old.crash)?;
        }
        for it in found {
            writeln!(report, "  {it}")?;
        }
    }
    Ok(report)
}
