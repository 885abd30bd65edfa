//! Who we are for the broker, whether it takes messages from us, and how long it takes to have stored one.

use std::time::{Duration, Instant};

use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Confirmation};

use super::super::error::within;
use super::super::session::LIMIT;
use super::super::session::SessionEvent;
use super::super::{BrokerError, Session};
use super::answer::{Answer, refusal};
use super::parts::{own, probe_claim, probe_lock};
use super::{Contract, Fit, Report, Row};

/// How long a broker that has no alarm may take to confirm.
const CONFIRM: Duration = Duration::from_secs(10);
/// A user that there is not.
const NOBODY: &str = "nobody, so the broker says who we are";

/// What a confirm says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stored {
    Yes,
    /// There is no such queue.
    Nowhere,
    /// The broker could not (nack).
    No,
}

/// What came of a message.
enum Sent {
    /// Within so long.
    Confirmed(Stored, Duration),
    Refused(Answer<()>),
    Silent,
}

impl Session {
    /// Under an alarm the broker reads nothing more of a connection that has published, so anything after that may hang.
    pub(super) async fn check_publishing(
        &self,
        contract: &Contract,
        report: &mut Report,
    ) -> Result<(), BrokerError> {
        let blocked = tokio::select! {
            checked = self.try_publishing(contract, report) => return checked,
            blocked = self.blocked() => blocked?,
        };
        report.blocked(&blocked);
        Ok(())
    }

    /// Returns with the alarm's name when there is one.
    async fn blocked(&self) -> Result<String, BrokerError> {
        loop {
            match self.event().await {
                SessionEvent::Blocked(reason) => return Ok(reason),
                SessionEvent::Unblocked => {}
                SessionEvent::Lost(error) => return Err(error),
            }
        }
    }

    async fn try_publishing(&self, contract: &Contract, report: &mut Report) -> Result<(), BrokerError> {
        // To no queue, in somebody else's name.
        let nowhere = format!("flotilla.nowhere.{:016x}", fastrand::u64(..));
        let as_nobody = BasicProperties::default().with_user_id(NOBODY.into());
        match self.send(&nowhere, as_nobody).await? {
            Sent::Refused(Answer::Forbidden(words)) => {
                report.user(quoted_after(&words, "for user '"));
                let said = format!("may not publish (permission write on amq.default): {words}");
                report.add(Row::new("publish", Fit::Wrong, said));
                return Ok(());
            }
            Sent::Refused(Answer::Unfit(words)) => {
                report.user(quoted_after(&words, "authenticated user was '"));
            }
            Sent::Silent => {
                report.add(silent());
                return Ok(());
            }
            Sent::Confirmed(..) | Sent::Refused(_) => report.user(None),
        }
        let probe = if contract.claims { probe_claim() } else { probe_lock() };
        let made = self.ask("make a queue of our own", async |channel| {
            channel.queue_declare(probe.as_str().into(), own(), FieldTable::default()).await.map(drop)
        });
        let is_made = made.await? == Answer::Done(());
        let to = if is_made { &probe } else { &nowhere };
        let sent = self.send(to, BasicProperties::default().with_delivery_mode(2)).await?;
        if is_made && matches!(sent, Sent::Confirmed(..)) {
            self.remove(&probe).await?;
        }
        match sent {
            Sent::Silent => report.add(silent()),
            Sent::Refused(_) => report.add(Row::new("publish", Fit::Wrong, "refused".to_owned())),
            Sent::Confirmed(stored, took) => report.confirmed(stored, took),
        }
        Ok(())
    }

    async fn send(&self, queue: &str, properties: BasicProperties) -> Result<Sent, BrokerError> {
        let channel = self.channel().await?;
        let select = channel.confirm_select(ConfirmSelectOptions::default());
        within(LIMIT, || "turn publisher confirms on".to_owned(), select).await?;
        let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
        let began = Instant::now();
        let sending =
            async { channel.basic_publish("".into(), queue.into(), options, b"", properties).await?.await };
        tokio::select! {
            sent = sending => match sent {
                Ok(confirmation) => {
                    let stored = match confirmation {
                        Confirmation::Ack(None) => Stored::Yes,
                        Confirmation::Ack(Some(_)) => Stored::Nowhere,
                        Confirmation::Nack(_) | Confirmation::NotRequested => Stored::No,
                    };
                    Ok(Sent::Confirmed(stored, began.elapsed()))
                }
                Err(error) => refusal(BrokerError::refused("publish", error)).map(Sent::Refused),
            },
            () = tokio::time::sleep(CONFIRM) => Ok(Sent::Silent),
        }
    }
}

fn silent() -> Row {
    let said = format!("no confirm within {} s, and no word of an alarm", CONFIRM.as_secs());
    Row::new("publish", Fit::Wait, said)
}

/// A name in the broker's words.
fn quoted_after<'a>(words: &'a str, before: &str) -> Option<&'a str> {
    words.split_once(before)?.1.split_once('\'').map(|it| it.0)
}
