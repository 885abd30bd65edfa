//! The queues that a role needs, and the families of queues that it makes as it goes.

use lapin::options::{
    BasicCancelOptions, BasicConsumeOptions, BasicGetOptions, QueueDeclareOptions, QueueDeleteOptions,
};
use lapin::types::{AMQPValue, FieldTable};

use super::super::session::arguments;
use super::super::{BrokerError, Session, claim, generation, waiting};
use super::answer::Answer;
use super::{Contract, Fit, Row};
use crate::queue::Queue;

/// What existing deployments call the internal queue, beside our own name for it.
const INTERNAL: [&str; 2] = ["internal", "rhel"];

/// Queues that come and go, of which one of our own tells for all.
pub(super) struct Family {
    /// How people know it.
    name: String,
    probe: String,
    arguments: FieldTable,
    /// Whether messages are taken out of it.
    is_read: bool,
}

/// How a queue is there.
struct There {
    messages: u32,
    consumers: u32,
}

impl Session {
    pub(super) async fn check_queue(&self, queue: Queue, contract: &Contract) -> Result<Row, BrokerError> {
        let name = self.queues().of(queue);
        let there = self.there(name).await?;
        let made = match &there {
            Some(_) => self.declare_exactly(queue).await?,
            None => self.may_make(name).await?,
        };
        let read = if contract.reads.contains(&queue) { Some(self.may_read(name).await?) } else { None };
        let mut row = Row::new(format!("queue {name}"), Fit::Good, String::new());
        if let Some(There { messages, consumers }) = there {
            row.say(format!("{messages} messages wait, {consumers} consumers"));
        } else {
            row.say("not there, and will be made");
            if let Some(other) = self.other_name(queue).await? {
                row.fit(Fit::Look);
                row.say(format!("there is `{other}`: is broker.internal-queue to be {other:?}?"));
            }
        }
        match made {
            Answer::Done(()) | Answer::Missing => {}
            Answer::Unfit(words) => {
                row.fit(Fit::Wrong);
                row.say(format!("it was made otherwise: {words}; expected {}", expected(queue)));
            }
            Answer::Forbidden(words) => {
                row.fit(Fit::Wrong);
                row.say(format!("may not be made by us (permission configure): {words}"));
            }
        }
        if let Some(Answer::Forbidden(words)) = read {
            row.fit(Fit::Wrong);
            row.say(format!("may not be read by us (permission read): {words}"));
        }
        Ok(row)
    }

    /// A passive look, which needs no permission.
    async fn there(&self, name: &str) -> Result<Option<There>, BrokerError> {
        let options = QueueDeclareOptions { passive: true, durable: true, ..QueueDeclareOptions::default() };
        let look = self.ask("look at a queue", async |channel| {
            channel.queue_declare(name.into(), options, FieldTable::default()).await
        });
        Ok(match look.await? {
            Answer::Done(it) => Some(There { messages: it.message_count(), consumers: it.consumer_count() }),
            _ => None,
        })
    }

