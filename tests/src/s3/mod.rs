//! A bucket: a real S3 server (`s3s`, with its files in a folder), over TLS, that checks signatures as S3 does.
//!
//! Everybody may read objects, as in a bucket of public logs; for all else it wants a signature of its key. In front of it, the
//! harness keeps a journal of all requests and has [`Fault`]s for some of them.
//!
//! Why this one: it comes with cargo, so it is there wherever the tests are built; it adds 33 crates to the tests' build (15 s of
//! CPU for a check) and none to our programs'; it starts in milliseconds; and it checks signatures, where moto takes any and s3rver
//! takes requests whose signed headers were changed. Version 0.14 is the last that builds with our Rust. What it does otherwise
//! than S3, and tests must not count on: it has no ACLs (the journal shows the header), it answers 403 for an upload that is not
//! there, it makes buckets that are missing, names have at most 150 bytes or so, and a list's names are encoded by us.

mod access;
mod fault;
mod journal;
mod listing;
mod objects;
mod server;

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result};
use common::Clock;
use common::logs::{S3Key, S3Limits, S3Settings, S3Store};
use credentials::{FleetOptions, SERVER_CERTIFICATE, SERVER_KEY, ServerName};
use tempfile::TempDir;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

pub use self::fault::Fault;
use self::fault::Schedule;
pub use self::journal::Recorded;
pub use self::objects::Object;
use self::server::Running;
use crate::steps::Steps;

/// The one bucket.
pub const BUCKET: &str = "logs";
/// The key that may do everything.
pub const ACCESS: &str = "flotilla-test";
/// Its secret.
pub const SECRET: &str = "test/secret+of=the-bucket";

/// A server with one bucket, on the loopback interface, until it is dropped.
pub struct S3Server {
    shared: Arc<Shared>,
    running: Option<Running>,
    certificates: server::Certificates,
    client: reqwest::Client,
    ca: String,
}

impl fmt::Debug for S3Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3Server").field("url", &self.url()).finish_non_exhaustive()
    }
}

/// What the server and the test have in common.
struct Shared {
    port: u16,
    folder: TempDir,
    state: Mutex<State>,
    changes: watch::Sender<()>,
    /// Ends what hangs.
    stop: CancellationToken,
}

#[derive(Default)]
struct State {
    requests: Vec<Recorded>,
    schedule: Schedule,
    /// Who is told of each request with a signature.
    steps: Steps,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let done = change(&mut self.state());
        self.changes.send_replace(());
        done
    }

    fn bucket(&self) -> PathBuf {
        self.folder.path().join(BUCKET)
    }
}

/// The names that it answers to: `localhost` for paths, the other for virtual hosts.
fn names() -> Result<Vec<ServerName>> {
    let own = format!("{BUCKET}.localhost").parse().context("a server's name")?;
    Ok(ServerName::localhost().into_iter().chain([own]).collect())
}

impl S3Server {
    /// Starts one with an empty bucket.
    pub async fn start() -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("flotilla-s3-").tempdir()?;
        std::fs::create_dir(folder.path().join(BUCKET))?;
        let own = TempDir::new()?;
        let options = FleetOptions { server_names: names()?, ..FleetOptions::default() };
        credentials::fleet(own.path(), &options, Clock::system().now())?;
        let read = |name| {
            std::fs::read_to_string(own.path().join(name)).with_context(|| format!("cannot read {name}"))
        };
        let ca = read(credentials::CA_CERTIFICATE)?;
        let certificates = server::Certificates::new(&read(SERVER_CERTIFICATE)?, &read(SERVER_KEY)?)?;
        let listener = server::listen(0).await?;
        let shared = Arc::new(Shared {
            port: listener.local_addr()?.port(),
            folder,
            state: Mutex::default(),
            changes: watch::Sender::new(()),
            stop: CancellationToken::new(),
        });
        let running = Running::start(listener, &certificates, &shared)?;
        let client = objects::client(&ca)?;
        Ok(Self { shared, running: Some(running), certificates, client, ca })
    }

    /// `https://localhost:PORT/logs`, without a slash at the end.
    pub fn url(&self) -> String {
        format!("https://localhost:{}/{BUCKET}", self.shared.port)
    }

    /// `https://logs.localhost:PORT`: the same bucket.
    pub fn virtual_host_url(&self) -> String {
        format!("https://{BUCKET}.localhost:{}", self.shared.port)
    }

    /// The authority of its certificate, in PEM.
    pub fn ca(&self) -> &str {
        &self.ca
    }

    /// What a configuration says to use it, in TOML.
    pub fn config(&self) -> String {
        let text = |it: &str| serde_json::Value::from(it).to_string();
        let (url, ca, key) = (text(&self.url()), text(&self.ca), text(&format!("{ACCESS} {SECRET}")));
        format!("[logs]\ndriver = \"s3\"\n[logs.s3]\nurl = {url}\nca = {ca}\nkey = {key}\n")
    }

    /// The same for those who build their own client; quick to notice trouble.
    pub fn settings(&self) -> Result<S3Settings> {
        let limits = S3Limits { exchange: std::time::Duration::from_secs(2), ..S3Limits::default() };
        Ok(S3Settings {
            url: self.url().parse()?,
            style: None,
            region: None,
            links: None,
            key: S3Key::new(ACCESS, SECRET, None)?,
            acl: None,
            ca: Some(self.ca.clone()),
            user_agent: "flotilla-tests".to_owned(),
            scratch: self.shared.folder.path().join("scratch"),
            limits,
        })
    }

    /// A store on [`Self::settings`].
    pub fn store(&self) -> Result<S3Store> {
        Ok(S3Store::new(&self.settings()?, Clock::system())?)
    }

    /// Each request of our programs from now on is one of these steps.
    pub fn watch(&self, steps: &Steps) {
        self.shared.change(|it| it.steps = steps.clone());
    }

    /// Nobody listens any more, and connections are cut.
    pub async fn go_away(&mut self) {
        if let Some(running) = self.running.take() {
            running.stop().await;
        }
    }

    /// It listens again, at the same address and with the same objects.
    pub async fn come_back(&mut self) -> Result<()> {
        self.go_away().await;
        let listener = server::listen(self.shared.port).await?;
        self.running = Some(Running::start(listener, &self.certificates, &self.shared)?);
        Ok(())
    }
}
