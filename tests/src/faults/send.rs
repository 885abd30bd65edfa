//! Senders that do not give up: a forge's hook whose failed deliveries somebody sends again, and an operator.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use aws_lc_rs::digest::{SHA256, digest};
use bytes::Bytes;
use common::Chain;
use common::broker::{Broker as Connector, BrokerError, Headers, Outgoing};
use common::id::TaskId;
use common::queue::{Priority, Queue};
use jiff::Timestamp;
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Confirmation};
use tokio::time::{Instant, sleep, timeout};

use super::diary::{Diary, now};
use super::schedule::Dress;
use crate::broker::{Client, Identity};
use crate::forge::{Delivery, Hook};

/// Before what was not accepted is sent again.
const PAUSE: Duration = Duration::from_secs(1);
/// An operator who gets no answer for so long tries again.
const OPERATOR: Duration = Duration::from_secs(10);

/// What became of something that was sent.
#[derive(Debug)]
pub(super) struct Sent {
    /// What it was, for stories.
    pub(super) what: String,
    /// The id by which workers know it, where it is a message for them.
    pub(super) id: Option<TaskId>,
    /// How often it was sent.
    pub(super) tries: u32,
    pub(super) accepted: bool,
    /// Answers that nobody may get.
    pub(super) wrong: Vec<String>,
    /// No answer, which only a receiver that is not there may give.
    pub(super) unanswered: Vec<Unanswered>,
}

/// A try that got no answer.
#[derive(Debug)]
pub(super) struct Unanswered {
    pub(super) what: String,
    /// From when to when.
    pub(super) time: (Timestamp, Timestamp),
}

impl Sent {
    pub(super) const fn new(what: String) -> Self {
        Self { what, id: None, tries: 0, accepted: false, wrong: Vec::new(), unanswered: Vec::new() }
    }
}

/// People who send.
#[derive(Clone)]
pub(super) struct Sender {
    pub(super) hook: Hook,
    pub(super) connector: Connector,
    /// For what no program of ours would put into a queue.
    pub(super) client: Client,
    pub(super) diary: Arc<Diary>,
    /// For how long they try.
    pub(super) patience: Duration,
}

/// A message for a queue.
#[derive(Clone, Debug)]
pub(super) struct Letter {
    pub(super) queue: Queue,
    pub(super) body: String,
    pub(super) dress: Dress,
}

impl Letter {
    /// What does not say its id has a digest of its body for one.
    fn id(&self, headers: &Headers) -> TaskId {
        if self.dress == Dress::Ours {
            return headers.id.clone();
        }
        TaskId::from_digest(digest(&SHA256, self.body.as_bytes()).as_ref())
    }
}

impl Sender {
    /// Sends an event until it is accepted, always with the same id.
    pub(super) async fn deliver(self, delivery: Delivery, what: String) -> Sent {
        let mut sent = Sent::new(what);
        let end = Instant::now() + self.patience;
        while Instant::now() < end {
            sent.tries += 1;
            let (what, id) = (&sent.what, &delivery.id);
            let from = now();
            match self.hook.deliver(&delivery).await {
                Ok(answer) if answer.status == 200 => {
                    self.diary.note(format_args!("accepted {what}, delivery {id}"));
                    sent.accepted = true;
                    break;
                }
                Ok(answer) if answer.status == 503 => {
                    self.diary.note(format_args!("refused {what}, delivery {id}"));
                }
                Ok(answer) => sent.wrong.push(format!("{what}, delivery {id}: {answer:?}")),
                Err(error) => {
                    self.diary.note(format_args!("no answer to {what}, delivery {id}"));
                    let what = format!("{what}, delivery {id}: {error:#}");
                    sent.unanswered.push(Unanswered { what, time: (from, now()) });
                }
            }
            sleep(PAUSE).await;
        }
        sent
    }

    /// Puts a message into a queue until the broker has confirmed it, always with the same id.
    pub(super) async fn put(self, letter: Letter, what: String) -> Sent {
        let headers = Headers::fresh();
        let mut sent = Sent::new(what);
        sent.id = Some(letter.id(&headers));
        let end = Instant::now() + self.patience;
        while Instant::now() < end {
            sent.tries += 1;
            let what = &sent.what;
            match timeout(OPERATOR, self.put_once(&letter, &headers)).await {
                Ok(Ok(())) => {
                    self.diary.note(format_args!("put {what}, {:?}, task {}", letter.dress, headers.id));
                    sent.accepted = true;
                    break;
                }
                Ok(Err(error)) => self.diary.note(format_args!("not put {what}: {error:#}")),
                Err(_) => self.diary.note(format_args!("not put {what}: no answer")),
            }
            sleep(PAUSE).await;
        }
        sent
    }

    async fn put_once(&self, letter: &Letter, headers: &Headers) -> Result<()> {
        let Letter { queue, body, dress } = letter;
        let priority = queue.arguments().max_priority.map(|_| Priority::HIGH);
        if *dress == Dress::Ours {
            let (body, headers) = (Bytes::from(body.clone()), headers.clone());
            let message = Outgoing { queue: *queue, body, priority, headers };
            let put = put_ours(&self.connector, &message).await;
            return put.map_err(|error| anyhow::anyhow!("{}", Chain(&error)));
        }
        let connection = self.client.connect(Identity::Client).await?;
        let channel = connection.create_channel().await?;
        channel.confirm_select(ConfirmSelectOptions::default()).await?;
        let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
        let name = self.connector.queues.of(*queue);
        let properties = dressed(*dress, priority);
        let confirm =
            channel.basic_publish("".into(), name.into(), options, body.as_bytes(), properties).await?;
        let confirmation = confirm.await?;
        connection.close(200, "done".into()).await.context("the connection did not end well")?;
        ensure!(matches!(confirmation, Confirmation::Ack(None)), "refused, or nobody has made the queue yet");
        Ok(())
    }
}

async fn put_ours(connector: &Connector, message: &Outgoing) -> Result<(), BrokerError> {
    let session = connector.connect("operator").await?;
    session.declare(&[message.queue]).await?;
    session.publisher().await?.publish(message).await?;
    session.close().await;
    Ok(())
}

/// What programs of other versions say of a message. It is persistent, which older ones leave out: what is not may be lost with its broker.
fn dressed(dress: Dress, priority: Option<Priority>) -> BasicProperties {
    let properties = BasicProperties::default().with_delivery_mode(2);
    let properties = match priority {
        Some(priority) => properties.with_priority(priority.number()),
        None => properties,
    };
    if dress == Dress::Bare {
        return properties;
    }
    let text = |it: &str| AMQPValue::LongString(it.into());
    let mut table = FieldTable::default();
    table.insert("x-flotilla-attempt".into(), text("the first"));
    table.insert("x-flotilla-lease".into(), AMQPValue::Timestamp(1));
    table.insert("x-flotilla-awaited-by".into(), AMQPValue::FieldArray(vec![text("a"), text("b")].into()));
    table.insert("traceparent".into(), text("cc-of-tomorrow"));
    table.insert("baggage".into(), text("k=v"));
    properties
        .with_headers(table)
        .with_content_type("application/json;v=2".into())
        .with_app_id("flotilla-99".into())
        .with_type("job/2".into())
        .with_reply_to("answers".into())
        .with_correlation_id("7".into())
        .with_timestamp(u64::from(u32::MAX))
}
