//! What the programs are told beside their own options.

use std::path::PathBuf;
use std::sync::Arc;

use common::Clock;
use common::broker::Broker;
use common::config::{BrokerArgs, ConfigArgs, Environment, Forges, Reader, Source};
use common::forge::Forge;
use common::id::RepoName;
use common::telemetry::LogArgs;

use super::super::{Engine, ScanArgs};
use super::{Failure, origin};

/// The options of all three programs.
#[derive(Clone, Debug, clap::Args)]
pub struct Common {
    /// The repository, OWNER/NAME [default: git config cockpit.bots.github-repo, else the remote `origin` of this checkout]
    #[arg(long, value_name = "OWNER/NAME", env = "GITHUB_BASE")]
    pub repo: Option<RepoName>,
    #[command(flatten)]
    scan: ScanArgs,
    #[command(flatten)]
    config: ConfigArgs,
    #[command(flatten)]
    log: LogArgs,
}

/// Where what was found goes.
#[derive(Clone, Debug, clap::Args)]
pub struct Output {
    /// Print a line for people for each task, instead of the task
    #[arg(short = 'v', long, visible_alias = "verbose")]
    pub human_readable: bool,
    /// Queue the tasks at this broker: HOST:PORT for TLS with a client certificate, or `localhost` for plain AMQP as guest
    #[arg(long, value_name = "HOST:PORT")]
    pub amqp: Option<String>,
    /// Folder with ca.pem, amqp-client.pem, amqp-client.key [default: `/run/secrets/webhook`, else `$XDG_RUNTIME_DIR/secrets/webhook`]
    #[arg(long, value_name = "DIR")]
    pub secrets_dir: Option<PathBuf>,
}

/// What the configuration comes to.
#[derive(Debug)]
pub struct Configured {
    /// What decides and does.
    pub engine: Engine,
    /// Where tasks are queued, if they are.
    pub broker: Option<Broker>,
}

impl Common {
    /// First thing in a program.
    pub fn install(&self) {
        common::crypto::install();
        self.log.install();
    }

    /// Reads everything and opens nothing; none where the configuration was only to be checked.
    pub fn configure(&self, output: Option<&Output>) -> Result<Option<Configured>, Failure> {
        let reader = Reader::new(Source::load(self.config.config.as_deref())?, Environment::read());
        let clock = Clock::system();
        let settings = self.scan.read(&reader);
        let forges = Forges::read(&reader);
        let queues = output.filter(|it| it.amqp.is_some());
        let broker = queues.and_then(|it| it.broker(&reader, clock));
        let (Some(forges), true) = (forges, queues.is_some() == broker.is_some()) else {
            return Err(reader.into_problems().into());
        };
        let forge = forges.default_forge().clone();
        let engine = Engine { settings: Arc::new(settings), forge, clock };
        let configured = reader.finish(Configured { engine, broker })?;
        Ok((!self.config.check_config).then_some(configured))
    }

    /// The repository: the one that was named, else that of the checkout that this runs in.
    pub fn repo(&self, forge: &Forge) -> Result<RepoName, Failure> {
        self.repo.clone().map_or_else(|| origin::repo(forge), Ok)
    }
}

impl Output {
    fn broker(&self, reader: &Reader, clock: Clock) -> Option<Broker> {
        BrokerArgs { amqp: self.amqp.clone(), secrets_dir: self.secrets_dir.clone() }.read(reader, clock)
    }
}
