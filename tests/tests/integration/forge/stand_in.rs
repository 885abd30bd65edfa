//! The stand-in's own rules.

use std::time::{Duration, Instant};

use anyhow::Result;
use common::http::{Timeouts, Trust, client};
use common::id::BranchName;
use serde_json::Value;
use tests::forge::StatusRecord;

use super::{DEADLINE, TOKEN, World, sha};

fn curl() -> Result<reqwest::Client> {
    Ok(client("curl", Trust::Nobody, Timeouts::default())?)
}

#[tokio::test]
async fn what_is_not_modelled_fails_the_test() -> Result<()> {
    let world = World::new().await?;
    for path in ["/repos/octo/app/hooks", "/user", "/"] {
        let answer = curl()?.get(format!("{}{path}", world.forge.url())).send().await?;
        assert_eq!(answer.status(), 501, "{path}");
    }
    let answer =
        curl()?.delete(format!("{}/repos/octo/app", world.forge.url())).bearer_auth(TOKEN).send().await?;
    assert_eq!(answer.status(), 501);
    let error = world.forge.finish().await.unwrap_err().to_string();
    assert!(error.contains("GET /repos/octo/app/hooks: 501"), "{error}");
    assert!(error.contains("DELETE /repos/octo/app: 501"), "{error}");
    Ok(())
}

#[tokio::test]
async fn a_fault_that_nobody_met_fails_the_test() -> Result<()> {
    let world = World::new().await?;
    world.forge.fail_next(2, 500);
    let error = world.forge.finish().await.unwrap_err().to_string();
    assert_eq!(error, "2 faults are left that no request met");
    Ok(())
}

#[tokio::test]
async fn a_forge_wants_to_know_who_asks() -> Result<()> {
    let world = World::new().await?;
    let nobody = reqwest::Client::builder().tls_certs_only([]).build()?;
    assert_eq!(nobody.get(world.forge.url()).send().await?.status(), 403);
    let place = format!("{}/repos/octo/app/statuses/{}", world.forge.url(), world.tip);
    assert_eq!(curl()?.post(&place).body("{}").send().await?.status(), 401);
    assert_eq!(curl()?.post(&place).bearer_auth("wrong").body("{}").send().await?.status(), 401);
    assert_eq!(curl()?.post(&place).bearer_auth(TOKEN).body("{}").send().await?.status(), 422);
    assert_eq!(curl()?.post(&place).bearer_auth(TOKEN).body("{").send().await?.status(), 400);
    world.forge.finish().await
}

#[tokio::test]
async fn older_programs_find_branches_too() -> Result<()> {
    let world = World::new().await?;
    world.forge.push_branch(&world.repo, &BranchName::new("user/topic")?, &sha('b'))?;
    for path in ["git/refs/heads/user/topic", "git/ref/heads/user%2Ftopic"] {
        let place = format!("{}/repos/octo/app/{path}", world.forge.url());
        let answer: Value = curl()?.get(place).send().await?.json().await?;
        assert_eq!(answer["object"]["sha"], sha('b').as_str(), "{path}");
    }
    world.forge.finish().await
}

#[tokio::test]
async fn waiting_in_vain_tells_the_story() -> Result<()> {
    let world = World::new().await?;
    world.client.repo(&world.repo).await?;
    let wait = Duration::from_millis(10);
    let error =
        world.forge.wait_for_status(&world.repo, &world.tip, "unit", wait, StatusRecord::is_final).await;
    let error = error.unwrap_err().to_string();
    assert!(
        error.starts_with("no such status `unit` of octo/app aaaaaaa within 10ms\nstatuses:\n  none\n"),
        "{error}"
    );
    assert!(error.contains("GET /repos/octo/app: 200"), "{error}");
    world.forge.finish().await
}

#[tokio::test]
async fn a_delay_delays() -> Result<()> {
    let world = World::new().await?;
    world.forge.delay(Duration::from_millis(50));
    let started = Instant::now();
    world.client.repo(&world.repo).await?;
    assert!(started.elapsed() >= Duration::from_millis(50));
    assert!(started.elapsed() < DEADLINE);
    world.forge.finish().await
}
