//! Deliveries: taken one at a time a slot, settled by value, exactly once.

use std::future::pending;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::try_join_all;
use futures_util::stream::{BoxStream, SelectAll};
use futures_util::{StreamExt, stream};
use lapin::message::Delivery;
use lapin::options::{
    BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicNackOptions, BasicQosOptions,
};
use lapin::types::{FieldTable, ShortString};
use lapin::{Acker, BasicProperties, Channel, Consumer};

use super::carried::{Carried, history};
use super::dead::{buried, revived, seconds};
use super::error::within;
use super::{BrokerError, Burial, ClaimKey, Generation, Headers, Publisher, Session};
use crate::hostname;
use crate::id::Attempt;
use crate::queue::{Queue, QueueNames};

const LIMIT: Duration = Duration::from_secs(10);

/// What feeds one slot: a channel of its own, since a channel's error takes every delivery of that channel with it, and
/// a prefetch of 1, so that nothing waits behind a task while another worker is free.
pub struct Intake {
    channel: Channel,
    queues: QueueNames,
    consumers: SelectAll<BoxStream<'static, (Queue, Pushed)>>,
    tags: Vec<ShortString>,
    /// The broker is quicker than we are: when it hears of an acknowledgement it sends the next delivery at once, which can be here
    /// before the task that acknowledged has heard that it did.
    early: Option<Received>,
}

/// What a consumer's stream says; the end of a stream is an item of its own, or the other streams would hide it.
enum Pushed {
    Delivery(Box<Delivery>),
    Error(lapin::Error),
    End,
}

impl Intake {
    pub(super) async fn open(
        channel: Channel,
        from: &[Queue],
        queues: QueueNames,
    ) -> Result<Self, BrokerError> {
        // One queue: a limit per consumer, which every broker has. Several: they share one limit, or a slot would hold a
        // task of each (RabbitMQ 4.3 must be told to permit that: `deprecated_features.permit.global_qos`).
        let qos = BasicQosOptions { global: from.len() > 1 };
        within(LIMIT, || "set the prefetch to 1".to_owned(), channel.basic_qos(1, qos)).await?;
        let mut intake = Self { channel, queues, consumers: SelectAll::new(), tags: Vec::new(), early: None };
        for queue in from {
            let consumer = intake.consume(*queue).await?;
            intake.tags.push(consumer.tag());
            let queue = *queue;
            let pushed =
                consumer.map(|it| it.map_or_else(Pushed::Error, |it| Pushed::Delivery(Box::new(it))));
            let pushed = pushed.chain(stream::once(async { Pushed::End }));
            intake.consumers.push(pushed.map(move |it| (queue, it)).boxed());
        }
        Ok(intake)
    }

    async fn consume(&self, queue: Queue) -> Result<Consumer, BrokerError> {
        let name = self.queues.of(queue);
        let consume = self.channel.basic_consume(
            name.into(),
            "".into(),
            BasicConsumeOptions::default(),
            FieldTable::default(),
        );
        within(LIMIT, || format!("consume `{name}`"), consume).await
    }

    /// The next delivery; pending while there is none. After an error the intake is of no use.
    pub async fn next(&mut self) -> Result<Received, BrokerError> {
        match self.early.take() {
            Some(early) => Ok(early),
            None => self.pushed().await,
        }
    }

    async fn pushed(&mut self) -> Result<Received, BrokerError> {
        match self.consumers.next().await {
            Some((queue, Pushed::Delivery(it))) => {
                Ok(Received::new(*it, queue, self.queues.clone(), self.channel.clone()))
            }
            Some((queue, Pushed::Error(it))) => Err(BrokerError::refused(format!("consume `{queue}`"), it)),
            Some((queue, Pushed::End)) => Err(BrokerError::ConsumerEnded(format!("`{queue}`"))),
            None => Err(BrokerError::ConsumerEnded("every queue of this slot".to_owned())),
        }
    }

    /// Returns when the deliveries of this intake are lost; once it was stopped, only the session's end tells of that. To be asked while
    /// one is dealt with: there is at most one other, which is kept for [`Intake::next`], until it is settled.
    pub async fn broken(&mut self) -> BrokerError {
        loop {
            match self.pushed().await {
                // Its consumers end because we have ended them.
                Err(_) if self.tags.is_empty() => return pending().await,
                Err(error) => return error,
                Ok(early) if self.early.is_none() => self.early = Some(early),
                Ok(_) => {
                    return BrokerError::Lost("the broker sent more than the prefetch allows".to_owned());
                }
            }
        }
    }

