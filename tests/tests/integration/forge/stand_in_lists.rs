//! What the stand-in answers as GitHub does: lists, validators, limits, the log of a webhook.

use std::time::Duration;

use anyhow::{Context as _, Result};
use common::forge::StatusState;
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};
use tests::forge::{Fault, Field, Hook, Recorded, Validators};

use super::{DEADLINE, TOKEN, World, sha, status};

async fn get(world: &World, path: &str, headers: &[(&str, &str)]) -> Result<Response> {
    let client =
        common::http::client("curl", common::http::Trust::Nobody, common::http::Timeouts::default())?;
    let request = client.get(format!("{}/repos/octo/app/{path}", world.forge.url())).bearer_auth(TOKEN);
    Ok(headers.iter().fold(request, |it, (name, value)| it.header(*name, *value)).send().await?)
}

fn header(response: &Response, name: &str) -> Result<String> {
    Ok(response.headers().get(name).with_context(|| format!("no {name}"))?.to_str()?.to_owned())
}

async fn numbers(world: &World, path: &str) -> Result<Vec<u64>> {
    let all: Vec<Value> = get(world, path, &[]).await?.json().await?;
    Ok(all.iter().filter_map(|it| it["number"].as_u64()).collect())
}

#[tokio::test]
async fn pulls_come_in_pages() -> Result<()> {
    let world = World::new().await?;
    for digit in ['1', '2', '3', '4'] {
        world.open_pull(&sha(digit))?;
    }
    let last = world.open_pull(&sha('5'))?;
    let first = get(&world, "pulls?state=open&per_page=2", &[]).await?;
    let links = header(&first, "link")?;
    let next =
        format!("<{}/repos/octo/app/pulls?state=open&per_page=2&page=2>; rel=\"next\"", world.forge.url());
    assert!(links.starts_with(&next) && links.contains("page=3>; rel=\"last\""), "{links}");
    assert_eq!(numbers(&world, "pulls?state=open&per_page=2&page=3").await?, [1]);
    world.forge.close(&world.repo, last)?;
    assert_eq!(numbers(&world, "pulls").await?, [4, 3, 2, 1]);
    assert_eq!(numbers(&world, "pulls?state=all").await?, [5, 4, 3, 2, 1]);
    world.forge.finish().await
}

#[tokio::test]
async fn issues_and_pulls_share_a_list() -> Result<()> {
    let world = World::new().await?;
    let (forge, repo) = (&world.forge, &world.repo);
    let pull = world.open_pull(&sha('b'))?;
    let issue = forge.next_number(repo)?;
    forge.open_issue(repo, "Refresh", "", "octocat")?;
    let labeled: Value = serde_json::from_str(&forge.label_issue(repo, issue, "bot")?.payload)?;
    assert_eq!((&labeled["action"], &labeled["label"]["name"]), (&json!("labeled"), &json!("bot")));
    forge.label(repo, pull, "bot")?;
    assert_eq!(numbers(&world, "issues?labels=bot&state=open").await?, [2, 1]);
    assert_eq!(numbers(&world, "issues?labels=bot,other").await?, [0; 0]);

    let edited: Value =
        serde_json::from_str(&forge.edit_issue(repo, issue, Field::Body, " * [ ] x")?.payload)?;
    assert_eq!((&edited["action"], &edited["changes"]), (&json!("edited"), &json!({"body": {"from": ""}})));
    assert_eq!(edited["issue"]["body"], " * [ ] x");
    let edited: Value = serde_json::from_str(&forge.edit(repo, pull, Field::Title, "Other")?.payload)?;
    assert_eq!(edited["changes"], json!({"title": {"from": "A change"}}));
    assert_eq!(edited["pull_request"]["title"], "Other");

    let shown: Value = get(&world, "issues/1", &[]).await?.json().await?;
    assert!(shown["pull_request"].is_object() && shown["title"] == "Other", "{shown}");
    forge.close_issue(repo, issue)?;
    assert_eq!(numbers(&world, "issues?labels=bot&state=open").await?, [1]);
    world.forge.finish().await
}

#[tokio::test]
async fn all_statuses_come_newest_first() -> Result<()> {
    let world = World::new().await?;
    for state in [StatusState::Pending, StatusState::Failure, StatusState::Success] {
        world.forge.set_status(&world.repo, &world.tip, status("unit", state, "word"))?;
    }
    let all: Value =
        get(&world, &format!("commits/{}/statuses?per_page=2", world.tip), &[]).await?.json().await?;
    assert_eq!(
        (&all[0]["state"], &all[1]["state"], &all[2]),
        (&json!("success"), &json!("failure"), &json!(null))
    );
    world.forge.finish().await
}

