//! A broker in a container, where `RabbitMQ` is not installed but its image can be had.
//!
//! That is for tests built with `--features container-broker` and run with
//! `FLOTILLA_TEST_BROKER=container`. The image is `RabbitMQ`'s official one with the management
//! plugin; `FLOTILLA_TEST_BROKER_IMAGE` names another, which is pulled if it is not there.
//!
//! testcontainers speaks Docker's API. With Docker nothing more is needed; podman wants a service:
//!
//! ```text
//! podman system service --time=0 unix:///tmp/podman.sock &
//! export DOCKER_HOST=unix:///tmp/podman.sock FLOTILLA_TEST_BROKER=container
//! cargo run -p tests --features container-broker --bin with-services -- cargo nextest run
//! ```
//!
//! It is the service that runs the container, so where podman needs other settings than its own (see
//! [`crate::engine`]), `CONTAINERS_CONF` must name them when the service starts.
//!
//! The container uses the host's network, as those of tasks do, and listens on the loopback
//! interface. A bridge would need a firewall program, and published ports would be everybody's.
//!
//! A process that is killed cannot remove its container; there is no watchdog as a private broker
//! has. Such a container is named `flotilla-broker-…` and has the label `flotilla.test`.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use tempfile::TempDir;
use testcontainers::bollard::query_parameters::RemoveContainerOptionsBuilder;
use testcontainers::core::WaitFor;
use testcontainers::core::client::docker_client_instance;
use testcontainers::core::error::WaitContainerError;
use testcontainers::core::logs::WaitLogError;
use testcontainers::runners::AsyncRunner;
use testcontainers::{ContainerAsync, ContainerRequest, GenericImage, ImageExt, TestcontainersError};

use super::api::Api;
use super::config::{self, Layout, Ports};
use super::options::{Options, Plain};
use super::private::complaint;
use super::{API_PASSWORD, API_USER};
use crate::{engine, secrets, settings};

const IMAGE: &str = "docker.io/library/rabbitmq:3-management";
const START: Duration = Duration::from_mins(2);
/// Where the image expects its configuration.
const FOLDER: &str = "/etc/rabbitmq";
const HINT: &str = "no broker in a container. For podman: DOCKER_HOST=unix://… of `podman system service`, \
                    which needs the same CONTAINERS_CONF as podman itself";

/// The container and the secrets that it was started with; both go on drop.
pub(super) struct Server {
    container: ContainerAsync<GenericImage>,
    ports: Ports,
    api: Api,
    folder: TempDir,
}

impl Server {
    pub(super) async fn start() -> Result<Self> {
        config::with_free_ports(Self::start_once).await
    }

    async fn start_once() -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("flotilla-broker-").tempdir()?;
        secrets::write(&secrets_dir(&folder))?;
        let ports = Ports::find(Plain::Off)?;
        let api = Api::new(&format!("http://{API_USER}:{API_PASSWORD}@127.0.0.1:{}", ports.api))?;
        let name = folder.path().file_name().and_then(|it| it.to_str()).context("a folder without a name")?;
        let container = run(name, request(&secrets_dir(&folder), &ports)?).await.context(HINT)?;
        let server = Self { container, ports, api, folder };
        server.check().await?;
        Ok(server)
    }

    /// `RabbitMQ` calls its start complete also when the port was somebody else's by then.
    async fn check(&self) -> Result<()> {
        let overview = self.api.get(&["overview"]).await?;
        let listeners = overview["listeners"].as_array().context("no listeners in the API's overview")?;
        let port = self.ports.tls;
        ensure!(
            listeners.iter().any(|it| it["port"] == port),
            "eaddrinuse: the broker did not get port {port}"
        );
        Ok(())
    }

    pub(super) async fn stop(self) -> Result<()> {
        self.container.rm().await.context("removing the broker's container")
    }

    pub(super) fn address(&self) -> String {
        format!("{}:{}", Ipv4Addr::LOCALHOST, self.ports.tls)
    }

    pub(super) fn api(&self) -> &Api {
        &self.api
    }

    pub(super) fn secrets_dir(&self) -> PathBuf {
        secrets_dir(&self.folder)
    }
}