    /// Asks the broker for no more. What it had sent already and nobody took goes back when the channel closes; what is dealt with
    /// can be settled until then.
    pub async fn stop(&mut self) -> Result<(), BrokerError> {
        let cancels = self.tags.drain(..).map(|tag| {
            let cancel = self.channel.basic_cancel(tag, BasicCancelOptions::default());
            within(LIMIT, || "cancel a consumer".to_owned(), cancel)
        });
        try_join_all(cancels).await?;
        self.early = None;
        Ok(())
    }
}

/// One hand-over of a message by the broker.
#[must_use = "settle every delivery"]
pub struct Received {
    queue: Queue,
    queues: QueueNames,
    headers: Headers,
    properties: BasicProperties,
    body: Bytes,
    redelivered: bool,
    place: Place,
    acker: Acker,
    /// lapin closes a channel with its last handle, and a delivery of a closed channel cannot be settled.
    _channel: Channel,
}

/// Where the broker keeps a message that is handed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// In its own queue.
    Queue,
    /// In the mailbox of a claim.
    Claim,
}

impl Received {
    pub(super) fn new(delivery: Delivery, queue: Queue, queues: QueueNames, channel: Channel) -> Self {
        let headers = Headers::read(&delivery.properties, &delivery.data);
        let Delivery { properties, data, acker, redelivered, .. } = delivery;
        let (body, place) = (data.into(), Place::Queue);
        Self { queue, queues, headers, properties, body, redelivered, place, acker, _channel: channel }
    }

    /// One that came into a claim's mailbox, for work from `queue`.
    pub(super) fn forwarded(delivery: Delivery, queue: Queue, queues: QueueNames, channel: Channel) -> Self {
        Self { place: Place::Claim, ..Self::new(delivery, queue, queues, channel) }
    }

    /// What it says.
    #[must_use]
    pub const fn body(&self) -> &Bytes {
        &self.body
    }

    /// What is said of it.
    #[must_use]
    pub const fn headers(&self) -> &Headers {
        &self.headers
    }

    /// The queue that it came from.
    #[must_use]
    pub const fn queue(&self) -> Queue {
        self.queue
    }

    /// Whether the broker has handed it over before: to somebody who began, or who only looked.
    #[must_use]
    pub const fn is_redelivered(&self) -> bool {
        self.redelivered
    }

    /// How it came to be in `dead`, if it did.
    #[must_use]
    pub fn burial(&self) -> Option<Burial> {
        Burial::read(&self.properties)
    }

    /// What became of earlier attempts, a line each, the oldest first.
    #[must_use]
    pub fn history(&self) -> Vec<String> {
        history(&self.properties)
    }

    /// All that is said of it.
    pub(super) const fn properties(&self) -> &BasicProperties {
        &self.properties
    }

    /// It is done, and all that it led to is durable.
    pub async fn ack(self) -> Result<(), BrokerError> {
        let settled = self.acker.ack(BasicAckOptions::default()).await;
        self.settled(settled)
    }

    /// It was not done: back to where it stood in its queue; from a claim's mailbox, to its queue's end.
    pub async fn requeue(self) -> Result<(), BrokerError> {
        // What a claim's mailbox does not keep goes to the queue that its work came from.
        let requeue = self.place == Place::Queue;
        let options = BasicNackOptions { requeue, ..BasicNackOptions::default() };
        let settled = self.acker.nack(options).await;
        self.settled(settled)
    }

    /// It comes again as the next attempt, after a pause that holds no slot and survives the broker's restart, with this reason in its
    /// history.
    pub async fn retry(
        self,
        publisher: &Publisher,
        pause: Duration,
        reason: &str,
    ) -> Result<(), BrokerError> {
        let attempt = self.headers.attempt;
        let before = format!("attempt {attempt} on {} at {}", hostname(), seconds(publisher.now()));
        let headers = Headers { attempt: attempt.next(), awaited: None, ..self.headers.clone() };
        let again = Carried::new(&self.properties, &headers).remember(&before, reason);
        self.later(publisher, again, pause).await
    }

    /// The same as the same attempt: nothing has been tried. For whom it has waited stays as it is.
    pub async fn delay(self, publisher: &Publisher, pause: Duration) -> Result<(), BrokerError> {
        let again = Carried::new(&self.properties, &self.headers);
        self.later(publisher, again, pause).await
    }

