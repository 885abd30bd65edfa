//! When is all quiet: nothing waits, nothing runs, nobody holds anything.

use std::fs;
use std::time::Duration;

use anyhow::{Context as _, Result};
use common::broker::{BrokerError, Session};
use common::queue::Queue;
use lapin::options::QueueDeclareOptions;
use lapin::types::FieldTable;
use tokio::time::{Instant, sleep, timeout};

use super::field::Field;
use super::judge::LeftClaim;
use super::older::Older;
use crate::broker::Identity;

/// How many looks in a row must find nothing: between two of them a message may be on its way.
const LOOKS: u32 = 4;
const POLL: Duration = Duration::from_millis(500);
/// Longer than one look takes on a busy machine.
const LOOK: Duration = Duration::from_secs(20);

/// What there is when all is quiet, or when nobody waits for that any longer.
#[derive(Debug, Default)]
pub(super) struct End {
    pub(super) wrong: Vec<String>,
    pub(super) claims: Vec<LeftClaim>,
}

impl From<Vec<String>> for End {
    fn from(wrong: Vec<String>) -> Self {
        Self { wrong, claims: Vec::new() }
    }
}

/// What is going on.
struct Unrest {
    /// Messages that wait in queues.
    waiting: u32,
    /// All of it, in words.
    found: Vec<String>,
}

impl Unrest {
    const fn unseen(why: Vec<String>) -> Self {
        Self { waiting: u32::MAX, found: why }
    }
}

/// Waits for it: for as long as less and less waits, since a machine may be too slow for what people asked of it, and then for the
/// limit. What is still going on after it is wrong.
pub(super) async fn wait(field: &mut Field<'_>, vhost: &str, limit: Duration) -> End {
    let mut end = Instant::now() + limit;
    let (mut quiet, mut fewest) = (0, u32::MAX);
    loop {
        let Unrest { waiting, found } = match timeout(LOOK, look(field, vhost)).await {
            Ok(Ok(unrest)) => unrest,
            Ok(Err(error)) => Unrest::unseen(vec![format!("nobody can look: {error:#}")]),
            Err(_) => Unrest::unseen(vec!["looking took too long".to_owned()]),
        };
        if waiting < fewest {
            (fewest, end) = (waiting, Instant::now() + limit);
        }
        quiet = if found.is_empty() { quiet + 1 } else { 0 };
        if quiet >= LOOKS {
            return match timeout(LOOK, left(field, vhost)).await {
                Ok(Ok(left)) => left,
                Ok(Err(error)) => vec![format!("nobody can see what is left: {error:#}")].into(),
                Err(_) => vec!["seeing what is left took too long".to_owned()].into(),
            };
        }
        if Instant::now() > end {
            let found = found.into_iter().map(|it| format!("not quiet in the end: {it}"));
            return found.collect::<Vec<_>>().into();
        }
        if let Err(error) = field.keep().await {
            return vec![format!("a worker that died could not be started again: {error:#}")].into();
        }
        sleep(POLL).await;
    }
}

/// The queues that should not be there any more, or hold something, although nobody has anything to do: whatever they are called.
async fn left(field: &mut Field<'_>, vhost: &str) -> Result<End> {
    let mut left = End::default();
    let dead = field.sender.connector.queues.of(Queue::Dead).to_owned();
    let connection = field.sender.client.connect(Identity::Client).await?;
    let mut channel = connection.create_channel().await?;
    for name in field.broker.queues(vhost).await? {
        let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        let queue = channel.queue_declare(name.as_str().into(), passive, FieldTable::default()).await;
        let Ok(queue) = queue else {
            // What has expired since it was listed has left nothing but a closed channel.
            channel = connection.create_channel().await?;
            continue;
        };
        // What is in a generation is a count, and no work: the broker deletes it in its own time.
        let is_work = name != dead && !name.starts_with("generation.");
        if is_work && queue.message_count() > 0 {
            left.wrong.push(format!("{} are left in {name}", queue.message_count()));
        }
        if name.starts_with("claim.") {
            left.claims.push(LeftClaim { name, holders: queue.consumer_count() });
        }
    }
    connection.close(200, "done".into()).await?;
    Ok(left)
}

async fn look(field: &mut Field<'_>, vhost: &str) -> Result<Unrest> {
    let (mut waiting, mut found) = (0, Vec::new());
    let connector = &field.sender.connector;
    let session = connector.connect("quiet").await?;
    for queue in Queue::ALL.into_iter().filter(|it| *it != Queue::Dead) {
        waiting += depth(&session, connector.queues.of(queue), &mut found).await?;
    }
    let queues = field.broker.queues(vhost).await?;
    for name in queues.iter().filter(|it| it.starts_with("retry.") || it.starts_with("claim.")) {
        waiting += depth(&session, name, &mut found).await?;
    }
    session.close().await;
    for site in &mut field.sites {
        let state = site.state().to_owned();
        for worker in site.workers() {
            busy(worker, &mut found).await?;
        }
        let kept = fs::read_dir(state.join("reports")).into_iter().flatten().flatten();
        let kept = kept.filter(|it| !it.file_name().to_string_lossy().starts_with('.'));
        found.extend(kept.map(|it| format!("a report is kept: {}", it.path().display())));
    }
    if field.older.as_ref().is_some_and(Older::is_busy) {
        found.push("the older worker is busy".to_owned());
    }
    let containers = field.engine.containers().await?;
    found.extend(containers.iter().map(|it| format!("the container {} is there", it.name)));
    Ok(Unrest { waiting, found })
}

/// How many wait in this queue.
async fn depth(session: &Session, name: &str, found: &mut Vec<String>) -> Result<u32> {
    let depth = match session.depth_of(name).await {
        Err(BrokerError::Missing(_)) => 0,
        depth => depth?,
    };
    if depth > 0 {
        found.push(format!("{depth} wait in {name}"));
    }
    Ok(depth)
}

async fn busy(worker: &mut crate::fleet::Program, found: &mut Vec<String>) -> Result<()> {
    if worker.exited()?.is_some() {
        return Ok(());
    }
    let address = worker.listening("operator endpoints").await?;
    let metrics = reqwest::get(format!("http://{address}/metrics")).await.context("a worker's metrics");
    let metrics = metrics?.text().await?;
    let running = metrics.lines().filter(|it| it.starts_with("flotilla_deliveries_running{"));
    let running: u32 = running.filter_map(|it| it.rsplit(' ').next()?.parse::<u32>().ok()).sum();
    if running > 0 {
        found.push(format!("{} is busy with {running}", worker.name()));
    }
    Ok(())
}
