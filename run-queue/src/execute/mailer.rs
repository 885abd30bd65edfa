//! Sends mail: one server, asked again for a while when it is away.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use common::Chain;
use lettre::transport::smtp::extension::ClientId;
use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use tokio::time::Instant;

use super::{MailSettings, Server};

const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LAST_PAUSE: Duration = Duration::from_secs(30);
/// How long one try may take: a conversation of a dozen lines.
const TRY: Duration = Duration::from_secs(20);
const SHORTEST_TRY: Duration = Duration::from_secs(1);

/// Sends mail.
#[derive(Clone, Debug)]
pub struct Mailer {
    /// Who is told, by which server.
    pub settings: MailSettings,
    transport: AsyncSmtpTransport<Tokio1Executor>,
}

/// A mail that was not sent, after the last try.
#[derive(Debug, thiserror::Error)]
#[error("the mail server {server} did not take it within {tries} tries: {problem}")]
pub(crate) struct MailError {
    server: Server,
    tries: u32,
    problem: String,
}

impl Mailer {
    /// For this server; `host` is how we introduce ourselves.
    #[must_use]
    pub fn new(settings: MailSettings, host: &str) -> Self {
        let MailSettings { server, tls, .. } = &settings;
        let transport = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(server.host.clone())
            .port(server.port)
            .tls(tls.to_client())
            .timeout(Some(TRY))
            .hello_name(ClientId::Domain(host.to_owned()))
            .build();
        Self { settings, transport }
    }

    /// Sends it, or says why the server has not taken it. Refusals for good are not tried again.
    pub(crate) async fn send(&self, mail: &Message) -> Result<(), MailError> {
        let MailSettings { server, retry_for, .. } = &self.settings;
        let (began, bytes) = (Instant::now(), mail.formatted());
        let longest = (*retry_for).clamp(SHORTEST_TRY, TRY);
        let mut pauses = ExponentialBuilder::new()
            .with_min_delay(FIRST_PAUSE)
            .with_max_delay(LAST_PAUSE)
            .without_max_times()
            .with_jitter()
            .build();
        for tries in 1.. {
            let sending = self.transport.send_raw(mail.envelope(), &bytes);
            let (problem, is_final) = match tokio::time::timeout(longest, sending).await {
                Ok(Ok(_)) => return Ok(()),
                Ok(Err(error)) => (Chain(&error).to_string(), error.is_permanent()),
                Err(_) => (format!("no answer within {} s", longest.as_secs()), false),
            };
            let pause = pauses.next().unwrap_or(LAST_PAUSE);
            if is_final || began.elapsed() + pause > *retry_for {
                return Err(MailError { server: server.clone(), tries, problem });
            }
            tracing::warn!(%server, problem, pause_s = pause.as_secs_f64(), "a mail was not sent");
            tokio::time::sleep(pause).await;
        }
        Ok(())
    }
}
