//! The client library by itself, for what our own programs would never say to a broker.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use lapin::tcp::{OwnedIdentity, OwnedTLSConfig};
use lapin::{Connection, ConnectionProperties};

use super::Broker;

/// A broker that is there answers sooner; lapin itself would wait for ever.
const ANSWER: Duration = Duration::from_secs(20);

/// Who connects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Identity {
    /// With the fleet's client certificate.
    Client,
    /// Without a certificate.
    None,
}

/// How to reach a virtual host of a broker, wherever that is after a restart.
#[derive(Clone, Debug)]
pub struct Client {
    address: String,
    secrets_dir: PathBuf,
    vhost: String,
}

impl Broker {
    /// Connects to a virtual host.
    pub async fn connect(&self, vhost: &str, identity: Identity) -> Result<Connection> {
        self.client(vhost).connect(identity).await
    }

    /// The same for who connects later, and again.
    pub fn client(&self, vhost: &str) -> Client {
        let (address, secrets_dir) = (self.address().to_owned(), self.secrets_dir().to_owned());
        Client { address, secrets_dir, vhost: vhost.to_owned() }
    }
}

impl Client {
    /// Connects.
    pub async fn connect(&self, identity: Identity) -> Result<Connection> {
        let secret = |name: &str| std::fs::read(self.secrets_dir.join(name)).context("a secret");
        let identity = match identity {
            Identity::None => None,
            Identity::Client => Some(OwnedIdentity::PKCS8 {
                pem: secret("amqp-client.pem")?,
                key: secret("amqp-client.key")?,
            }),
        };
        // The certificate names localhost, and this client checks that.
        let port = self.address.rsplit(':').next().context("an address with a port")?;
        let uri =
            format!("amqps://localhost:{port}/{}?auth_mechanism=external", self.vhost.replace('/', "%2f"));
        let tls = OwnedTLSConfig { identity, cert_chain: Some(String::from_utf8(secret("ca.pem")?)?) };
        let runtime = lapin::runtime::default_runtime()?;
        let connecting = Connection::connect_with_config(&uri, ConnectionProperties::default(), tls, runtime);
        Ok(tokio::time::timeout(ANSWER, connecting).await.context("the broker does not answer")??)
    }
}
