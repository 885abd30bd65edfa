//! The events of the stand-in, read by our own types and delivered over HTTP.

use std::sync::{Arc, Mutex};

use anyhow::{Context as _, Result};
use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use common::event::{Action, Envelope, Event, PullRequestEvent, StatusEvent};
use common::forge::{PullState, StatusState};
use serde_json::{Value, json};
use tests::forge::{Delivery, Hook, NewPull, sign};

use super::{World, sha, status};

fn parse(delivery: &Delivery) -> Result<Event> {
    let body = Envelope::encode(&delivery.event, delivery.payload.as_bytes());
    Ok(Envelope::decode(&body)?.parse()?)
}

fn pull_event(delivery: &Delivery) -> Result<PullRequestEvent> {
    match parse(delivery)? {
        Event::PullRequest(event) => Ok(*event),
        other => anyhow::bail!("expected a pull_request event, got {other:?}"),
    }
}

fn status_event(delivery: &Delivery) -> Result<StatusEvent> {
    match parse(delivery)? {
        Event::Status(event) => Ok(event),
        other => anyhow::bail!("expected a status event, got {other:?}"),
    }
}

fn json(delivery: &Delivery) -> Result<Value> {
    serde_json::from_str(&delivery.payload).context("a payload")
}

#[tokio::test]
async fn the_life_of_a_pull_in_events() -> Result<()> {
    let world = World::new().await?;
    let (forge, repo) = (&world.forge, &world.repo);
    let pull = NewPull::new("A change", "octocat", sha('b'), world.main.clone());
    let (number, opened) = forge.open_pull(repo, pull)?;
    let pushed = forge.push(repo, number, &sha('c'))?;
    assert_eq!(json(&pushed)?["before"], sha('b').as_str());
    assert_eq!(json(&pushed)?["after"], sha('c').as_str());
    let labeled = forge.label(repo, number, "no-test")?;
    assert_eq!(json(&labeled)?["label"]["name"], "no-test");
    let closed = forge.close(repo, number)?;
    let reopened = forge.reopen(repo, number)?;
    let merged = forge.merge(repo, number)?;
    for (delivery, action, state, head) in [
        (&opened, Action::Opened, PullState::Open, 'b'),
        (&pushed, Action::Synchronize, PullState::Open, 'c'),
        (&labeled, Action::Labeled, PullState::Open, 'c'),
        (&closed, Action::Closed, PullState::Closed, 'c'),
        (&reopened, Action::Reopened, PullState::Open, 'c'),
        (&merged, Action::Closed, PullState::Closed, 'c'),
    ] {
        let event = pull_event(delivery)?;
        assert_eq!((event.action, event.repo()), (action, repo));
        let pull = event.pull_request;
        assert_eq!((pull.number, pull.author(), pull.state), (number, "octocat", state));
        assert_eq!(pull.head.sha, sha(head));
    }
    assert_eq!(
        (json(&closed)?["pull_request"]["merged"].clone(), json(&merged)?["pull_request"]["merged"].clone()),
        (json!(false), json!(true))
    );
    assert_eq!(world.client.tip(repo, &world.main).await?, sha('c'));
    let example = Value::to_string(&json(&opened)?);
    assert!(!example.contains("Hello-World") && !example.contains("api.github.com"), "{example}");
    world.forge.finish().await
}

#[tokio::test]
async fn statuses_issues_and_pushes_in_events() -> Result<()> {
    let world = World::new().await?;
    let (forge, repo) = (&world.forge, &world.repo);
    let asked = status("unit", StatusState::Pending, "Not yet tested (direct trigger)");
    let event = status_event(&forge.set_status(repo, &world.tip, asked)?)?;
    assert!(event.is_direct_trigger());
    assert_eq!((event.sha.clone(), event.repo(), event.context.as_str()), (world.tip.clone(), repo, "unit"));

    world.client.post_status(repo, &world.tip, &status("unit", StatusState::Success, "Success")).await?;
    let event = status_event(&forge.status_event(repo, &world.tip, "unit")?)?;
    assert_eq!((event.state, event.description.as_deref()), (StatusState::Success, Some("Success")));

    let issue = json(&forge.open_issue(repo, "Image refresh", " * [ ] image-refresh f", "octocat")?)?;
    assert_eq!(
        (issue["action"].as_str(), issue["issue"]["user"]["login"].as_str()),
        (Some("opened"), Some("octocat"))
    );
    assert_eq!(issue["issue"]["body"], " * [ ] image-refresh f");
    let push = json(&forge.push_branch(repo, &world.main, &sha('c'))?)?;
    assert_eq!(
        (push["ref"].as_str(), push["after"].as_str()),
        (Some("refs/heads/main"), Some(sha('c').as_str()))
    );
    assert_eq!(forge.ping(repo)?.event.as_str(), "ping");
    world.forge.finish().await
}

#[tokio::test]
async fn an_event_is_delivered_and_signed() -> Result<()> {
    let world = World::new().await?;
    let seen: Arc<Mutex<Vec<(HeaderMap, Bytes)>>> = Arc::default();
    let receiver = Arc::clone(&seen);
    let router = Router::new().route(
        "/",
        post(async move |headers: HeaderMap, body: Bytes| {
            receiver.lock().unwrap().push((headers, body));
            (StatusCode::SERVICE_UNAVAILABLE, "no broker")
        }),
    );
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let hook = Hook::new(&format!("http://{}/", listener.local_addr()?), "secret")?;
    tokio::spawn(async move { axum::serve(listener, router).await });

    let ping = world.forge.ping(&world.repo)?;
    let delivered = hook.deliver(&ping).await?;
    assert_eq!((delivered.status, delivered.text.as_str()), (503, "no broker"));
    let (headers, body) = seen.lock().unwrap().remove(0);
    assert_eq!(body, ping.payload.as_bytes());
    for (name, value) in [
        ("x-github-event", "ping"),
        ("x-github-delivery", ping.id.as_str()),
        ("x-hub-signature-256", &sign("secret", &body)),
        ("content-type", "application/json"),
    ] {
        assert_eq!(headers[name], value, "{name}");
    }
    world.forge.finish().await
}
