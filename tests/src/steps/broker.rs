//! A proxy before the broker that understands what goes through it.

use std::collections::{HashMap, VecDeque};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::frames::{Frame, Method};
use super::{Step, Steps};
use crate::broker::Broker;

/// `AMQP` and the version, before the first frame.
const GREETING: usize = 8;

/// It ends when it is dropped.
pub struct WatchedBroker {
    address: String,
    _stop: DropGuard,
}

/// To both sides it is what the other one is.
#[derive(Clone)]
struct Sides {
    target: String,
    server: TlsAcceptor,
    client: TlsConnector,
}

/// The steps whose answers are to come, by channel.
#[derive(Clone, Default)]
struct Asked(Arc<Mutex<HashMap<u16, VecDeque<Step>>>>);

impl WatchedBroker {
    pub async fn start(broker: &Broker, steps: &Steps) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = format!("localhost:{}", listener.local_addr()?.port());
        let sides = Sides::new(broker)?;
        let (stop, steps) = (CancellationToken::new(), steps.clone());
        tokio::spawn(stop.clone().run_until_cancelled_owned(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (sides, steps) = (sides.clone(), steps.clone());
                tokio::spawn(async move {
                    // Whatever ends it, both ends learn of it: the streams are dropped.
                    if let Err(error) = connection(client, sides, steps).await {
                        tracing::debug!("a watched connection ended: {error:#}");
                    }
                });
            }
        }));
        Ok(Self { address, _stop: stop.drop_guard() })
    }

    /// Where it listens, as `host:port`.
    pub fn address(&self) -> &str {
        &self.address
    }
}

impl Sides {
    fn new(broker: &Broker) -> Result<Self> {
        let file = |name: &str| broker.secrets_dir().join(name);
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(chain(&file(credentials::CA_CERTIFICATE))?);
        let (own, key) =
            (chain(&file(credentials::SERVER_CERTIFICATE))?, key(&file(credentials::SERVER_KEY))?);
        let server = ServerConfig::builder().with_no_client_auth().with_single_cert(own, key)?;
        let (own, key) = (chain(&file("amqp-client.pem"))?, self::key(&file("amqp-client.key"))?);
        let client = ClientConfig::builder().with_root_certificates(roots).with_client_auth_cert(own, key)?;
        let (server, client) = (TlsAcceptor::from(Arc::new(server)), TlsConnector::from(Arc::new(client)));
        // The certificate names localhost.
        let port = broker.address().rsplit(':').next().context("an address with a port")?;
        Ok(Self { target: format!("localhost:{port}"), server, client })
    }
}

fn chain(file: &Path) -> Result<Vec<CertificateDer<'static>>> {
    CertificateDer::pem_file_iter(file)?.collect::<Result<_, _>>().with_context(|| file.display().to_string())
}

fn key(file: &Path) -> Result<PrivateKeyDer<'static>> {
    PrivateKeyDer::from_pem_file(file).with_context(|| file.display().to_string())
}

async fn connection(client: TcpStream, sides: Sides, steps: Steps) -> Result<()> {
    let client = sides.server.accept(client).await?;
    let server = TcpStream::connect(&sides.target).await?;
    let server = sides.client.connect(ServerName::try_from("localhost")?, server).await?;
    let (from_client, to_client) = tokio::io::split(client);
    let (from_server, mut to_server) = tokio::io::split(server);
    let asked = Asked::default();
    // What a dead program has sent counts, to the last byte.
    let sent = async {
        let sent = to_broker(from_client, &mut to_server, &steps, &asked).await;
        to_server.shutdown().await.ok();
        sent
    };
    tokio::select! {
        sent = sent => sent,
        heard = from_broker(from_server, to_client, &asked) => heard,
    }
}

async fn to_broker(
    mut from: impl AsyncRead + Unpin,
    to: &mut (impl AsyncWrite + Unpin),
    steps: &Steps,
    asked: &Asked,
) -> Result<()> {
    let mut greeting = [0; GREETING];
    from.read_exact(&mut greeting).await?;
    to.write_all(&greeting).await?;
    to.flush().await?;
    while let Some(frame) = Frame::read(&mut from).await? {
        let channel = frame.channel;
        let method = frame.method();
        let name = match &method {
            Some(Method::Asks(name) | Method::Publishes(name)) => name.as_str(),
            Some(Method::Tells(name)) => name,
            Some(Method::Delivers | Method::Other) | None => {
                to.write_all(&frame.bytes).await?;
                to.flush().await?;
                continue;
            }
        };
        let Ok(step) = steps.before(name).await else { return Ok(()) };
        if let Some(Method::Tells(_)) = method {
            to.write_all(&frame.bytes).await?;
            to.flush().await?;
            if step.after().await.is_err() {
                return Ok(());
            }
            continue;
        }
        asked.push(channel, step);
        to.write_all(&frame.bytes).await?;
        if let Some(Method::Publishes(_)) = method {
            message(&mut from, to, channel).await?;
        }
        to.flush().await?;
    }
    Ok(())
}

/// The rest of a message that is published: its header, and its body.
async fn message(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    channel: u16,
) -> Result<()> {
    let mut left = None;
    while left != Some(0) {
        let frame = Frame::read(from).await?.context("a message that ends midway")?;
        // Heartbeats and other channels' frames may come between.
        if frame.channel == channel {
            left = Some(match left {
                None => frame.body_size()?,
                Some(left) => left.saturating_sub(frame.size()),
            });
        }
        to.write_all(&frame.bytes).await?;
    }
    Ok(())
}

async fn from_broker(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    asked: &Asked,
) -> Result<()> {
    while let Some(frame) = Frame::read(&mut from).await? {
        let is_answer = matches!(frame.method(), Some(it) if it != Method::Delivers);
        if is_answer
            && let Some(step) = asked.pop(frame.channel)
            && step.after().await.is_err()
        {
            return Ok(());
        }
        to.write_all(&frame.bytes).await?;
        to.flush().await?;
    }
    Ok(())
}

impl Asked {
    fn push(&self, channel: u16, step: Step) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(channel).or_default().push_back(step);
    }

    fn pop(&self, channel: u16) -> Option<Step> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get_mut(&channel)?.pop_front()
    }
}
