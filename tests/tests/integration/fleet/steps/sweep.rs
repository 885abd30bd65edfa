//! A sweep that finds a pull whose event was lost.

use anyhow::{Context, Result};
use common::queue::Queue;
use serde_json::Value;
use tests::fleet::{DEADLINE, Fleet, Setup};
use tests::forge::NewPull;

use super::super::change;
use super::{Around, Play, killed_at_each_step, take};

struct Sweep;

impl Play for Sweep {
    const KEPT: &'static [Queue] = &[Queue::Public, Queue::Internal];

    async fn prepare(&self, fleet: &mut Fleet) -> Result<()> {
        fleet.create_repo("octo/app", &change()).await.map(drop)
    }

    async fn ask(&self, fleet: &mut Fleet, around: &Around, run: &str) -> Result<()> {
        let app = "octo/app".parse()?;
        let number = fleet.forge.next_number(&app)?;
        let sha = fleet.git.push_pull("octo/app", number.get(), "main", &[]).await?.parse()?;
        fleet.forge.open_pull(&app, NewPull::new(run, "alice", sha, "main".parse()?))?;
        // One that is started sweeps.
        fleet.kill_worker(0).await?;
        around.start_worker(fleet).await
    }

    async fn ended(&self, fleet: &mut Fleet, _: &Around, _: &str) -> Result<()> {
        let swept = |event: &Value| (event["message"] == "swept").then_some(());
        fleet.worker(0)?.wait_until("that it has swept", DEADLINE, swept).await
    }

    async fn seen(&self, fleet: &mut Fleet, _: &Around, run: &str) -> Result<Vec<String>> {
        let app = "octo/app".parse()?;
        let pulls = fleet.forge.pulls(&app)?;
        let pull = pulls.iter().find(|it| it.title == run).context("the pull")?;
        let mut seen = fleet.statuses(&app, &pull.head);
        for queue in Self::KEPT {
            seen.extend(take(fleet, *queue).await?.iter().map(|it| it["job"]["context"].to_string()));
        }
        fleet.forge.close(&app, pull.number)?;
        seen.sort();
        Ok(seen)
    }
}

#[test]
fn a_sweep_that_is_killed_at_any_step_queues_what_was_missed_once() {
    let sweep = "at-start = true\nevery-minutes = 0\nsecond-look-seconds = 0.3\n".to_owned();
    killed_at_each_step(&Setup { sweep, ..Setup::default() }, &["scan"], &Sweep);
}