fn secrets_dir(folder: &TempDir) -> PathBuf {
    folder.path().join("secrets")
}

/// Runs a container. testcontainers forgets one that was made but does not start, so: not without a name.
async fn run(name: &str, request: ContainerRequest<GenericImage>) -> Result<ContainerAsync<GenericImage>> {
    match request.with_container_name(name).start().await {
        Ok(container) => Ok(container),
        Err(error) => {
            // Mostly it does not exist any more, or never did.
            let _ = remove(name).await;
            Err(told(&error))
        }
    }
}

/// The error with the words of its causes, which it has in its own; of a log what matters.
fn told(error: &TestcontainersError) -> anyhow::Error {
    use WaitContainerError::WaitLog;
    let TestcontainersError::WaitContainer(WaitLog(WaitLogError::EndOfStream(lines))) = error else {
        return anyhow!("{error}");
    };
    let log: String = lines.iter().map(|line| String::from_utf8_lossy(line)).collect();
    anyhow!("RabbitMQ ended at its start:\n{}", complaint(&log))
}

async fn remove(name: &str) -> Result<()> {
    let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
    Ok(docker_client_instance().await?.remove_container(name, Some(options)).await?)
}

/// The same configuration as a private broker has, with the secrets copied in.
fn request(secrets: &Path, ports: &Ports) -> Result<ContainerRequest<GenericImage>> {
    let image = settings::get(settings::BROKER_IMAGE).unwrap_or_else(|| IMAGE.to_owned());
    let (name, tag) = name_and_tag(&image);
    let layout = Layout { root: FOLDER.into() };
    let text = config::text(&layout, ports, &Options::default());
    let mut request = GenericImage::new(name, tag)
        .with_wait_for(WaitFor::message_on_either_std("Server startup complete"))
        .with_startup_timeout(START)
        .with_label(engine::LABEL, format!("{}/broker", settings::run()))
        .with_host_config_modifier(|host| {
            host.network_mode = Some("host".to_owned());
            host.publish_all_ports = Some(false);
        })
        .with_copy_to(format!("{FOLDER}/conf.d/99-flotilla.conf"), text.into_bytes())
        .with_copy_to(layout.definitions().display().to_string(), config::definitions().into_bytes())
        .with_copy_to(layout.plugins().display().to_string(), config::PLUGINS.as_bytes().to_vec());
    for (name, value) in environment(ports) {
        request = request.with_env_var(name, value);
    }
    for name in ["ca.pem", "amqp-server.pem", "amqp-server.key"] {
        let content = std::fs::read(secrets.join(name)).with_context(|| format!("cannot read {name}"))?;
        request = request.with_copy_to(layout.secrets().join(name).display().to_string(), content);
    }
    Ok(request)
}

/// Keeps what is Erlang's own on ports of ours and on the loopback interface.
fn environment(ports: &Ports) -> [(&'static str, String); 5] {
    [
        ("RABBITMQ_NODENAME", format!("flotilla-{}@localhost", ports.distribution)),
        ("RABBITMQ_DIST_PORT", ports.distribution.to_string()),
        ("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", "-kernel inet_dist_use_interface {127,0,0,1}".to_owned()),
        ("ERL_EPMD_ADDRESS", "127.0.0.1".to_owned()),
        ("ERL_EPMD_PORT", ports.names.to_string()),
    ]
}

/// Takes an image's name apart; the colon of a registry's port begins no tag.
fn name_and_tag(image: &str) -> (&str, &str) {
    image.rsplit_once(':').filter(|(_, tag)| !tag.contains('/')).unwrap_or((image, "latest"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_no_tag() {
        for (image, name, tag) in [
            (IMAGE, "docker.io/library/rabbitmq", "3-management"),
            ("rabbitmq", "rabbitmq", "latest"),
            ("localhost:5000/rabbitmq", "localhost:5000/rabbitmq", "latest"),
            ("localhost:5000/rabbitmq:4-management", "localhost:5000/rabbitmq", "4-management"),
        ] {
            assert_eq!(name_and_tag(image), (name, tag));
        }
    }
}
