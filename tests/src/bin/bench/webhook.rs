//! The receiver beside the broker alone, in turns.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use ::tests::broker::{Broker, VirtualHost};
use ::tests::group::members;
use anyhow::{Context, Result};
use serde_json::Value;

use super::Effort;
use super::amqp::Bare;
use super::http::Sender;
use super::load::{Turn, turn};
use super::machine::machine;
use super::process::{self, Process, arguments, busy, configure};
use super::table::{Row, Table, Target, Unit};

/// An event as GitHub sent it, but indented.
const PAYLOAD: &str = include_str!("../../../payloads/pull_request.opened.json");
/// What authors write into the description of a pull, again and again until the event is large enough.
const DESCRIPTION: &str = "The page no longer waits for all of its data before it shows something.\r\n\r\n\
                           - [x] tests\r\n- [ ] \"What's new\" entry\r\n\r\n";
/// The size of an event: 22 KB.
const SIZE: usize = 22_000;
/// How many events, or messages, are under way at once.
const MANY: usize = 64;
/// After which a program counts as idle, and after which the broker has dealt with what is behind it.
const REST: Duration = Duration::from_millis(500);

/// The turns of one round.
struct Round {
    bare_many: Turn,
    bare_cost: Cost,
    webhook_many: Turn,
    webhook_cost: Cost,
    bare_one: Turn,
    webhook_one: Turn,
}

/// The processor time of one event, or one message, in microseconds.
struct Cost {
    client: f64,
    webhook: f64,
    /// Not a number where the broker is not a process of ours.
    broker: f64,
}

/// What is measured, all of it up and running.
struct Stand {
    broker: Broker,
    vhost: VirtualHost,
    bare: Bare,
    webhook: Process,
    events: SocketAddr,
    event: String,
}

pub(crate) async fn measure(effort: Effort) -> Result<Table> {
    let folder = tempfile::Builder::new().prefix("flotilla-bench-").tempdir()?;
    let stand = Stand::start(folder.path()).await?;
    tokio::time::sleep(REST).await;
    let fresh = stand.webhook.resident()?;
    stand.round(Duration::from_millis(500)).await?; // to warm up
    let mut rounds = Vec::new();
    for _ in 0..effort.rounds {
        rounds.push(stand.round(Duration::from_secs(effort.seconds.into())).await?);
    }
    let (loaded, highest) = (stand.webhook.resident()?, stand.webhook.highest()?);
    let Stand { broker, vhost, webhook, .. } = stand;
    webhook.stop().await?;
    let worker = worker(&broker, &vhost, folder.path()).await?;
    let about = vec![
        format!("{} for client, receiver and broker together", machine(&broker).await?),
        format!(
            "events and messages of {SIZE} bytes, TLS, durable queue; {} rounds of turns of {} s",
            effort.rounds, effort.seconds
        ),
    ];
    vhost.remove().await?;
    broker.stop().await?;
    let mut rows = speed(&rounds);
    rows.extend([
        memory("webhook, idle after its start", fresh).target(SMALL),
        memory("webhook, idle after the load", loaded).target(SMALL),
        memory("webhook, highest", highest),
        memory("worker (scan and execute), idle after its start", worker).target(SMALL),
    ]);
    Ok(Table { about, rows })
}

const SMALL: Target = Target::Under(15.0);

fn speed(rounds: &[Round]) -> Vec<Row> {
    let row =
        |name, unit, value: &dyn Fn(&Round) -> f64| Row::new(name, unit, rounds.iter().map(value).collect());
    let ms = |name, value: &dyn Fn(&Round) -> f64| row(name, Unit::Milliseconds, value);
    let us = |name, value: &dyn Fn(&Round) -> f64| row(name, Unit::Microseconds, value);
    let (median, late) = (0.5, 0.99);
    vec![
        row("publish and confirm, 64 in flight", Unit::PerSecond, &|it| it.bare_many.rate()),
        row("webhook, 64 clients", Unit::PerSecond, &|it| it.webhook_many.rate()),
        row("  of the bare rate", Unit::Ratio, &|it| it.webhook_many.rate() / it.bare_many.rate())
            .target(Target::AtLeast(0.7)),
        us("processor time of a message: client", &|it| it.bare_cost.client),
        us("  broker", &|it| it.bare_cost.broker),
        us("processor time of an event: sender", &|it| it.webhook_cost.client),
        us("  webhook", &|it| it.webhook_cost.webhook),
        us("  broker", &|it| it.webhook_cost.broker),
        ms("publish and confirm, one in flight, median", &|it| it.bare_one.within(median)),
        ms("publish and confirm, one in flight, 99th percentile", &|it| it.bare_one.within(late)),
        ms("webhook, one client, median", &|it| it.webhook_one.within(median)).target(Target::AtMost(1.5)),
        ms("webhook, one client, 99th percentile", &|it| it.webhook_one.within(late))
            .target(Target::AtMost(4.0)),
        ms("  above the bare one, median", &|it| it.webhook_one.within(median) - it.bare_one.within(median)),
        ms("  above the bare one, 99th percentile", &|it| {
            it.webhook_one.within(late) - it.bare_one.within(late)
        }),
    ]
}

