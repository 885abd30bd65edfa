//! A job that no attempt can do: it is tried again, and dead in the end.

use anyhow::Result;
use common::queue::Queue;
use serde_json::json;
use tests::fleet::{Fleet, Setup};
use tests::wait::until_some;

use super::super::repo;
use super::{Around, Play, killed_at_each_step, take};

struct Hopeless;

impl Play for Hopeless {
    async fn prepare(&self, fleet: &mut Fleet) -> Result<()> {
        repo(fleet, "true").await.map(drop)
    }

    async fn ask(&self, fleet: &mut Fleet, _: &Around, run: &str) -> Result<()> {
        let tip = fleet.git.resolve("octo/app", "main").await?;
        let image = "localhost/flotilla-nowhere:1";
        let job = json!({"repo": "octo/app", "sha": tip, "context": run, "slug": run, "container": image});
        fleet.publish("public", &json!({"job": job}).to_string()).await
    }

    async fn ended(&self, fleet: &mut Fleet, _: &Around, run: &str) -> Result<()> {
        let session = fleet.session().await?;
        let is_dead = until_some("the dead message", async || {
            let mut is_there = false;
            session
                .peek(Queue::Dead, |it| is_there |= String::from_utf8_lossy(it.body()).contains(run))
                .await?;
            Ok(is_there.then_some(()))
        });
        is_dead.await?;
        session.close().await;
        Ok(())
    }

    async fn seen(&self, fleet: &mut Fleet, around: &Around, run: &str) -> Result<Vec<String>> {
        let tip = fleet.git.resolve("octo/app", "main").await?.parse()?;
        let mut seen = Vec::new();
        // A worker that was killed may have been any attempt but the last, and each says the same.
        for status in fleet.statuses(&"octo/app".parse()?, &tip) {
            if status.starts_with(run) && !seen.contains(&status) {
                seen.push(status);
            }
        }
        seen.extend(
            take(fleet, Queue::Dead).await?.iter().map(|it| format!("dead: {}", it["job"]["context"])),
        );
        seen.extend(around.bucket.keys_below(run)?);
        Ok(seen.into_iter().map(|it| it.replace(run, "RUN")).collect())
    }
}

#[test]
fn a_hopeless_job_whose_worker_is_killed_at_any_step_is_dead_once() {
    killed_at_each_step(&Setup::default(), &["execute"], &Hopeless);
}
