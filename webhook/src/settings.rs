//! `[webhook]`: the receiver.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};

use common::config::{Reader, Summary, Table, count};

/// The sender gives up after 10 s (GitHub's documentation of webhooks).
const CONFIRM: Duration = Duration::from_secs(8);

/// The receiver's own options.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct WebhookArgs {
    /// Where forges deliver events [default: 0.0.0.0:8080]
    #[arg(long, value_name = "ADDR:PORT")]
    pub listen: Option<SocketAddr>,
    /// Where /healthz, /readyz and /metrics are [default: 127.0.0.1:8081]
    #[arg(long, value_name = "ADDR:PORT")]
    pub service_listen: Option<SocketAddr>,
}

/// How the receiver works.
pub struct WebhookSettings {
    /// Where forges deliver events.
    pub listen: SocketAddr,
    /// Where the operator's endpoints are.
    pub service_listen: SocketAddr,
    /// The secrets that a delivery may be signed with; several while they are being rotated.
    pub secrets: Vec<SecretString>,
    /// What to make of a delivery that is signed with SHA-1 alone.
    pub sha1: Sha1,
    /// How long the broker may take to confirm before the sender is told to try again.
    pub confirm: Duration,
    /// What operators show to see the queues at `/inspect-queue`; without one there is no such page.
    pub inspect_token: Option<SecretString>,
}

/// What to make of a delivery that is signed with SHA-1 alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sha1 {
    /// Accept it, for forges that know nothing better.
    Accept,
    /// Refuse it.
    Refuse,
}

impl fmt::Debug for WebhookSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebhookSettings").field("listen", &self.listen).finish_non_exhaustive()
    }
}

impl WebhookSettings {
    /// What was understood of `[webhook]`.
    pub fn summarize(&self, summary: &mut Summary) {
        summary.table("webhook");
        summary.line("listen", self.listen);
        summary.line("service-listen", self.service_listen);
        summary.line("secret-files", count(self.secrets.len(), "secret", "secrets"));
        summary.line("accept-sha1", self.sha1 == Sha1::Accept);
        summary.line("confirm-seconds", self.confirm.as_secs_f64());
        summary.line("inspect-token", if self.inspect_token.is_some() { "set" } else { "-" });
    }
}

impl WebhookArgs {
    /// Reads `[webhook]`; the options win. `secrets_dir` is where the secret is unless something says otherwise.
    #[must_use]
    pub fn read(&self, reader: &Reader, secrets_dir: &Path) -> WebhookSettings {
        let table = reader.table("webhook");
        let listen = table.listen("listen");
        let service = table.listen("service-listen");
        let sha1 = if table.flag("accept-sha1") == Some(true) { Sha1::Accept } else { Sha1::Refuse };
        let confirm = table.seconds("confirm-seconds", 0.1, 60.0).unwrap_or(CONFIRM);
        let inspect_token = inspect_token(&table);
        let files = secret_files(reader, table.words("secret-files"), secrets_dir);
        table.done();
        WebhookSettings {
            listen: self.listen.or(listen).unwrap_or((Ipv4Addr::UNSPECIFIED, 8080).into()),
            service_listen: self.service_listen.or(service).unwrap_or((Ipv4Addr::LOCALHOST, 8081).into()),
            secrets: files.iter().filter_map(|it| secret(reader, it)).collect(),
            sha1,
            confirm,
            inspect_token,
        }
    }
}

/// A token of this many characters cannot be guessed through the network.
const LEAST_TOKEN: usize = 16;

fn inspect_token(table: &Table<'_>) -> Option<SecretString> {
    let token = table.text("inspect-token")?;
    // Others cannot be in a header, or not for every client.
    if token.len() < LEAST_TOKEN || !token.bytes().all(|it| it.is_ascii_graphic()) {
        table.problem(
            "inspect-token",
            format!(
                "expected [{{file=\"NAME\"}}] of a token of at least {LEAST_TOKEN} printable ASCII characters without spaces"
            ),
        );
    }
    Some(token.into())
}

/// The environment wins, as in existing deployments.
fn secret_files(reader: &Reader, configured: Option<Vec<String>>, secrets_dir: &Path) -> Vec<PathBuf> {
    match (&reader.environment.webhook_token_file, configured) {
        (Some(file), _) => vec![file.clone()],
        (None, Some(files)) if !files.is_empty() => files.iter().map(|it| reader.path(it)).collect(),
        (None, _) => vec![secrets_dir.join(".config--github-webhook-token")],
    }
}

fn secret(reader: &Reader, file: &Path) -> Option<SecretString> {
    let complain = |text: String| {
        let text = format!(
            "{text} (the secret that the forge signs with; $COCKPIT_GITHUB_WEBHOOK_TOKEN_FILE or webhook.secret-files say where it is)"
        );
        reader.problem_in(file, None, text);
    };
    match std::fs::read_to_string(file) {
        Ok(text) => {
            let secret = SecretString::from(text.trim());
            if secret.expose_secret().is_empty() {
                complain("is empty".to_owned());
            }
            Some(secret)
        }
        Err(error) => {
            complain(format!("cannot be read: {error}"));
            None
        }
    }
}
