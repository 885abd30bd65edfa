//! Senders that do not give up: a forge's hook whose failed deliveries somebody sends again, and an operator.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use common::Chain;
use common::broker::{Broker as Connector, BrokerError, Headers, Outgoing};
use common::queue::{Priority, Queue};
use tokio::time::{Instant, sleep, timeout};

use super::diary::Diary;
use crate::forge::{Delivery, Hook};

/// Before what was not accepted is sent again.
const PAUSE: Duration = Duration::from_secs(1);
/// Longer than any fault.
const PATIENCE: Duration = Duration::from_mins(3);
/// An operator who gets no answer for so long tries again.
const OPERATOR: Duration = Duration::from_secs(10);

/// What became of something that was sent.
#[derive(Debug)]
pub(super) struct Sent {
    /// What it was, for stories.
    pub(super) what: String,
    /// How often it was sent.
    pub(super) tries: u32,
    pub(super) accepted: bool,
    /// Answers that nobody may get.
    pub(super) wrong: Vec<String>,
}

/// Sends an event until it is accepted, always with the same id.
pub(super) async fn deliver(hook: Hook, delivery: Delivery, what: String, diary: Arc<Diary>) -> Sent {
    let mut sent = Sent { what, tries: 0, accepted: false, wrong: Vec::new() };
    let end = Instant::now() + PATIENCE;
    while Instant::now() < end {
        sent.tries += 1;
        let (what, id) = (&sent.what, &delivery.id);
        match hook.deliver(&delivery).await {
            Ok(answer) if answer.status == 200 => {
                diary.note(format_args!("accepted {what}, delivery {id}"));
                sent.accepted = true;
                break;
            }
            Ok(answer) if answer.status == 503 => diary.note(format_args!("refused {what}, delivery {id}")),
            Ok(answer) => sent.wrong.push(format!("{what}, delivery {id}: {answer:?}")),
            Err(error) => sent.wrong.push(format!("{what}, delivery {id}: {error:#}")),
        }
        sleep(PAUSE).await;
    }
    sent
}

/// Puts a message into a queue until the broker has confirmed it, always with the same id.
pub(super) async fn put(
    connector: Connector,
    queue: Queue,
    body: String,
    what: String,
    diary: Arc<Diary>,
) -> Sent {
    let priority = queue.arguments().max_priority.map(|_| Priority::HIGH);
    let message = Outgoing { queue, body: Bytes::from(body), priority, headers: Headers::fresh() };
    let mut sent = Sent { what, tries: 0, accepted: false, wrong: Vec::new() };
    let end = Instant::now() + PATIENCE;
    while Instant::now() < end {
        sent.tries += 1;
        let what = &sent.what;
        match timeout(OPERATOR, put_once(&connector, &message)).await {
            Ok(Ok(())) => {
                diary.note(format_args!("put {what}, task {}", message.headers.id));
                sent.accepted = true;
                break;
            }
            Ok(Err(error)) => diary.note(format_args!("not put {what}: {}", Chain(&error))),
            Err(_) => diary.note(format_args!("not put {what}: no answer")),
        }
        sleep(PAUSE).await;
    }
    sent
}

async fn put_once(connector: &Connector, message: &Outgoing) -> Result<(), BrokerError> {
    let session = connector.connect("operator").await?;
    session.declare(&[message.queue]).await?;
    session.publisher().await?.publish(message).await?;
    session.close().await;
    Ok(())
}
