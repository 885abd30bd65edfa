//! Events, and the tasks that come of them.

use anyhow::{Context, Result, ensure};
use common::queue::Queue;
use serde_json::{Value, json};
use tests::fleet::{Fleet, Setup};
use tests::forge::{Delivery, NewPull};
use tests::wait::until_some;

use super::super::change;
use super::{Around, Play, killed_at_each_step, take};

/// A pull is opened, and an issue asks for something.
struct Events;

async fn publish(fleet: &Fleet, delivery: &Delivery) -> Result<()> {
    let payload: Value = serde_json::from_str(&delivery.payload)?;
    let body = json!({"event": delivery.event.as_str(), "request": payload});
    fleet.publish("webhook", &body.to_string()).await
}

impl Play for Events {
    const KEPT: &'static [Queue] = &[Queue::Public, Queue::Internal];

    async fn prepare(&self, fleet: &mut Fleet) -> Result<()> {
        fleet.create_repo("octo/app", &change()).await?;
        fleet.create_repo("octo/bots", &change()).await.map(drop)
    }

    async fn ask(&self, fleet: &mut Fleet, _: &Around, run: &str) -> Result<()> {
        let (app, bots) = ("octo/app".parse()?, "octo/bots".parse()?);
        let number = fleet.forge.next_number(&app)?;
        let sha = fleet.git.push_pull("octo/app", number.get(), "main", &[]).await?.parse()?;
        let (_, opened) = fleet.forge.open_pull(&app, NewPull::new(run, "alice", sha, "main".parse()?))?;
        publish(fleet, &opened).await?;
        let number = fleet.forge.next_number(&bots)?;
        let item = format!("- [ ] image-refresh {run}");
        fleet.forge.open_issue(&bots, run, &item, "alice")?;
        publish(fleet, &fleet.forge.label_issue(&bots, number, "bot")?).await
    }

    async fn ended(&self, fleet: &mut Fleet, _: &Around, run: &str) -> Result<()> {
        let session = fleet.session().await?;
        let seen = until_some("the task", async || {
            let mut is_there = false;
            session
                .peek(Queue::Public, |it| is_there |= String::from_utf8_lossy(it.body()).contains(run))
                .await?;
            Ok(is_there.then_some(()))
        });
        seen.await?;
        session.close().await;
        Ok(())
    }

    async fn seen(&self, fleet: &mut Fleet, _: &Around, run: &str) -> Result<Vec<String>> {
        let app = "octo/app".parse()?;
        let pulls = fleet.forge.pulls(&app)?;
        let pull = pulls.iter().find(|it| it.title == run).context("the pull")?;
        let mut seen = fleet.statuses(&app, &pull.head);
        seen.sort();
        for queue in Self::KEPT {
            let mut tasks: Vec<_> = take(fleet, *queue).await?.iter().map(|it| what(&it["job"])).collect();
            tasks.sort();
            seen.extend(tasks);
        }
        ensure!(seen.iter().any(|it| it.contains(run)), "nothing came of the issue");
        Ok(seen.into_iter().map(|it| it.replace(run, "RUN")).collect())
    }
}

fn what(job: &Value) -> String {
    format!("{} {} {}", job["repo"], job["context"], job["secrets"])
}

#[test]
fn an_event_whose_scanner_is_killed_at_any_step_leads_to_the_same_tasks() {
    killed_at_each_step(&Setup::default(), &["scan"], &Events);
}
