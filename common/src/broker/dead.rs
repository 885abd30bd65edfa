//! The queue `dead`: how messages get there, what is known of them, and how they leave it.

use jiff::Timestamp;
use lapin::BasicProperties;
use lapin::options::BasicGetOptions;

use super::carried::Carried;
use super::error::within;
use super::message::as_text;
use super::session::{LIMIT, close};
use super::{BrokerError, Headers, Received, Session};
use crate::id::Attempt;
use crate::queue::Queue;

/// Why a message is in `dead`.
const REASON: &str = "x-flotilla-reason";
/// The queue that a message in `dead` came from, by its name on the broker.
const ORIGIN: &str = "x-flotilla-queue";
/// When it came there, as RFC 3339 says.
const BURIED_AT: &str = "x-flotilla-buried-at";

/// How a message came to be in `dead`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Burial {
    /// Why.
    pub reason: String,
    /// The queue that it came from, by its name on the broker.
    pub from: Option<String>,
    /// When; none for what older programs buried.
    pub at: Option<Timestamp>,
}

impl Burial {
    /// What says so.
    pub(super) const HEADERS: [&'static str; 3] = [REASON, ORIGIN, BURIED_AT];

    /// What [`buried`] wrote; none for messages that were put into `dead` by other means.
    pub(super) fn read(properties: &BasicProperties) -> Option<Self> {
        let table = properties.headers().as_ref()?.inner();
        let text = |name: &str| table.get(name).and_then(as_text);
        let at = text(BURIED_AT).and_then(|it| it.parse().ok());
        Some(Self { reason: text(REASON)?, from: text(ORIGIN), at })
    }
}

/// The properties of a message on its way to `dead`: what it had, and why it is there.
pub(super) fn buried(
    original: &BasicProperties,
    headers: &Headers,
    from: &str,
    reason: &str,
    now: Timestamp,
) -> BasicProperties {
    Carried::new(original, headers)
        .put(REASON, reason.chars().take(1000).collect::<String>())
        .put(ORIGIN, from.to_owned())
        .put(BURIED_AT, seconds(now))
        .properties()
}

/// The properties of a message on its way back: its attempts begin anew, and its history says that it was dead.
pub(super) fn revived(original: &BasicProperties, headers: &Headers) -> BasicProperties {
    let burial = Burial::read(original);
    let since = burial.as_ref().and_then(|it| it.at).map_or_else(String::new, |it| format!(" since {it}"));
    let before = format!("dead{since} after attempt {}", headers.attempt);
    let reason = burial.map_or_else(|| "no reason given".to_owned(), |it| it.reason);
    let headers = Headers { attempt: Attempt::FIRST, awaited: None, ..headers.clone() };
    Carried::new(original, &headers).remember(&before, &reason).properties()
}

/// The time as people want to read it.
pub(super) fn seconds(at: Timestamp) -> String {
    at.round(jiff::Unit::Second).unwrap_or(at).to_string()
}

/// What is to become of a message in `dead`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It stays where it is.
    Stay,
    /// It goes into this queue, as its first attempt.
    Return(Queue),
    /// It is deleted.
    Drop,
}

/// What became of the messages in `dead`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sifted {
    /// Those that are there as before.
    pub stayed: u32,
    /// Those that are in a queue again.
    pub returned: u32,
    /// Those that are deleted.
    pub dropped: u32,
}

impl Session {
    /// Asks of each message in `dead`, in order, what is to become of it. What stays comes back to where it was when the last one was
    /// asked for, with the redelivered flag set. What returns is confirmed in its queue before it leaves `dead`: who is killed
    /// between the two leaves it in both, and loses nothing. Holds one message at a time.
    pub async fn sift_dead(&self, mut decide: impl FnMut(&Received) -> Fate) -> Result<Sifted, BrokerError> {
        let mut sifted = Sifted::default();
        let waiting = match self.depth(Queue::Dead).await {
            Err(BrokerError::Missing(_)) => 0,
            depth => depth?,
        };
        let (channel, publisher) = (self.channel().await?, self.publisher().await?);
        for _ in 0..waiting {
            let get = channel.basic_get(Queue::Dead.name().into(), BasicGetOptions::default());
            let Some(got) = within(LIMIT, || "take from `dead`".to_owned(), get).await? else { break };
            let received = Received::new(got.delivery, Queue::Dead, self.queues().clone(), channel.clone());
            match decide(&received) {
                Fate::Stay => sifted.stayed += 1,
                Fate::Return(to) => {
                    received.revive(&publisher, to).await?;
                    sifted.returned += 1;
                }
                Fate::Drop => {
                    received.ack().await?;
                    sifted.dropped += 1;
                }
            }
        }
        close(&channel).await;
        Ok(sifted)
    }
}

#[cfg(test)]
mod tests {
    use super::super::carried::history;
    use super::super::carried::tests::foreign;
    use super::*;

    fn burial_of(reason: &str) -> (BasicProperties, Headers) {
        let headers = Headers { attempt: Attempt::FIRST.next(), ..Headers::fresh() };
        let at = "2026-11-21T13:45:39.5Z".parse().unwrap();
        (buried(&foreign(), &headers, "rhel", reason, at), headers)
    }

    #[test]
    fn the_dead_tell_their_story() {
        let (buried, headers) = burial_of(&"x".repeat(5000));
        assert_eq!(Headers::read(&buried, b"{}"), headers);
        let burial = Burial::read(&buried).unwrap();
        assert_eq!((burial.reason.len(), burial.from.as_deref()), (1000, Some("rhel")));
        assert_eq!(burial.at.unwrap().to_string(), "2026-11-21T13:45:40Z");
        assert_eq!(Burial::read(&foreign()), None);
    }

    #[test]
    fn who_comes_back_begins_anew_and_is_known_to_have_been_dead() {
        let (buried, headers) = burial_of("bad luck");
        let revived = revived(&buried, &headers);
        assert_eq!(Burial::read(&revived), None);
        assert_eq!(Headers::read(&revived, b"{}"), Headers { attempt: Attempt::FIRST, ..headers });
        assert_eq!(history(&revived), ["dead since 2026-11-21T13:45:40Z after attempt 2: bad luck"]);
        assert_eq!((*revived.priority(), *revived.delivery_mode()), (Some(5), Some(2)));
    }
}
