//! Everything breaks while a fleet works.

use std::fmt::Write;
use std::time::Duration;

use tests::faults::{Fault, Options, Times, Verdict, burst, run};

/// A short run, the same each time. The two that are left out take a minute each, and have tests of their own.
#[tokio::test]
async fn nothing_is_lost_and_nothing_runs_twice_whatever_breaks() {
    let mut faults = Fault::ALL.to_vec();
    faults.retain(|it| !matches!(it, Fault::Killer | Fault::ForgeForbids));
    let (length, times) = (Duration::from_secs(50), Times::Short);
    let options = Options { seed: 81, events: 120, length, faults, workers: 3, times };
    let verdict = Box::pin(run(&options)).await.unwrap();
    assert!(verdict.is_good(), "{}", told(&verdict));
    assert!(verdict.acknowledged >= options.events * 9 / 10, "too little was asked for: {verdict}");
}

/// A small one; `bench -- burst` is the whole one.
#[tokio::test]
async fn a_burst_of_events_is_done_once_in_order_and_in_bounded_memory() {
    let length = Duration::from_secs(3);
    let options = burst::Options { seed: 1, events: 500, length, patience: Duration::from_mins(2) };
    let outcome = Box::pin(burst::run(&options)).await.unwrap();
    assert!(outcome.is_good(), "{}\n{:?}", outcome.told().join("\n"), outcome.memory);
    assert_eq!(outcome.verdict.acknowledged, outcome.verdict.attempts);
}

fn told(verdict: &Verdict) -> String {
    let mut text = String::new();
    for (kind, finding) in verdict.findings() {
        let _ = writeln!(text, "\n{kind}: {}\n    {}", finding.what, finding.story.join("\n    "));
    }
    text + &verdict.to_string()
}
