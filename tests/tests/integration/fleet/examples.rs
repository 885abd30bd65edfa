//! GitHub's own examples of events, all of them, through the receiver and the scanner. `tests/interop/examples.sh` fetches them.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use common::id::{BranchName, CommitSha, RepoName};
use common::queue::Queue;
use lapin::BasicProperties;
use lapin::options::BasicPublishOptions;
use serde::Deserialize;
use serde_json::{Value, json};
use tests::fleet::{Fleet, Setup, run_test_with};
use tests::forge::{Delivery, NewPull};
use tests::settings;

/// All examples of a kind of event.
#[derive(Deserialize)]
struct Event {
    name: String,
    examples: Vec<Value>,
}

/// None, and a word about it, where nobody has said where they are.
fn examples() -> Result<Option<Vec<Event>>> {
    let Some(file) = settings::get(settings::EXAMPLES) else {
        eprintln!(
            "skipped: {} is not set; tests/interop/examples.sh prints a value for it",
            settings::EXAMPLES
        );
        return Ok(None);
    };
    let text = std::fs::read(&file).with_context(|| format!("{}={file}", settings::EXAMPLES))?;
    Ok(Some(serde_json::from_slice(&text)?))
}

/// A receiver, and the repositories that the examples are about; their authors may have everything tested.
fn setup() -> Setup {
    let scan = "allow-list = [\"Codertocat\"]\n\
                [scan.test-map]\n\"Codertocat/Hello-World\" = { master = [\"debian\"] }\n\
                \"octo-org/octo-repo\" = { main = [\"debian\"] }\n";
    Setup { worker: false, scan: scan.to_owned(), ..Setup::default() }
}

/// The forge knows every repository, commit and pull that an example has.
fn prepare(fleet: &Fleet, examples: &[Value]) -> Result<()> {
    let text = serde_json::to_string(examples)?;
    let words: BTreeSet<&str> = text.split('"').collect();
    let commits: Vec<CommitSha> = words.iter().filter_map(|it| CommitSha::new(*it).ok()).collect();
    let (branch, tip) = (BranchName::new("master")?, CommitSha::new("1".repeat(40))?);
    let names = examples.iter().filter_map(|it| it["repository"]["full_name"].as_str());
    for name in names.collect::<BTreeSet<_>>() {
        let name = RepoName::new(name)?;
        fleet.forge.add_repo(&name, &branch, &tip);
        for commit in &commits {
            fleet.forge.add_commit(&name, commit)?;
        }
    }
    for example in examples {
        if let (Some(name), Some(pull)) =
            (example["repository"]["full_name"].as_str(), example.get("pull_request"))
        {
            open(fleet, &RepoName::new(name)?, pull)?;
        }
    }
    Ok(())
}

/// A forge numbers pulls from 1: the ones before are opened as well, with nothing of their own.
fn open(fleet: &Fleet, name: &RepoName, pull: &Value) -> Result<()> {
    let (number, author) = (pull["number"].as_u64(), pull["user"]["login"].as_str());
    let (Some(number @ 1..100), Some(author)) = (number, author) else { return Ok(()) };
    let head = CommitSha::new(pull["head"]["sha"].as_str().context("a head")?)?;
    let base = BranchName::new(pull["base"]["ref"].as_str().context("a base")?)?;
    while fleet.forge.next_number(name)?.get() <= number {
        fleet.forge.open_pull(name, NewPull::new("A change", author, head.clone(), base.clone()))?;
    }
    Ok(())
}

/// What the wire facts say of an event.
fn expected(event: &str) -> u16 {
    if ["ping", "pull_request", "status", "issues"].contains(&event) { 200 } else { 501 }
}

#[tokio::test]
async fn every_example_of_github_is_answered_and_none_does_harm() {
    run_test_with(setup(), async |fleet: &mut Fleet| -> Result<()> {
        let Some(events) = examples()? else { return Ok(()) };
        let all: Vec<Value> = events.iter().flat_map(|it| it.examples.clone()).collect();
        prepare(fleet, &all)?;
        let (mut wrong, mut answers) = (Vec::new(), BTreeMap::new());
        for Event { name, examples } in &events {
            for example in examples {
                for payload in [example.to_string(), serde_json::to_string_pretty(example)?] {
                    let answer = fleet.deliver(&Delivery::new(name, payload)?).await?;
                    *answers.entry(answer.status).or_insert(0) += 1;
                    if answer.status != expected(name) {
                        wrong.push(format!("{name} {}: {answer:?}", example["action"]));
                    }
                }
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
        assert_eq!(answers.values().sum::<usize>(), 2 * all.len());

        fleet.start_worker(&["scan"]).await?;
        fleet.settle_but(&[Queue::Public, Queue::Statistics]).await?;
        let mut dead = fleet.take_dead().await?;
        // Other receivers may hand on what ours does not.
        publish(fleet, &events).await?;
        fleet.settle_but(&[Queue::Public, Queue::Statistics]).await?;
        dead.extend(fleet.take_dead().await?);
        let dead: Vec<_> =
            dead.iter().map(|it| (&it.reason, it.body.chars().take(80).collect::<String>())).collect();
        assert!(dead.is_empty(), "{dead:?}");
        let tasks = fleet.empty(&[Queue::Public, Queue::Statistics]).await?;
        eprintln!("{} examples, answered {answers:?}, {tasks} tasks", all.len());
        assert!(tasks > 0);
        Ok(())
    })
    .await;
}

/// Every example, as a receiver of theirs would queue it if it queued everything.
async fn publish(fleet: &Fleet, events: &[Event]) -> Result<()> {
    let connection = fleet.bare_client().await?;
    let channel = connection.create_channel().await?;
    for Event { name, examples } in events {
        for example in examples {
            let body = json!({"event": name, "request": example}).to_string();
            let (options, properties) = (BasicPublishOptions::default(), BasicProperties::default());
            let sent =
                channel.basic_publish("".into(), "webhook".into(), options, body.as_bytes(), properties);
            sent.await?.await?;
        }
    }
    connection.close(200, "done".into()).await?;
    Ok(())
}