#[tokio::test]
async fn what_has_not_changed_is_free() -> Result<()> {
    let world = World::new().await?;
    world.open_pull(&sha('b'))?;
    let first = get(&world, "pulls", &[]).await?;
    let tag = header(&first, "etag")?;
    let again = get(&world, "pulls", &[("if-none-match", &tag)]).await?;
    assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
    assert!(again.bytes().await?.is_empty());
    assert_eq!(world.forge.cost(), 1);
    world.open_pull(&sha('c'))?;
    assert_eq!(get(&world, "pulls", &[("if-none-match", &tag)]).await?.status(), StatusCode::OK);

    world.forge.set_validators(Validators::LastModified);
    let dated = get(&world, "pulls", &[]).await?;
    assert!(dated.headers().get("etag").is_none());
    let date = header(&dated, "last-modified")?;
    let since = [("if-modified-since", date.as_str())];
    assert_eq!(get(&world, "pulls", &since).await?.status(), StatusCode::NOT_MODIFIED);
    world.open_pull(&sha('d'))?;
    assert_eq!(get(&world, "pulls", &since).await?.status(), StatusCode::OK);
    world.forge.finish().await
}

#[tokio::test]
async fn the_limit_counts_down_and_ends() -> Result<()> {
    let world = World::new().await?;
    world.forge.set_rate_limit(60, 2, Duration::from_mins(10));
    for left in ["1", "0"] {
        assert_eq!(header(&get(&world, "pulls", &[]).await?, "x-ratelimit-remaining")?, left);
    }
    let limited = get(&world, "pulls", &[]).await?;
    assert_eq!(
        (limited.status(), header(&limited, "x-ratelimit-remaining")?.as_str()),
        (StatusCode::FORBIDDEN, "0")
    );
    world.forge.set_rate_limit(60, 0, Duration::ZERO);
    assert_eq!(header(&get(&world, "pulls", &[]).await?, "x-ratelimit-remaining")?, "59");
    assert_eq!(world.forge.requests().iter().map(|it| it.cost).collect::<Vec<_>>(), [1, 1, 0, 1]);
    world.forge.finish().await
}

#[tokio::test]
async fn connections_break_where_they_are_told_to() -> Result<()> {
    let world = World::new().await?;
    world.forge.fault_on("GET /repos/octo/app/issues", 1, &Fault::Reset);
    assert_eq!(get(&world, "pulls", &[]).await?.status(), StatusCode::OK);
    assert!(get(&world, "issues", &[]).await.is_err());
    assert_eq!(get(&world, "issues", &[]).await?.status(), StatusCode::OK);
    world.forge.finish().await
}

#[tokio::test]
async fn a_webhook_has_a_log() -> Result<()> {
    let world = World::new().await?;
    let (forge, repo) = (&world.forge, &world.repo);
    // Nobody listens there.
    forge.add_hook(repo, 7, Hook::new("http://127.0.0.1:1/", "secret")?);
    for _ in 0..3 {
        assert_eq!(forge.send(repo, 7, &forge.ping(repo)?).await?, 0);
    }
    let first = get(&world, "hooks/7/deliveries?per_page=2", &[]).await?;
    let link = header(&first, "link")?;
    let page: Value = first.json().await?;
    let log = forge.deliveries(repo, 7);
    assert_eq!((page[0]["id"].as_u64(), page[1]["id"].as_u64()), (Some(log[2].id), Some(log[1].id)));
    assert_eq!((&page[0]["status_code"], &page[0]["guid"]), (&json!(0), &json!(log[2].delivery.id.as_str())));
    let cursor = link.split_once("cursor=").context("a cursor")?.1.split_once('>').context("its end")?.0;
    let rest: Value =
        get(&world, &format!("hooks/7/deliveries?per_page=2&cursor={cursor}"), &[]).await?.json().await?;
    assert_eq!((rest[0]["id"].as_u64(), &rest[1]), (Some(log[0].id), &json!(null)));

    let client =
        common::http::client("curl", common::http::Trust::Nobody, common::http::Timeouts::default())?;
    let place = format!("{}/repos/octo/app/hooks/7/deliveries/{}/attempts", forge.url(), log[0].id);
    assert_eq!(client.post(place).bearer_auth(TOKEN).send().await?.status(), StatusCode::ACCEPTED);
    let attempted = |it: &Recorded| it.path.ends_with("/attempts");
    forge.wait_for_request(DEADLINE, attempted).await?;
    let again = forge.wait_for_delivery(repo, 7, DEADLINE, |it| it.redelivery).await?;
    assert_eq!((again.delivery.id, again.status), (log[0].delivery.id.clone(), 0));
    world.forge.finish().await
}
