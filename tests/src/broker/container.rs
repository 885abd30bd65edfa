//! A broker in a container, where `RabbitMQ` is not installed but its image can be had.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use tempfile::TempDir;
use testcontainers::core::{ContainerPort, WaitFor};
use testcontainers::runners::AsyncRunner;
use testcontainers::{ContainerAsync, GenericImage, ImageExt};

use super::api::Api;
use super::config::{self, Ports};
use super::options::Options;
use super::{API_PASSWORD, API_USER};
use crate::secrets;

const IMAGE: &str = "docker.io/library/rabbitmq";
const TAG: &str = "3-management";
const START: Duration = Duration::from_mins(2);
const PORTS: Ports = Ports { tls: 5671, plain: None, api: 15672, distribution: 25672, names: 4369 };

/// The container and the secrets that it was started with; both go on drop.
pub(super) struct Server {
    container: ContainerAsync<GenericImage>,
    _folder: TempDir,
}

impl Server {
    /// Gives also the broker's address, its API and the folder of secrets.
    pub(super) async fn start() -> Result<(Self, String, Api, PathBuf)> {
        let folder = tempfile::Builder::new().prefix("flotilla-broker-").tempdir()?;
        let secrets_dir = folder.path().join("secrets");
        secrets::write(&secrets_dir)?;
        let container = image(&secrets_dir)?
            .start()
            .await
            .context("no container; testcontainers wants DOCKER_HOST=unix://…/podman.sock for podman")?;
        let host = Ipv4Addr::LOCALHOST;
        let tls = container.get_host_port_ipv4(PORTS.tls).await?;
        let api = container.get_host_port_ipv4(PORTS.api).await?;
        let api = Api::new(&format!("http://{API_USER}:{API_PASSWORD}@{host}:{api}"))?;
        api.ping().await?;
        Ok((Self { container, _folder: folder }, format!("{host}:{tls}"), api, secrets_dir))
    }

    pub(super) async fn stop(self) -> Result<()> {
        self.container.rm().await.context("removing the broker's container")
    }
}

/// The same configuration as a private broker has, with the secrets copied in.
fn image(secrets: &std::path::Path) -> Result<testcontainers::ContainerRequest<GenericImage>> {
    const SECRETS: &str = "/etc/rabbitmq/secrets";
    let layout = config::Layout { root: "/etc/rabbitmq".into() };
    let mut request = GenericImage::new(IMAGE, TAG)
        .with_exposed_port(ContainerPort::Tcp(PORTS.tls))
        .with_exposed_port(ContainerPort::Tcp(PORTS.api))
        .with_wait_for(WaitFor::message_on_either_std("Server startup complete"))
        .with_startup_timeout(START)
        .with_copy_to(
            "/etc/rabbitmq/conf.d/99-flotilla.conf",
            config::text(&layout, &PORTS, &Options::default(), config::Interface::All).into_bytes(),
        )
        .with_copy_to("/etc/rabbitmq/definitions.json", config::definitions().into_bytes())
        .with_copy_to("/etc/rabbitmq/enabled_plugins", config::PLUGINS.as_bytes().to_vec());
    for name in ["ca.pem", "amqp-server.pem", "amqp-server.key"] {
        let content = std::fs::read(secrets.join(name)).with_context(|| format!("cannot read {name}"))?;
        request = request.with_copy_to(format!("{SECRETS}/{name}"), content);
    }
    Ok(request)
}