    /// Somebody has begun its work in this generation of the claim, and is gone or about to come back: it waits for that long, without
    /// holding a slot. Who takes it then begins the next attempt.
    ///
    /// If it has waited before, the claim was taken since: by who took over from there with this message in hand, which comes back
    /// redelivered, so this is where that attempt is counted; or by the owner, whose attempt goes on.
    pub async fn await_owner(
        self,
        publisher: &Publisher,
        wait: Duration,
        generation: Generation,
    ) -> Result<(), BrokerError> {
        let Headers { attempt, awaited, .. } = self.headers;
        let counted =
            if awaited.is_some() && self.redelivered { self.count_as(attempt.next()) } else { self };
        let headers = Headers { awaited: Some(generation), ..counted.headers.clone() };
        let again = Carried::new(&counted.properties, &headers);
        counted.later(publisher, again, wait).await
    }

    async fn later(self, publisher: &Publisher, again: Carried, pause: Duration) -> Result<(), BrokerError> {
        let queue = self.queues.of(self.queue);
        publisher.send_later(queue, &self.body, again.properties(), pause).await?;
        self.ack().await
    }

    /// What becomes of it is said of this attempt, which was begun. If it has waited for the worker that began the one before, that worker
    /// is lost for good, and its history says so.
    #[must_use = "settle every delivery"]
    pub fn count_as(self, attempt: Attempt) -> Self {
        let before = self.headers;
        let headers = Headers { attempt, awaited: None, ..before.clone() };
        if before.awaited.is_none() {
            return Self { headers, ..self };
        }
        let lost = Carried::new(&self.properties, &headers)
            .remember(&format!("attempt {}", before.attempt), "the worker that had begun it was lost");
        Self { headers, properties: lost.properties(), ..self }
    }

    /// Somebody else has the claim on its work: it goes into that claim's mailbox, or back into its queue if the claim has just
    /// been given up. If it has waited for them, they have come, and the wait is over.
    ///
    /// The broker confirms, too, what it takes for a queue that is deleted in this moment, and loses it. So the claim is looked for
    /// once more: if it is there, it has the mail, or is that of somebody who has taken it since, and sees what is to be done. If not, the
    /// mail may be back in its queue or lost, and the message is kept: twice does no harm where a verdict shows that the work is done. A
    /// claim on a message alone is that of this very one, and its owner gives nothing up before it is settled.
    pub async fn forward(
        self,
        session: &Session,
        publisher: &Publisher,
        key: &ClaimKey,
    ) -> Result<(), BrokerError> {
        let headers = Headers { awaited: None, ..self.headers.clone() };
        let properties = Carried::new(&self.properties, &headers).properties();
        match publisher.put_into_claim(key, &self.body, properties).await {
            Ok(()) if *key == ClaimKey::of_message(&self.headers.id) || session.is_claimed(key).await? => {
                self.ack().await
            }
            Ok(()) | Err(BrokerError::Unroutable(_)) => self.requeue().await,
            Err(error) => Err(error),
        }
    }

    /// It can't be done: to `dead`, with all that it had and the reason.
    pub async fn bury(self, publisher: &Publisher, reason: &str) -> Result<(), BrokerError> {
        let from = self.queues.of(self.queue);
        let properties = buried(&self.properties, &self.headers, from, reason, publisher.now());
        publisher.send(self.queues.of(Queue::Dead), &self.body, properties).await?;
        self.ack().await
    }

    /// It is to be tried once more, by whoever serves that queue: there, confirmed, before it leaves where it is.
    pub(super) async fn revive(self, publisher: &Publisher, to: Queue) -> Result<(), BrokerError> {
        let properties = revived(&self.properties, &self.headers);
        publisher.send(self.queues.of(to), &self.body, properties).await?;
        self.ack().await
    }

    /// lapin answers `Ok(false)` where the channel is gone: for us that is an error.
    fn settled(self, settled: Result<bool, lapin::Error>) -> Result<(), BrokerError> {
        match settled {
            Ok(true) => Ok(()),
            Ok(false) => Err(BrokerError::ChannelLost(self.queue)),
            Err(source) => {
                Err(BrokerError::refused(format!("settle a delivery of `{}`", self.queue), source))
            }
        }
    }
}
