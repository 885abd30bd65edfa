//! Claims: the right of one worker to do a piece of work now (design, "Claims").
//!
//! A claim is a durable queue `claim.<digest of the key>`, held by its exclusive consumer: the broker refuses every other one
//! (403). So it is the lock and the owner's mailbox in one. A message that was put there for an owner who is gone expires back
//! into the queue that its work came from; a claim that nobody has looked at for a while is deleted by the broker.

use std::fmt;
use std::time::Duration;

use futures_util::StreamExt;
use lapin::message::Delivery;
use lapin::options::{
    BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicGetOptions, BasicQosOptions,
    QueueDeclareOptions, QueueDeleteOptions,
};
use lapin::protocol::AMQPSoftError;
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Consumer};
use serde::{Deserialize, Serialize};

use super::error::within;
use super::session::{LIMIT, close, is_refusal};
use super::{BrokerError, Generation, Publisher, Received, Session};
use crate::Chain;
use crate::id::TaskId;
use crate::queue::{Queue, QueueNames};
use crate::task::WorkKey;

/// How long a message waits for an owner who does not take it. Arguments of queues are the same for every worker, or the broker
/// refuses them, so these are no settings.
const MAIL_KEPT: Duration = Duration::from_secs(10);
/// How long a claim is remembered that nobody holds or asks for. Longer than any wait for an owner, and than most outages of a
/// whole fleet.
const KEPT: Duration = Duration::from_hours(6);
/// How often, and with which pauses, a claim is looked at that somebody seems to have left.
const LEFT_LOOKS: u32 = 4;
const LEFT_PAUSE: Duration = Duration::from_millis(100);
/// Messages that an owner is given to hold; more of them stay in the mailbox.
const MAIL_HELD: u16 = 256;

/// What a claim is on.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ClaimKey(String);

impl ClaimKey {
    /// Of work that reports: whoever asks for the same meets at one claim.
    #[must_use]
    pub fn of_work(key: &WorkKey) -> Self {
        Self(digest(&format!("work {key}")))
    }

    /// Of work that is only the same as itself, delivered again.
    #[must_use]
    pub fn of_message(id: &TaskId) -> Self {
        Self(digest(&format!("message {id}")))
    }

    fn queue(&self) -> String {
        format!("claim.{}", self.0)
    }
}

impl fmt::Display for ClaimKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// 128 bits: two pieces of work do not meet by chance.
fn digest(text: &str) -> String {
    TaskId::from_digest(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes()).as_ref())
        .to_string()
}

/// What a worker wants of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Take {
    /// It, if nobody ever had it.
    Fresh,
    /// It, if nobody has it now: it is the worker's own, or that of one of its host which is gone. Whoever waits for them does not know that
    /// they are back until they have called [`Session::begin_generation`].
    Back,
    /// It, if nobody has had it since this generation, whose owner has had their time to come back. Begins the next.
    Over(Generation),
}

/// How a claim stands.
#[derive(Debug)]
pub enum Claimed {
    /// The one who asked has it now.
    Ours(Box<Claim>),
    /// Another session has it.
    ByAnother,
    /// It is for the same work from another queue. That one's mailbox gives back to its own queue, and what is internal must not
    /// come into the public one.
    FromAnotherQueue,
    /// Somebody had it in this generation and has it no more: gone, or reconnecting. Not told to who is back.
    Left(Generation),
}

impl Session {
    /// Takes a claim on work from this queue, where it is to be had.
    pub async fn claim(&self, key: &ClaimKey, from: Queue, take: Take) -> Result<Claimed, BrokerError> {
        let mut looks = 0;
        loop {
            match self.claim_once(key, from, take).await {
                Ok(None) => {}
                // Whoever had it has given it up since it was looked at.
                Err(error) if is_refusal(&error, &AMQPSoftError::NOTFOUND) => {}
                // Who is just giving it up looks like somebody who is gone, for a moment.
                Ok(Some(Claimed::Left(_))) if take == Take::Fresh && looks < LEFT_LOOKS => {
                    looks += 1;
                    tokio::time::sleep(LEFT_PAUSE).await;
                }
                Ok(Some(claimed)) => return Ok(claimed),
                Err(error) => return Err(error),
            }
        }
    }

    /// Whether anybody has a claim, or had it and has not given it up.
    pub(super) async fn is_claimed(&self, key: &ClaimKey) -> Result<bool, BrokerError> {
        Ok(self.holders(&key.queue()).await?.is_some())
    }