fn memory(name: &'static str, megabytes: f64) -> Row {
    Row::new(name, Unit::Megabytes, vec![megabytes])
}

impl Stand {
    async fn start(folder: &Path) -> Result<Self> {
        let broker = Broker::open().await?;
        let vhost = broker.vhost(&format!("bench-{}", uuid::Uuid::now_v7().simple())).await?;
        let bare = Bare::connect(&broker, vhost.name()).await?;
        let (events, operators) = (process::address()?, process::address()?);
        let table = format!("[webhook]\nlisten = \"{events}\"\nservice-listen = \"{operators}\"\n");
        let config = configure("webhook", &table, &broker, &vhost, folder)?;
        let webhook = Process::start("webhook", &arguments(&config), operators, folder).await?;
        Ok(Self { broker, vhost, bare, webhook, events, event: event()? })
    }

    /// All measurements in turn.
    async fn round(&self, time: Duration) -> Result<Round> {
        let (bare_many, bare_cost) = self.cost(self.bare(MANY, time)).await?;
        let (webhook_many, webhook_cost) = self.cost(self.webhook(MANY, time)).await?;
        Ok(Round {
            bare_many,
            bare_cost,
            webhook_many,
            webhook_cost,
            bare_one: self.bare(1, time).await?,
            webhook_one: self.webhook(1, time).await?,
        })
    }

    async fn bare(&self, count: usize, time: Duration) -> Result<Turn> {
        let publishers = self.bare.publishers(count, self.event.as_bytes()).await?;
        let turn = turn(publishers, time).await?;
        self.rest().await?;
        Ok(turn)
    }

    async fn webhook(&self, count: usize, time: Duration) -> Result<Turn> {
        let mut senders = Vec::new();
        for _ in 0..count {
            senders.push(Sender::connect(self.events, "pull_request", &self.event).await?);
        }
        let turn = turn(senders, time).await?;
        self.rest().await?;
        Ok(turn)
    }

    async fn cost(&self, turn: impl Future<Output = Result<Turn>>) -> Result<(Turn, Cost)> {
        let before = self.busy()?;
        let turn = turn.await?;
        let after = self.busy()?;
        let cost = Cost {
            client: (after.client - before.client) / turn.count(),
            webhook: (after.webhook - before.webhook) / turn.count(),
            broker: (after.broker - before.broker) / turn.count(),
        };
        Ok((turn, cost))
    }

    /// The processor time that everybody has had so far.
    fn busy(&self) -> Result<Cost> {
        let broker = self.broker.group().map(members).map(|it| busy(&it));
        Ok(Cost {
            client: busy(&[std::process::id().try_into()?])?,
            webhook: busy(&[self.webhook.id()])?,
            broker: broker.unwrap_or(Ok(f64::NAN))?,
        })
    }

    /// Leaves nothing behind for the next turn.
    async fn rest(&self) -> Result<()> {
        self.bare.purge().await?;
        tokio::time::sleep(REST).await;
        Ok(())
    }
}

/// The memory of a worker that has nothing to do.
async fn worker(broker: &Broker, vhost: &VirtualHost, folder: &Path) -> Result<f64> {
    let operators = process::address()?;
    let table = format!(
        "[worker]\nservice-listen = \"{operators}\"\n[execute]\nqueues = [\"public\", \"internal\", \"statistics\"]\n\
         [logs.local]\ndir = \"logs\"\nlink = \"http://{operators}\"\n"
    );
    let config = configure("run-queue", &table, broker, vhost, folder)?;
    let worker = Process::start("run-queue", &arguments(&config), operators, folder).await?;
    tokio::time::sleep(REST).await;
    let resident = worker.resident()?;
    worker.stop().await?;
    Ok(resident)
}

/// A real event, as compact as forges send it, with a description that brings it to [`SIZE`].
fn event() -> Result<String> {
    let mut payload: Value = serde_json::from_str(PAYLOAD)?;
    let mut describe = |text: String| {
        payload["pull_request"]["body"] = text.into();
        payload.to_string()
    };
    let without = describe(String::new()).len();
    let paragraph = describe(DESCRIPTION.to_owned()).len() - without;
    let missing = SIZE.checked_sub(without).context("the payload is larger than the event is to be")?;
    Ok(describe(DESCRIPTION.repeat(missing / paragraph) + &"-".repeat(missing % paragraph)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_event_is_real_and_has_its_size() {
        let event = event().unwrap();
        assert_eq!(event.len(), SIZE);
        assert_eq!(serde_json::from_str::<Value>(&event).unwrap()["action"], "opened");
    }
}
