//! Where a broker is and how to get in.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{AsyncRead, AsyncWrite};
use lapin::tcp::{AsyncTcpStream, RustlsConnector};
use lapin::uri::{AMQPAuthority, AMQPQueryString, AMQPScheme, AMQPUri, AMQPUserInfo, SASLMechanism};
use lapin::{Connection, ConnectionProperties};
use rustls::pki_types::ServerName;

use super::error::within;
use super::{Address, BrokerError, Session, tls};
use crate::clock::Clock;
use crate::queue::QueueNames;

/// lapin's asynchronous connect has no limit of its own (ecosystem notes, 2.2).
const CONNECT_LIMIT: Duration = Duration::from_secs(10);
/// Seconds. A dead peer is noticed after two of these.
const HEARTBEAT: u16 = 15;
/// Bytes. lapin keeps room for 32 frames each way in every connection, so the broker's 128 KiB would cost 8 MiB. An ordinary
/// event fits into one frame of this size, and a larger one takes more of them.
const FRAME_MAX: u32 = 32 * 1024;

/// Where the broker is, who we are there, and how its queues are called.
#[derive(Clone, Debug)]
pub struct Broker {
    /// Where.
    pub address: Address,
    /// The virtual host, `/` in production.
    pub vhost: String,
    /// The folder with `ca.pem`, `amqp-client.pem` and `amqp-client.key`, read at each connect, so that renewed certificates
    /// need no restart. Not looked at for [`Address::Localhost`].
    pub secrets: PathBuf,
    /// The name that the server's certificate must have; none: any name under our authority.
    pub server_name: Option<ServerName<'static>>,
    /// How the queues are called.
    pub queues: QueueNames,
    /// For the time stamps of messages.
    pub clock: Clock,
}

impl Broker {
    /// Connects; `role` is how the connection is called in the broker's lists, and the `app_id` of its messages.
    pub async fn connect(&self, role: &'static str) -> Result<Session, BrokerError> {
        let name = format!("flotilla {role} {}", crate::hostname());
        let properties = ConnectionProperties::default().with_connection_name(name.into());
        let limit = CONNECT_LIMIT;
        let connection = tokio::time::timeout(limit, self.open(properties))
            .await
            .map_err(|_| BrokerError::Silent { what: format!("connect to {}", self.address), limit })??;
        Ok(Session::new(connection, self.queues.clone(), self.clock, role))
    }

    async fn open(&self, properties: ConnectionProperties) -> Result<Connection, BrokerError> {
        let runtime = lapin::runtime::default_runtime()
            .map_err(|it| BrokerError::refused("use the asynchronous runtime", it))?;
        let connector = self.connector()?;
        let connected = Connection::connector(
            self.uri(),
            runtime,
            async move |uri, runtime| {
                let target = runtime.to_socket_addrs((uri.authority.host.clone(), uri.authority.port));
                let stream = AsyncTcpStream::connect(&runtime, target).await?;
                Ok(match &connector {
                    None => stream,
                    Some(connector) => stream.into_rustls(connector, &uri.authority.host).await?,
                })
            },
            properties,
        );
        connected.await.map_err(|source| BrokerError::Connect {
            address: self.address.to_string(),
            source: Box::new(source),
        })
    }

    /// A way to the broker on which nothing has been said yet.
    pub(super) async fn stream(&self) -> Result<impl AsyncRead + AsyncWrite + Unpin + use<>, BrokerError> {
        let AMQPAuthority { host, port, .. } = self.uri().authority;
        let (connector, limit) = (self.connector()?, CONNECT_LIMIT);
        let opened = async {
            let runtime = lapin::runtime::default_runtime()?;
            let target = runtime.to_socket_addrs((host.clone(), port));
            let stream = AsyncTcpStream::connect(&runtime, target).await?;
            Ok::<_, lapin::Error>(match &connector {
                None => stream,
                Some(connector) => stream.into_rustls(connector, &host).await?,
            })
        };
        within(limit, || format!("reach {}", self.address), opened).await
    }

    fn connector(&self) -> Result<Option<RustlsConnector>, BrokerError> {
        let name = self.server_name.as_ref();
        Ok(match &self.address {
            Address::Localhost => None,
            Address::Tls { .. } => {
                Some(RustlsConnector::from(Arc::new(tls::client_config(&self.secrets, name)?)))
            }
        })
    }

    fn uri(&self) -> AMQPUri {
        let guest = AMQPUserInfo { username: "guest".to_owned(), password: "guest".to_owned() };
        let (scheme, host, port, auth_mechanism) = match &self.address {
            Address::Localhost => (AMQPScheme::AMQP, "localhost", 5672, SASLMechanism::Plain),
            Address::Tls { host, port } => (AMQPScheme::AMQPS, host.as_str(), *port, SASLMechanism::External),
        };
        AMQPUri {
            scheme,
            authority: AMQPAuthority { userinfo: guest, host: host.to_owned(), port },
            vhost: self.vhost.clone(),
            query: AMQPQueryString {
                frame_max: Some(FRAME_MAX),
                heartbeat: Some(HEARTBEAT),
                auth_mechanism: Some(auth_mechanism),
                ..AMQPQueryString::default()
            },
        }
    }
}
