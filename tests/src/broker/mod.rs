//! A `RabbitMQ` as production has it: TLS only, and the client's certificate is its name.

mod api;
mod client;
mod config;
#[cfg(feature = "container-broker")]
mod container;
mod options;
mod private;
mod vhost;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use self::api::Api;
pub use self::api::Permissions;
pub use self::client::{Client, Identity};
pub use self::options::{Options, Plain, TlsVersions};
use self::private::Node;
pub use self::vhost::VirtualHost;
use crate::settings;

/// The user of the management API; on a loopback port of a broker that lives for a test.
const API_USER: &str = "harness";
const API_PASSWORD: &str = "harness";

/// A broker for tests.
pub struct Broker {
    address: String,
    secrets_dir: PathBuf,
    api: Api,
    /// The server, if we started it for ourselves.
    node: Option<Box<Node>>,
    #[cfg(feature = "container-broker")]
    container: Option<Box<container::Server>>,
}

/// What a broker is to think of its memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Memory {
    UsedUp,
    Enough,
}

/// How a broker goes down before it comes up again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Restart {
    Orderly,
    /// As after a power cut.
    Hard,
}

impl Broker {
    /// The broker that the environment asks for: a private one unless `FLOTILLA_TEST_BROKER` says otherwise.
    pub async fn open() -> Result<Self> {
        match settings::get(settings::BROKER).as_deref() {
            None | Some("private") => Self::private(&Options::default()).await,
            Some("container") => Self::container().await,
            Some(address) if address.contains(':') => Self::running(address).await,
            Some(other) => {
                bail!("{}={other}: expected private, container or HOST:PORT", settings::BROKER)
            }
        }
    }

    /// Starts a broker of the caller's own, whatever the environment says: for tests that break it
    /// or need it otherwise.
    pub async fn private(options: &Options) -> Result<Self> {
        let node = Node::start(options).await?;
        let address = format!("127.0.0.1:{}", node.ports().tls);
        let broker = Self::at(address, node.secrets_dir(), node.api().clone());
        Ok(Self { node: Some(Box::new(node)), ..broker })
    }

    async fn running(address: &str) -> Result<Self> {
        let needed = |name: &str, form: &str| {
            let hint = || format!("{}={address} also needs {name}={form}", settings::BROKER);
            settings::get(name).with_context(hint)
        };
        let api = needed(settings::BROKER_API, "http://user:password@host:port")?;
        let secrets_dir = needed(settings::SECRETS_DIR, "the folder of ca.pem and amqp-client.pem")?;
        let api = Api::new(&api).context(settings::BROKER_API)?;
        api.ping().await.with_context(|| format!("the broker at {address}"))?;
        Ok(Self::at(address.to_owned(), secrets_dir.into(), api))
    }

    #[cfg(feature = "container-broker")]
    async fn container() -> Result<Self> {
        let server = Box::new(Box::pin(container::Server::start()).await?);
        let broker = Self::at(server.address(), server.secrets_dir(), server.api().clone());
        Ok(Self { container: Some(server), ..broker })
    }

    #[cfg(not(feature = "container-broker"))]
    #[expect(clippy::unused_async, reason = "the same call as with the feature")]
    async fn container() -> Result<Self> {
        bail!("{}=container needs tests built with --features container-broker", settings::BROKER)
    }

    fn at(address: String, secrets_dir: PathBuf, api: Api) -> Self {
        Self {
            address,
            secrets_dir,
            api,
            node: None,
            #[cfg(feature = "container-broker")]
            container: None,
        }
    }

    /// `127.0.0.1:PORT` of the listener with TLS.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The port of the listener without TLS, if the options asked for one.
    pub fn plain_port(&self) -> Option<u16> {
        self.node.as_ref().and_then(|node| node.ports().plain)
    }

    /// The folder with the certificates and tokens.
    pub fn secrets_dir(&self) -> &Path {
        &self.secrets_dir
    }

