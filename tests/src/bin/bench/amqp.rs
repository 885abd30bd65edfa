//! The broker alone: persistent messages, published and confirmed over TLS through lapin, with nothing of ours in between.

use ::tests::broker::Broker;
use anyhow::{Context, Result, ensure};
use common::queue::Queue;
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions, QueuePurgeOptions};
use lapin::tcp::{OwnedIdentity, OwnedTLSConfig};
use lapin::{BasicProperties, Channel, Confirmation, Connection, ConnectionProperties};

use super::load::Client;

/// Both the broker alone and the receiver publish into the receiver's queue.
const QUEUE: &str = Queue::Webhook.name();

/// A connection of the benchmark's own.
pub(crate) struct Bare {
    connection: Connection,
    /// For everything but publishing.
    control: Channel,
}

impl Bare {
    pub(crate) async fn connect(broker: &Broker, vhost: &str) -> Result<Self> {
        let read = |name: &str| {
            std::fs::read(broker.secrets_dir().join(name)).with_context(|| format!("cannot read {name}"))
        };
        let identity = OwnedIdentity::PKCS8 { pem: read("amqp-client.pem")?, key: read("amqp-client.key")? };
        let tls = OwnedTLSConfig {
            identity: Some(identity),
            cert_chain: Some(String::from_utf8(read("ca.pem")?)?),
        };
        let uri = format!("amqps://{}/{vhost}?auth_mechanism=external", broker.address());
        let runtime = lapin::runtime::default_runtime()?;
        let properties = ConnectionProperties::default().with_connection_name("flotilla bench".into());
        let connection = Connection::connect_with_config(&uri, properties, tls, runtime).await?;
        let control = connection.create_channel().await?;
        Ok(Self { connection, control })
    }

    /// As many publishers as are to be in flight, on one channel, as the receiver has it.
    pub(crate) async fn publishers(&self, count: usize, body: &[u8]) -> Result<Vec<Publisher>> {
        let channel = self.connection.create_channel().await?;
        channel.confirm_select(ConfirmSelectOptions::default()).await?;
        Ok(vec![Publisher { channel, body: body.to_owned() }; count])
    }

    /// Empties the queue: a backlog would slow the broker down for whoever comes next.
    pub(crate) async fn purge(&self) -> Result<()> {
        self.control.queue_purge(QUEUE.into(), QueuePurgeOptions::default()).await?;
        Ok(())
    }
}

/// Publishes one message at a time.
#[derive(Clone)]
pub(crate) struct Publisher {
    channel: Channel,
    body: Vec<u8>,
}

impl Client for Publisher {
    async fn once(&mut self) -> Result<()> {
        let persistent = BasicProperties::default().with_delivery_mode(2);
        let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
        let published = self.channel.basic_publish("".into(), QUEUE.into(), options, &self.body, persistent);
        let confirmation = published.await?.await?;
        ensure!(matches!(confirmation, Confirmation::Ack(None)), "the broker said {confirmation:?}");
        Ok(())
    }
}
