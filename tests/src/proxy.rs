//! A network between two programs that does what networks do: it cuts, falls silent in one direction or in both, and refuses.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};

/// What the network does now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Network {
    /// Everything comes through.
    Open,
    /// Everything comes through after this time.
    Slow(Duration),
    /// Nothing comes through, and nobody is told: what is sent waits. New connections are taken, and hear nothing.
    Silent(Direction),
    /// Connections are cut, and new ones are cut at once.
    Down,
}

/// In which direction the network is silent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    Both,
    ToServer,
    FromServer,
}

/// The proxy; it ends when it is dropped.
pub struct Proxy {
    address: String,
    network: watch::Sender<Network>,
    /// Counts the times that all connections were cut.
    cuts: watch::Sender<u32>,
    /// Counts the times that they were left hanging.
    strandings: watch::Sender<u32>,
    _stop: DropGuard,
}

/// One direction of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    ToServer,
    FromServer,
}

impl Proxy {
    /// In front of `target`, a `host:port`.
    pub async fn start(target: &str) -> Result<Self> {
        let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
        let address = format!("localhost:{}", listener.local_addr()?.port());
        let (network, now) = watch::channel(Network::Open);
        let (cuts, cut) = watch::channel(0);
        let (strandings, stranded) = watch::channel(0);
        let stop = CancellationToken::new();
        let (target, stopped) = (target.to_owned(), stop.clone());
        tokio::spawn(stopped.run_until_cancelled_owned(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(connection(
                    client,
                    target.clone(),
                    now.clone(),
                    [cut.clone(), stranded.clone()],
                ));
            }
        }));
        Ok(Self { address, network, cuts, strandings, _stop: stop.drop_guard() })
    }

    /// Where it listens, as `host:port`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// What the network is from now on.
    pub fn set(&self, network: Network) {
        self.network.send_replace(network);
        if network == Network::Down {
            self.cut();
        }
    }

    /// Cuts all connections that there are.
    pub fn cut(&self) {
        self.cuts.send_modify(|it| *it += 1);
    }

    /// The connections that there are hear nothing any more, and nobody is told, not even when one end gives up: as after a network
    /// that was away, where the other end has yet to notice. New ones are as the network is.
    pub fn strand(&self) {
        self.strandings.send_modify(|it| *it += 1);
    }
}

async fn connection(
    client: TcpStream,
    target: String,
    network: watch::Receiver<Network>,
    [mut cut, mut stranded]: [watch::Receiver<u32>; 2],
) {
    cut.mark_unchanged();
    stranded.mark_unchanged();
    if *network.borrow() == Network::Down {
        return;
    }
    let through = async {
        let server = TcpStream::connect(&target).await.context("the server is not there")?;
        let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
        tokio::try_join!(
            pass(from_client, to_server, Way::ToServer, network.clone()),
            pass(from_server, to_client, Way::FromServer, network.clone()),
        )?;
        anyhow::Ok(())
    };
    tokio::pin!(through);
    // Whatever ends it, both ends learn of it: the streams are dropped.
    tokio::select! {
        _ = &mut through => {}
        _ = cut.changed() => {}
        Ok(()) = stranded.changed() => {
            let _ = cut.changed().await;
        }
    }
}

async fn pass(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    way: Way,
    mut network: watch::Receiver<Network>,
) -> Result<()> {
    let mut bytes = vec![0; 64 * 1024];
    loop {
        let read = from.read(&mut bytes).await?;
        network.wait_for(|it| lets_through(*it, way)).await?;
        let now = *network.borrow();
        if let Network::Slow(delay) = now {
            tokio::time::sleep(delay).await;
        }
        if read == 0 {
            to.shutdown().await?;
            return Ok(());
        }
        to.write_all(bytes.get(..read).unwrap_or_default()).await?;
    }
}

fn lets_through(network: Network, way: Way) -> bool {
    match network {
        Network::Open | Network::Slow(_) | Network::Down => true,
        Network::Silent(Direction::Both) => false,
        Network::Silent(Direction::ToServer) => way != Way::ToServer,
        Network::Silent(Direction::FromServer) => way != Way::FromServer,
    }
}