    /// None if it changed while it was looked at.
    async fn claim_once(
        &self,
        key: &ClaimKey,
        from: Queue,
        take: Take,
    ) -> Result<Option<Claimed>, BrokerError> {
        let queue = key.queue();
        let before = self.holders(&queue).await?;
        // Asked for before it is seen that nobody has the claim: whoever takes it in between begins another, and is waited for anew.
        let left = match (take, before) {
            (Take::Fresh | Take::Over(_), Some(0)) => Some(self.generation(key).await?),
            _ => None,
        };
        let is_waited_for = match take {
            Take::Fresh => before.is_some(),
            Take::Over(awaited) => left.is_some_and(|it| it != awaited),
            Take::Back => false,
        };
        let channel = self.channel().await?;
        let arguments = arguments(self.queues().of(from));
        let declare = channel.queue_declare(queue.as_str().into(), QueueDeclareOptions::durable(), arguments);
        let holders = match within(LIMIT, || format!("make the claim `{queue}`"), declare).await {
            Ok(state) => state.consumer_count(),
            Err(error) if is_refusal(&error, &AMQPSoftError::PRECONDITIONFAILED) => {
                return Ok(Some(Claimed::FromAnotherQueue));
            }
            Err(error) => return Err(error),
        };
        if holders > 0 || is_waited_for {
            close(&channel).await;
            return Ok(if holders > 0 { Some(Claimed::ByAnother) } else { left.map(Claimed::Left) });
        }
        let Some(mail) = hold(&channel, &queue).await? else { return Ok(Some(Claimed::ByAnother)) };
        let names = self.queues().clone();
        let claim = Claim { queue, from, names, channel, mail, is_new: before.is_none() };
        match take {
            Take::Over(awaited) => self.take_over(key, claim, awaited).await.map(Some),
            Take::Fresh | Take::Back => Ok(Some(Claimed::Ours(Box::new(claim)))),
        }
    }

    /// Looks once more, with the claim in hand: nobody else takes it over or comes back to it now.
    async fn take_over(
        &self,
        key: &ClaimKey,
        claim: Claim,
        awaited: Generation,
    ) -> Result<Claimed, BrokerError> {
        let generation = self.generation(key).await?;
        if !claim.is_new && generation != awaited {
            close(&claim.channel).await;
            return Ok(Claimed::Left(generation));
        }
        self.begin_generation(key).await?;
        Ok(Claimed::Ours(Box::new(claim)))
    }

