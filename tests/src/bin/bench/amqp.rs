//! The broker alone: persistent messages, published and confirmed over TLS through lapin, with nothing of ours in between.

use ::tests::broker::Broker;
use anyhow::{Context, Result, ensure};
use common::queue::Queue;
use lapin::options::{
    BasicConsumeOptions, BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions, QueuePurgeOptions,
};
use lapin::tcp::{OwnedIdentity, OwnedTLSConfig};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Confirmation, Connection, ConnectionProperties, Consumer};

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
        self.purge_queue(Queue::Webhook).await.map(drop)
    }

    /// Empties a queue and says how many messages were in it.
    pub(crate) async fn purge_queue(&self, queue: Queue) -> Result<u32> {
        Ok(self.control.queue_purge(queue.name().into(), QueuePurgeOptions::default()).await?)
    }

    /// How many messages wait in a queue.
    pub(crate) async fn depth(&self, queue: Queue) -> Result<u32> {
        let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::durable() };
        let found = self.control.queue_declare(queue.name().into(), passive, FieldTable::default()).await?;
        Ok(found.message_count())
    }

    /// What comes out of a queue from now on.
    pub(crate) async fn consume(&self, queue: Queue) -> Result<Consumer> {
        let options = BasicConsumeOptions { no_ack: true, ..BasicConsumeOptions::default() };
        let name = queue.name().into();
        Ok(self.control.basic_consume(name, "bench".into(), options, FieldTable::default()).await?)
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
