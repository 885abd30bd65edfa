//! `[broker]`: where the broker is.

use std::path::PathBuf;

use rustls::pki_types::ServerName;

use super::{Reader, Summary, Table};
use crate::broker::{Address, Broker};
use crate::clock::Clock;
use crate::queue::{Queue, QueueNames};

const SECRETS_DIR: &str = "/run/secrets/webhook";

/// Where the broker is, for every program.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct BrokerArgs {
    /// The broker: HOST:PORT for TLS with a client certificate, or `localhost` for plain AMQP as guest [default: localhost]
    #[arg(long, global = true, value_name = "HOST:PORT", env = "AMQP_SERVER")]
    pub amqp: Option<String>,
    /// Folder with ca.pem, amqp-client.pem, amqp-client.key [default: `/run/secrets/webhook`, else `$XDG_RUNTIME_DIR/secrets/webhook`]
    #[arg(long, global = true, value_name = "DIR")]
    pub secrets_dir: Option<PathBuf>,
}

impl BrokerArgs {
    /// Reads `[broker]`; the options win.
    pub fn read(&self, reader: &Reader, clock: Clock) -> Option<Broker> {
        let table = reader.table("broker");
        let address = match &self.amqp {
            Some(text) => text
                .parse()
                .inspect_err(|it: &crate::broker::InvalidAddress| {
                    reader.problem("--amqp ($AMQP_SERVER)", it.to_string());
                })
                .ok(),
            None => Some(table.parse("amqp").unwrap_or(Address::Localhost)),
        };
        let broker = Broker {
            address: address?,
            vhost: table.text("vhost").unwrap_or_else(|| "/".to_owned()),
            secrets: self.secrets_dir(reader),
            server_name: server_name(&table),
            queues: queue_names(&table),
            clock,
        };
        // Known here, whoever looks at them.
        for known in ["amqp", "secrets-dir"] {
            table.value(known);
        }
        table.done();
        complain_about_missing_secrets(reader, &broker);
        Some(broker)
    }

    /// The option, else the file, else the folder of the wire facts: `/run/secrets/webhook`, else the same under
    /// `$XDG_RUNTIME_DIR`.
    #[must_use]
    pub fn secrets_dir(&self, reader: &Reader) -> PathBuf {
        let configured = reader.table("broker").path("secrets-dir");
        let runtime = || reader.environment.runtime_dir.as_ref().map(|it| it.join("secrets/webhook"));
        let system = PathBuf::from(SECRETS_DIR);
        let usual = || if system.is_dir() { system.clone() } else { runtime().unwrap_or(system) };
        self.secrets_dir.clone().or(configured).unwrap_or_else(usual)
    }
}

/// What was understood of `[broker]`.
pub fn summarize_broker(broker: &Broker, summary: &mut Summary) {
    summary.table("broker");
    summary.line("amqp", &broker.address);
    summary.line("vhost", &broker.vhost);
    summary.line("internal-queue", broker.queues.of(Queue::Internal));
    if broker.address != Address::Localhost {
        summary.line("secrets-dir", broker.secrets.display());
        let name = broker.server_name.as_ref().map(ServerName::to_str);
        summary.line("server-name", name.as_deref().unwrap_or("any, signed by the fleet's authority"));
    }
}

fn complain_about_missing_secrets(reader: &Reader, broker: &Broker) {
    if broker.address == Address::Localhost {
        return;
    }
    for name in ["ca.pem", "amqp-client.pem", "amqp-client.key"] {
        let file = broker.secrets.join(name);
        if !file.is_file() {
            let text = format!(
                "{} is missing: TLS to {} needs it (--secrets-dir or broker.secrets-dir say where it is; `credentials fleet DIR` makes it)",
                file.display(),
                broker.address
            );
            reader.problem("broker.secrets-dir", text);
        }
    }
}

fn server_name(table: &Table<'_>) -> Option<ServerName<'static>> {
    let text = table.text("server-name")?;
    ServerName::try_from(text)
        .inspect_err(|_| table.problem("server-name", "expected a host name or an IP address"))
        .ok()
}

fn queue_names(table: &Table<'_>) -> QueueNames {
    let Some(name) = table.text("internal-queue") else { return QueueNames::default() };
    QueueNames::with_internal(&name).unwrap_or_else(|| {
        table.problem(
            "internal-queue",
            "expected a queue name that no other queue of ours has, such as \"rhel\"",
        );
        QueueNames::default()
    })
}