    /// The name of a queue that may be meant by the internal one.
    async fn other_name(&self, queue: Queue) -> Result<Option<&'static str>, BrokerError> {
        if queue != Queue::Internal {
            return Ok(None);
        }
        for other in INTERNAL.into_iter().filter(|it| *it != self.queues().of(queue)) {
            if self.there(other).await?.is_some() {
                return Ok(Some(other));
            }
        }
        Ok(None)
    }

    /// Changes nothing where the queue is there.
    async fn declare_exactly(&self, queue: Queue) -> Result<Answer<()>, BrokerError> {
        let (name, arguments) = (self.queues().of(queue), arguments(queue.arguments()));
        self.ask("declare a queue", async |channel| {
            let declare = channel.queue_declare(name.into(), QueueDeclareOptions::durable(), arguments);
            declare.await.map(drop)
        })
        .await
    }

    /// Asks for a queue that cannot be: the broker looks at our permissions first. Should it make one all the same, it is removed.
    async fn may_make(&self, name: &str) -> Result<Answer<()>, BrokerError> {
        let mut impossible = FieldTable::default();
        impossible.insert("x-message-ttl".into(), AMQPValue::LongLongInt(-1));
        let answer = self.ask("ask whether a queue may be made", async |channel| {
            channel.queue_declare(name.into(), QueueDeclareOptions::durable(), impossible).await?;
            let options =
                QueueDeleteOptions { if_unused: true, if_empty: true, ..QueueDeleteOptions::default() };
            channel.queue_delete(name.into(), options).await.map(drop)
        });
        Ok(match answer.await? {
            Answer::Unfit(_) => Answer::Done(()),
            other => other,
        })
    }

    /// Asks for a consumer that cannot be, so that none is given a message. Should there be one all the same, it is removed.
    async fn may_read(&self, name: &str) -> Result<Answer<()>, BrokerError> {
        let mut impossible = FieldTable::default();
        impossible.insert("x-priority".into(), AMQPValue::LongString("none".into()));
        let answer = self.ask("ask whether a queue may be read", async |channel| {
            let options = BasicConsumeOptions::default();
            let consumer = channel.basic_consume(name.into(), "".into(), options, impossible).await?;
            channel.basic_cancel(consumer.tag(), BasicCancelOptions::default()).await
        });
        answer.await
    }

    /// A queue of our own, as soon as it has served. Where it is not ours, it stays.
    pub(super) async fn remove(&self, probe: &str) -> Result<(), BrokerError> {
        let remove = self.ask("remove a queue of our own", async |channel| {
            channel.queue_delete(probe.into(), QueueDeleteOptions::default()).await.map(drop)
        });
        remove.await.map(drop)
    }

    pub(super) fn families(&self, contract: &Contract) -> Vec<Family> {
        let mut families = Vec::new();
        let of = |queue: Queue| self.queues().of(queue);
        if let (true, Some(from)) = (contract.claims, contract.queues.first()) {
            let (name, probe) = ("claim.*".to_owned(), probe_claim());
            families.push(Family { name, probe, arguments: claim::arguments(of(*from)), is_read: true });
            let (name, probe) = ("generation.*".to_owned(), probe_generation());
            families.push(Family { name, probe, arguments: generation::arguments(), is_read: false });
        }
        for queue in &contract.rooms {
            let from = of(*queue);
            families.push(Family {
                name: format!("retry.{from}.*"),
                // No step of the ladder.
                probe: waiting::room(from, fastrand::u32(1_000_000_000..)),
                arguments: waiting::arguments(from, 1000),
                is_read: true,
            });
        }
        if contract.locks {
            let (name, probe) = ("lock.*".to_owned(), probe_lock());
            families.push(Family { name, probe, arguments: FieldTable::default(), is_read: false });
        }
        families
    }

    /// On a queue that is ours alone and goes with the connection.
    pub(super) async fn check_family(&self, family: &Family) -> Result<Row, BrokerError> {
        let Family { name, probe, arguments, is_read } = family;
        let row = |fit, found: String| Row::new(format!("queues {name}"), fit, found);
        let made = self.ask("make a queue of our own", async |channel| {
            channel.queue_declare(probe.as_str().into(), own(), arguments.clone()).await.map(drop)
        });
        match made.await? {
            Answer::Done(()) => {}
            Answer::Forbidden(words) => {
                let needs = if *is_read {
                    "permissions configure and read, and write on amq.default"
                } else {
                    "permission configure"
                };
                return Ok(row(Fit::Wrong, format!("may not be made by us ({needs}): {words}")));
            }
            Answer::Unfit(words) => return Ok(row(Fit::Wrong, format!("cannot be made: {words}"))),
            Answer::Missing => return Ok(row(Fit::Wrong, "cannot be made: the broker lost it".to_owned())),
        }
        let read = self.ask("read a queue of our own", async |channel| {
            channel.basic_get(probe.as_str().into(), BasicGetOptions::default()).await.map(drop)
        });
        let read = read.await?;
        self.remove(probe).await?;
        Ok(match (is_read, read) {
            (true, Answer::Forbidden(words)) => {
                row(Fit::Wrong, format!("may not be read by us (permission read): {words}"))
            }
            (true, _) => row(Fit::Good, "may be made and read".to_owned()),
            (false, _) => row(Fit::Good, "may be made".to_owned()),
        })
    }
}

/// Gone with the connection, whatever becomes of us.
pub(super) fn own() -> QueueDeclareOptions {
    QueueDeclareOptions { durable: true, exclusive: true, ..QueueDeclareOptions::default() }
}

/// A claim on no work: a name like those of others, for permissions that look at it closely.
pub(super) fn probe_claim() -> String {
    format!("claim.{:032x}", fastrand::u128(..))
}

fn probe_generation() -> String {
    format!("generation.{:032x}", fastrand::u128(..))
}

pub(super) fn probe_lock() -> String {
    format!("lock.probe-{:016x}", fastrand::u64(..))
}

fn expected(queue: Queue) -> String {
    let arguments = queue.arguments();
    let mut said = vec!["a durable classic queue".to_owned()];
    said.extend(arguments.max_priority.map(|it| format!("x-max-priority {it}")));
    said.extend(arguments.single_active_consumer.then(|| "x-single-active-consumer true".to_owned()));
    if said.len() == 1 {
        said.push("no arguments".to_owned());
    }
    said.join(", ")
}
