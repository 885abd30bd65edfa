//! The files that a private broker reads at its start.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::json;

use super::options::{Options, Plain, TlsVersions};
use super::{API_PASSWORD, API_USER};
use crate::ports;
use crate::secrets::BROKER_USER;

/// What of `RabbitMQ` the broker loads.
pub(super) const PLUGINS: &str = "[rabbitmq_auth_mechanism_ssl,rabbitmq_management].\n";

/// How often to look for other ports when somebody else was faster.
const TRIES: usize = 3;

/// The ports of a broker, all on the loopback interface.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ports {
    pub(super) tls: u16,
    pub(super) plain: Option<u16>,
    pub(super) api: u16,
    /// Where the Erlang machine listens for others of its kind; nobody comes.
    pub(super) distribution: u16,
    /// Erlang's port mapper.
    pub(super) names: u16,
}

impl Ports {
    pub(super) fn find(plain: Plain) -> Result<Self> {
        let plain = match plain {
            Plain::Off => None,
            Plain::On => Some(ports::free()?),
            Plain::Port(port) => Some(port),
        };
        let (tls, api) = (ports::free()?, ports::free()?);
        Ok(Self { tls, plain, api, distribution: ports::free()?, names: ports::free()? })
    }
}

/// Starts a broker, and again with other ports if it has lost one.
pub(super) async fn with_free_ports<T>(start: impl AsyncFn() -> Result<T>) -> Result<T> {
    let mut tries = 1;
    loop {
        match start().await {
            Err(error) if tries < TRIES && format!("{error:#}").contains("eaddrinuse") => tries += 1,
            result => return result,
        }
    }
}

/// The folders and files of a broker, under one root.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    pub(super) root: PathBuf,
}

impl Layout {
    pub(super) fn secrets(&self) -> PathBuf {
        self.root.join("secrets")
    }

    pub(super) fn home(&self) -> PathBuf {
        self.root.join("home")
    }

    pub(super) fn data(&self) -> PathBuf {
        self.root.join("data")
    }

    /// What the broker says, from its first line on.
    pub(super) fn log(&self) -> PathBuf {
        self.root.join("broker.log")
    }

    pub(super) fn config(&self) -> PathBuf {
        self.root.join("rabbitmq.conf")
    }

    pub(super) fn plugins(&self) -> PathBuf {
        self.root.join("enabled_plugins")
    }

    pub(super) fn definitions(&self) -> PathBuf {
        self.root.join("definitions.json")
    }

    /// Writes all that the broker reads, except for the secrets.
    pub(super) fn write(&self, ports: &Ports, options: &Options) -> Result<()> {
        for folder in [self.home(), self.data()] {
            fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        }
        let config = text(self, ports, options);
        for (path, text) in [
            (self.config(), config),
            (self.definitions(), definitions()),
            (self.plugins(), PLUGINS.to_owned()),
        ] {
            fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        }
        Ok(())
    }
}

/// The text of `rabbitmq.conf`.
pub(super) fn text(layout: &Layout, ports: &Ports, options: &Options) -> String {
    let mut text = listeners(ports);
    text.push_str(&tls(&layout.secrets(), options.tls));
    let _ = write!(
        text,
        "ssl_cert_login_from = common_name\n\
         load_definitions = {}\n\
         # Tasks take hours and are acknowledged at their end.\n\
         consumer_timeout = 9000000\n\
         max_message_size = {}\n\
         disk_free_limit.absolute = 1MB\n\
         management.rates_mode = none\n\
         # The file would be lost with a killed broker; the console is ours.\n\
         log.file = false\n\
         log.console = true\n",
        layout.definitions().display(),
        options.max_message_size,
    );
    for line in &options.settings {
        let _ = writeln!(text, "{line}");
    }
    text
}

fn listeners(ports: &Ports) -> String {
    // The API's users log in over HTTP, which needs no SASL mechanism.
    let plain = ports.plain.map_or_else(
        || "listeners.tcp = none\n".to_owned(),
        |port| format!("listeners.tcp.1 = 127.0.0.1:{port}\nauth_mechanisms.2 = PLAIN\n"),
    );
    format!(
        "{plain}\
         listeners.ssl.1 = 127.0.0.1:{}\n\
         management.tcp.ip = 127.0.0.1\n\
         management.tcp.port = {}\n\
         auth_mechanisms.1 = EXTERNAL\n",
        ports.tls, ports.api
    )
}

fn tls(secrets: &Path, versions: TlsVersions) -> String {
    let versions = match versions {
        TlsVersions::Both => "ssl_options.versions.1 = tlsv1.3\nssl_options.versions.2 = tlsv1.2\n",
        TlsVersions::Only12 => "ssl_options.versions.1 = tlsv1.2\n",
    };
    format!(
        "ssl_options.cacertfile = {0}/ca.pem\n\
         ssl_options.certfile = {0}/amqp-server.pem\n\
         ssl_options.keyfile = {0}/amqp-server.key\n\
         ssl_options.verify = verify_peer\n\
         ssl_options.fail_if_no_peer_cert = true\n\
         {versions}",
        secrets.display()
    )
}

/// Users and rights. Loaded by the broker at its start, which costs nothing measurable.
pub(super) fn definitions() -> String {
    let all = |user| json!({"user": user, "vhost": "/", "configure": ".*", "write": ".*", "read": ".*"});
    json!({
        "vhosts": [{"name": "/"}],
        "users": [
            {"name": BROKER_USER, "password_hash": "", "tags": ""},
            {"name": "guest", "password": "guest", "tags": ""},
            {"name": API_USER, "password": API_PASSWORD, "tags": "administrator"},
        ],
        "permissions": [all(BROKER_USER), all("guest"), all(API_USER)],
    })
    .to_string()
}