    /// `http://user:password@host:port` of the management API.
    pub fn api_url(&self) -> String {
        self.api.url()
    }

    /// What another process needs in its environment to use this broker too.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        vec![
            (settings::BROKER, self.address.clone()),
            (settings::BROKER_API, self.api_url()),
            (settings::SECRETS_DIR, self.secrets_dir.display().to_string()),
        ]
    }

    /// Makes a virtual host in which [`crate::secrets::BROKER_USER`] may do everything.
    pub async fn vhost(&self, name: &str) -> Result<VirtualHost> {
        VirtualHost::create(&self.api, name).await
    }

    /// Says what the fleet's user may do in a virtual host from now on.
    pub async fn permit(&self, vhost: &str, permissions: &Permissions<'_>) -> Result<()> {
        self.api.permit(vhost, permissions).await
    }

    /// Has a private broker believe that its memory is used up, or that it is not.
    pub async fn alarm(&self, memory: Memory) -> Result<()> {
        let fraction = match memory {
            Memory::UsedUp => "0.000001",
            Memory::Enough => "0.9",
        };
        let node = self.node.as_ref().context("only a private broker can be told")?;
        node.control(&["set_vm_memory_high_watermark", fraction]).await
    }

    /// The names of all virtual hosts.
    pub async fn vhosts(&self) -> Result<Vec<String>> {
        self.api.vhosts().await
    }

    /// Removes virtual hosts that somebody left behind.
    pub async fn remove_vhosts(&self, names: &[String]) -> Result<()> {
        for name in names {
            self.api.delete_vhost(name).await?;
        }
        Ok(())
    }

    /// The names of the queues in a virtual host. Their counts here lag by seconds: ask over AMQP.
    pub async fn queues(&self, vhost: &str) -> Result<Vec<String>> {
        self.api.queues(vhost).await
    }

    /// Makes a private broker write out what it knows of its queues, as it does by itself within seconds.
    pub async fn sync(&self) -> Result<()> {
        self.node.as_ref().context("only a private broker can be told")?.sync().await
    }

    /// Runs `rabbitmqctl` with these arguments on a private broker.
    pub async fn control(&self, arguments: &[&str]) -> Result<()> {
        self.node.as_ref().context("only a private broker can be told")?.control(arguments).await
    }

    /// Kills a private broker as a power cut would. [`Self::restart`] brings it back.
    pub fn kill(&mut self) -> Result<()> {
        self.node()?.kill();
        Ok(())
    }

    /// Takes a private broker down, if it is up, and starts it again: same data, same ports.
    pub async fn restart(&mut self, how: Restart) -> Result<()> {
        let node = self.node()?;
        match how {
            Restart::Orderly => node.stop().await?,
            Restart::Hard => node.kill(),
        }
        node.run().await
    }

    /// Takes the broker down in an orderly way, if it is ours. Dropping it kills it, which is faster.
    pub async fn stop(mut self) -> Result<()> {
        #[cfg(feature = "container-broker")]
        if let Some(container) = self.container.take() {
            return container.stop().await;
        }
        match &mut self.node {
            Some(node) => node.stop().await,
            None => Ok(()),
        }
    }

    /// The end of a private broker's log, if it has ended although it should be up.
    pub fn last_words(&mut self) -> Result<Option<String>> {
        self.node.as_mut().map_or(Ok(None), |node| node.last_words())
    }

    /// The process group of a private broker that is up.
    pub fn group(&self) -> Option<i32> {
        self.node.as_ref().and_then(|node| node.group())
    }

    /// The temporary folder of a private broker.
    pub fn folder(&self) -> Option<&Path> {
        self.node.as_ref().map(|node| node.folder())
    }

    fn node(&mut self) -> Result<&mut Node> {
        let hint = "others use this broker too: a test that breaks one starts its own, Broker::private()";
        self.node.as_deref_mut().context(hint)
    }
}
