//! Who is told of messages that are dead: people, by mail, where there is a mail server. No message waits for that.

use std::time::Duration;

use common::Chain;
use common::broker::{Headers, Received};
use common::hostname;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::execute::{Mailer, indented, letter};

/// Those that wait to be told of, and those that one mail tells of.
const MOST: usize = 50;
/// Between two mails: a thousand bad messages are a few mails.
const PAUSE: Duration = Duration::from_mins(1);
/// What there is to tell when the process ends.
const LAST: Duration = Duration::from_secs(5);

/// A message that is dead.
#[derive(Clone, Debug)]
struct Buried {
    headers: Headers,
    queue: String,
    reason: String,
}

/// Where the dead are told of.
#[derive(Clone, Debug)]
pub(crate) struct Burials(Option<mpsc::Sender<Buried>>);

/// Tells.
pub(crate) struct Teller {
    buried: mpsc::Receiver<Buried>,
    mailer: Mailer,
}

impl Burials {
    /// Without a mail server nobody is told, and the log has it.
    pub(crate) fn new(mailer: Option<Mailer>) -> (Self, Option<Teller>) {
        let Some(mailer) = mailer else { return (Self(None), None) };
        let (sender, buried) = mpsc::channel(MOST);
        (Self(Some(sender)), Some(Teller { buried, mailer }))
    }

    /// One that is about to be buried. What is too much to be told of is in the log alone.
    pub(crate) fn of(&self, received: &Received, reason: &str) -> impl FnOnce() + use<> {
        let tell = self.0.clone().map(|it| {
            let (headers, queue) = (received.headers().clone(), received.queue().to_string());
            (it, Buried { headers, queue, reason: reason.chars().take(1000).collect() })
        });
        move || {
            if let Some((sender, buried)) = tell
                && sender.try_send(buried).is_err()
            {
                tracing::warn!("nobody is told of this dead message by mail: there are too many");
            }
        }
    }
}

impl Teller {
    /// Until the process is to end.
    pub(crate) async fn run(mut self, stopping: &CancellationToken) {
        let mut buried = Vec::new();
        while let Some(1..) = stopping.run_until_cancelled(self.buried.recv_many(&mut buried, MOST)).await {
            self.tell(&buried).await;
            buried.clear();
            stopping.run_until_cancelled(tokio::time::sleep(PAUSE)).await;
        }
        while let Ok(last) = self.buried.try_recv() {
            buried.push(last);
        }
        if !buried.is_empty() && tokio::time::timeout(LAST, self.tell(&buried)).await.is_err() {
            tracing::warn!("the last dead messages could not be told of in time");
        }
    }

    /// What the server does not take, the log and `dead` still have.
    async fn tell(&self, buried: &[Buried]) {
        let settings = &self.mailer.settings;
        let subject = match buried {
            [_] => format!("run-queue on {}: a message is dead", hostname()),
            _ => format!("run-queue on {}: {} messages are dead", hostname(), buried.len()),
        };
        let name = format!("{:032x}", fastrand::u128(..));
        let mail = match letter(&name, subject, text(buried), &settings.from, &settings.to) {
            Ok(mail) => mail,
            Err(error) => return tracing::error!(error = %Chain(&error), "no mail about dead messages"),
        };
        if let Err(error) = self.mailer.send(&mail).await {
            tracing::error!(error = %Chain(&error), "nobody was told of dead messages by mail");
        }
    }
}

fn text(buried: &[Buried]) -> String {
    let stories = buried.iter().map(|it| {
        let Buried { headers, queue, reason } = it;
        format!("{} from {queue}, attempt {}:\n\n{}\n\n", headers.id, headers.attempt, indented(reason))
    });
    format!(
        "These messages could not be done, and are in the queue `dead`:\n\n{}\
         `inspect-queue --queue dead` shows them; `publish-queue --from-dead ID` has one tried again.\n",
        stories.collect::<String>()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mail_tells_which_messages_are_dead_and_why() {
        let headers = Headers::fresh();
        let id = headers.id.clone();
        let text =
            text(&[Buried { headers, queue: "public".to_owned(), reason: "bad\r\nBcc: x\u{1b}".to_owned() }]);
        assert!(text.contains(&format!("{id} from public, attempt 1:\n\n  bad\n  Bcc: x␛\n")), "{text}");
    }
}