    /// Removes a claim that nobody holds, on work that is done: whoever had it, and comes back, finds it done. Who waits for them
    /// does not take what is claimed anew for what was left.
    pub async fn forget_claim(&self, key: &ClaimKey) -> Result<(), BrokerError> {
        self.begin_generation(key).await?;
        let (queue, channel) = (key.queue(), self.channel().await?);
        let options = QueueDeleteOptions { if_unused: true, if_empty: true, ..QueueDeleteOptions::default() };
        let delete = channel.queue_delete(queue.as_str().into(), options);
        match within(LIMIT, || format!("delete the claim `{queue}`"), delete).await {
            Ok(_) => close(&channel).await,
            // It is held, or has mail: then it is needed.
            Err(error) if is_refusal(&error, &AMQPSoftError::PRECONDITIONFAILED) => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// How many have a claim, one or nobody; none where there is no such claim.
    async fn holders(&self, queue: &str) -> Result<Option<u32>, BrokerError> {
        match self.look_at(queue).await {
            Ok(state) => Ok(Some(state.consumer_count())),
            Err(BrokerError::Missing(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// None where another is quicker.
async fn hold(channel: &Channel, queue: &str) -> Result<Option<Consumer>, BrokerError> {
    let qos = channel.basic_qos(MAIL_HELD, BasicQosOptions::default());
    within(LIMIT, || "limit a claim's mail".to_owned(), qos).await?;
    let options = BasicConsumeOptions { exclusive: true, ..BasicConsumeOptions::default() };
    let consume = channel.basic_consume(queue.into(), "".into(), options, FieldTable::default());
    match within(LIMIT, || format!("take the claim `{queue}`"), consume).await {
        Ok(mail) => Ok(Some(mail)),
        Err(error) if is_refusal(&error, &AMQPSoftError::ACCESSREFUSED) => Ok(None),
        Err(error) => Err(error),
    }
}

/// A claim that is held, until it is given up or its session ends.
pub struct Claim {
    queue: String,
    from: Queue,
    names: QueueNames,
    channel: Channel,
    mail: Consumer,
    is_new: bool,
}

impl fmt::Debug for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Claim").field("queue", &self.queue).finish_non_exhaustive()
    }
}

impl Claim {
    /// The next message that another worker got for the same work and put here; pending while there is none. After an error the
    /// claim is lost. Safe to be dropped while it waits.
    pub async fn mail(&mut self) -> Result<Received, BrokerError> {
        match self.mail.next().await {
            Some(Ok(delivery)) => {
                Ok(Received::forwarded(delivery, self.from, self.names.clone(), self.channel.clone()))
            }
            Some(Err(error)) => Err(BrokerError::refused(format!("hold the claim `{}`", self.queue), error)),
            None => Err(BrokerError::ConsumerEnded(format!("the claim `{}`", self.queue))),
        }
    }

    /// Whether nobody had it before, or whoever had it has given it up.
    #[must_use]
    pub const fn is_new(&self) -> bool {
        self.is_new
    }

    /// Gives it up for good: the work is done. Mail that nobody has taken, or that comes in this moment, goes back to where it is from.
    /// To be called when all of the mail that was taken is settled, as the rest goes with the queue.
    pub async fn release(self, session: &Session) -> Result<(), BrokerError> {
        let Self { queue, from, names, mut channel, mut mail, is_new: _ } = self;
        let mut way_back = WayBack { session, from: names.of(from), publisher: None };
        let cancel = channel.basic_cancel(mail.tag(), BasicCancelOptions::default());
        within(LIMIT, || format!("let go of the claim `{queue}`"), cancel).await?;
        // It is with us already, so the broker thinks the mailbox empty.
        while let Some(Ok(late)) = mail.next().await {
            way_back.take(late).await?;
        }
        for _ in 0..RELEASE_TRIES {
            match way_back.empty(&channel, &queue).await {
                // Somebody has taken it meanwhile.
                Err(error) if is_refusal(&error, &AMQPSoftError::ACCESSREFUSED) => return Ok(()),
                given_back => given_back?,
            }
            let options =
                QueueDeleteOptions { if_unused: true, if_empty: true, ..QueueDeleteOptions::default() };
            let delete = channel.queue_delete(queue.as_str().into(), options);
            match within(LIMIT, || format!("delete the claim `{queue}`"), delete).await {
                Ok(_) => {
                    close(&channel).await;
                    return Ok(());
                }
                Err(error) if is_refusal(&error, &AMQPSoftError::PRECONDITIONFAILED) => {
                    tracing::debug!(queue, "more mail came, or somebody who takes the claim");
                    channel = session.channel().await?;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// From a mailbox to the queue that its work came from, confirmed before it leaves the mailbox: what is only refused is lost when an
/// owner of before deletes the mailbox in this moment, as the broker takes one for empty whose mail is out.
struct WayBack<'a> {
    session: &'a Session,
    from: &'a str,
    /// None before it is needed, which it rarely is.
    publisher: Option<Publisher>,
}

impl WayBack<'_> {
    async fn empty(&mut self, channel: &Channel, queue: &str) -> Result<(), BrokerError> {
        loop {
            let get = channel.basic_get(queue.into(), BasicGetOptions::default());
            let Some(late) = within(LIMIT, || format!("empty `{queue}`"), get).await? else { return Ok(()) };
            self.take(late.delivery).await?;
        }
    }

    async fn take(&mut self, late: Delivery) -> Result<(), BrokerError> {
        let publisher = match self.publisher.take() {
            Some(publisher) => publisher,
            None => self.session.publisher().await?,
        };
        publisher.send(self.from, &late.data, late.properties).await?;
        self.publisher = Some(publisher);
        // A mailbox that is gone needs no answer.
        if let Err(error) = late.acker.ack(BasicAckOptions::default()).await {
            tracing::debug!(error = %Chain(&error), "what came late to a claim is back in its queue, and may come twice");
        }
        Ok(())
    }
}

/// Mail may come between emptying the mailbox and deleting it. What comes after the last try expires into its own queue, and the
/// claim some time later.
const RELEASE_TRIES: u32 = 5;

impl Publisher {
    /// Puts a message into the claim that its work is under. [`BrokerError::Unroutable`] if the claim has just been given up.
    pub(super) async fn put_into_claim(
        &self,
        key: &ClaimKey,
        body: &[u8],
        properties: BasicProperties,
    ) -> Result<(), BrokerError> {
        self.send_to_whoever_is_there(&key.queue(), body, properties).await
    }
}

pub(super) fn millis(it: Duration) -> AMQPValue {
    AMQPValue::LongLongInt(i64::try_from(it.as_millis()).unwrap_or(i64::MAX))
}

pub(super) fn arguments(from: &str) -> FieldTable {
    let mut table = FieldTable::default();
    table.insert("x-expires".into(), millis(KEPT));
    table.insert("x-message-ttl".into(), millis(MAIL_KEPT));
    table.insert("x-dead-letter-exchange".into(), AMQPValue::LongString("".into()));
    table.insert("x-dead-letter-routing-key".into(), AMQPValue::LongString(from.into()));
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::ForgeName;

    #[test]
    fn claims_are_told_apart_by_their_work() {
        let work = |context: &str| {
            let (forge, repo) = (ForgeName::new("github").unwrap(), "o/r".parse().unwrap());
            ClaimKey::of_work(&WorkKey::new(
                forge,
                &repo,
                "abcdef".parse().unwrap(),
                context.parse().unwrap(),
            ))
        };
        assert_eq!(work("debian"), work("debian"));
        assert_ne!(work("debian"), work("fedora"));
        let id = TaskId::new("0193a9c0").unwrap();
        assert_ne!(ClaimKey::of_message(&id), work("debian"));
        assert_eq!(work("debian").queue().len(), "claim.".len() + 32);
    }
}
