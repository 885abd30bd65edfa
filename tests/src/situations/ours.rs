//! Playing a situation with our programs, and the stage that both generations play on.

use std::fs;
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, Result, bail, ensure};
use lapin::options::{BasicAckOptions, BasicGetOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use tempfile::TempDir;
use tokio::process::Command;

use super::observe::{Message, Observed, printed, timeless};
use super::tap::Tap;
use super::{AMQP, Situation, generate};
use crate::broker::{Broker, Identity, VirtualHost};
use crate::fleet::{DEADLINE, binary};
use crate::forge::{Access, FakeForge};
use crate::openapi::Description;
use crate::secrets;

/// The internal queue's name in deployments that exist.
const INTERNAL: &str = "rhel";
const PUBLIC: &str = "public";

/// What is source code in the old programs.
const SCAN: &str = "[scan]\ntest-map = \"test-map.json\"\nallow-list = \"allow-list\"\n\
    [scan.extra-secrets]\n\"rhinstaller/anaconda-webui\" = [\"fedora-wiki\", \"fedora-wiki-staging\"]\n";

/// The forge of a situation, and a folder to be in: for `-`, a git repository whose branch tracks [`generate::UPSTREAM`].
pub struct Stage {
    /// What programs take for the forge.
    pub tap: Tap,
    forge: FakeForge,
    folder: TempDir,
    variables: Vec<(String, String)>,
}

impl Stage {
    /// Makes it.
    pub async fn set(situation: &Situation) -> Result<Self> {
        let forge = FakeForge::start(Access::Token(secrets::FORGE_TOKEN.to_owned())).await?;
        situation.forge.build(&forge).await?;
        let tap = Tap::start(forge.url(), &situation.refused).await?;
        let folder = tempfile::Builder::new().prefix("flotilla-situation-").tempdir()?;
        fs::write(folder.path().join("token"), secrets::FORGE_TOKEN)?;
        let checkout = folder.path().join("checkout");
        fs::create_dir(&checkout)?;
        if situation.arguments.iter().any(|it| it == "-") {
            track(&checkout).await?;
        }
        let variables = situation.environment.clone().into_iter().collect();
        Ok(Self { tap, forge, folder, variables })
    }

    /// Where a program is started.
    pub fn folder(&self) -> std::path::PathBuf {
        self.folder.path().join("checkout")
    }

    /// What a program of either generation finds in its environment.
    pub fn environment(&self) -> Vec<(String, String)> {
        let path = |name: &str| self.folder.path().join(name).display().to_string();
        let own = [
            ("GITHUB_API", self.tap.url().to_owned()),
            ("COCKPIT_GITHUB_TOKEN_FILE", path("token")),
            ("XDG_CACHE_HOME", path("cache")),
            ("XDG_CONFIG_HOME", path("config")),
            ("GIT_CONFIG_GLOBAL", "/dev/null".to_owned()),
        ];
        own.into_iter().map(|(name, value)| (name.to_owned(), value)).chain(self.variables.clone()).collect()
    }

    /// A text without what is different each time.
    pub fn without_addresses(&self, text: &str) -> String {
        let folder = self.folder.path().display().to_string();
        text.replace(self.tap.url(), "FORGE").replace(self.forge.url(), "FORGE").replace(&folder, "FOLDER")
    }

    /// Fails if the forge was asked for something that it does not model.
    pub async fn strike(self) -> Result<()> {
        drop(self.tap);
        self.forge.finish().await
    }
}

/// A repository on a branch that tracks one of a remote's.
async fn track(folder: &Path) -> Result<()> {
    const COMMANDS: &str = "set -e\n\
        git init --quiet --initial-branch=work .\n\
        commit=$(git commit-tree -m upstream \"$(git hash-object -t tree -w /dev/null)\")\n\
        git update-ref refs/remotes/origin/topic \"$commit\"\n\
        git update-ref refs/heads/work \"$commit\"\n\
        git config remote.origin.url https://github.com/cockpit-project/cockpit\n\
        git config remote.origin.fetch '+refs/heads/*:refs/remotes/origin/*'\n\
        git config branch.work.remote origin\n\
        git config branch.work.merge refs/heads/topic\n\
        echo \"$commit\"\n";
    let mut command = Command::new("sh");
    command.args(["-c", COMMANDS]).current_dir(folder).env("GIT_CONFIG_GLOBAL", "/dev/null");
    for role in ["AUTHOR", "COMMITTER"] {
        command
            .env(format!("GIT_{role}_NAME"), "somebody")
            .env(format!("GIT_{role}_EMAIL"), "somebody@example.com")
            .env(format!("GIT_{role}_DATE"), "2026-01-02T03:04:05Z");
    }
    let output = command.output().await.context("git")?;
    let made = String::from_utf8_lossy(&output.stdout);
    ensure!(
        made.trim() == generate::UPSTREAM,
        "git made {made}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

/// Our programs, with a virtual host of their own.
pub struct OurPrograms {
    broker: Broker,
    _vhost: VirtualHost,
    _connection: lapin::Connection,
    channel: lapin::Channel,
    config: TempDir,
    description: Description,
}

impl OurPrograms {
    /// Writes their configuration: the same map and the same list as the old ones have.
    pub async fn prepare() -> Result<Self> {
        let broker = Broker::open().await?;
        let vhost = broker.vhost(&format!("situations-{}", uuid::Uuid::now_v7().simple())).await?;
        let config = tempfile::Builder::new().prefix("flotilla-situations-").tempdir()?;
        let text = |it: &str| serde_json::Value::from(it).to_string();
        let folder = config.path();
        fs::write(folder.join("test-map.json"), generate::test_map().to_string())?;
        fs::write(folder.join("allow-list"), generate::ALLOWED.join("\n"))?;
        let broker_table = format!(
            "[broker]\nvhost = {}\nsecrets-dir = {}\ninternal-queue = {}\n",
            text(vhost.name()),
            text(&broker.secrets_dir().display().to_string()),
            text(INTERNAL),
        );
        fs::write(folder.join("flotilla.toml"), format!("{broker_table}\n{SCAN}"))?;
        let connection = broker.connect(vhost.name(), Identity::Client).await?;
        let channel = connection.create_channel().await?;
        for queue in [PUBLIC, INTERNAL] {
            let mut arguments = FieldTable::default();
            arguments.insert("x-max-priority".into(), AMQPValue::LongInt(9));
            let durable = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
            channel.queue_declare(queue.into(), durable, arguments).await?;
        }
        Ok(Self {
            broker,
            _vhost: vhost,
            _connection: connection,
            channel,
            config,
            description: Description::load()?,
        })
    }

    /// Plays a situation. What it asks of the forge, and what the stand-in answers, has to be as the published description says.
    pub async fn play(&self, situation: &Situation) -> Result<Observed> {
        let stage = Stage::set(situation).await?;
        let arguments = situation.arguments.iter().map(|it| it.replace(AMQP, self.broker.address()));
        let child = Command::new(binary(situation.program.name())?)
            .args(arguments)
            .env("FLOTILLA_CONFIG", self.config.path().join("flotilla.toml"))
            .envs(stage.environment())
            .current_dir(stage.folder())
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output();
        let output = tokio::time::timeout(DEADLINE, child).await.context("no end")??;
        let text = |it: &[u8]| String::from_utf8_lossy(it).into_owned();
        let Some(exit) = output.status.code() else { bail!("{}", output.status) };
        let observed = Observed {
            exit,
            crash: None,
            out: printed(&text(&output.stdout)),
            err: text(&output.stderr).lines().map(|it| stage.without_addresses(it)).collect(),
            messages: self.take_messages(situation).await?,
            ..Observed::default()
        };
        let exchanges = stage.tap.exchanges();
        let complaints: Vec<_> = exchanges.iter().flat_map(|it| self.description.complaints(it)).collect();
        ensure!(complaints.is_empty(), "not as the API is described:\n{}", complaints.join("\n"));
        let observed = observed.with_exchanges(exchanges);
        stage.strike().await?;
        Ok(observed)
    }

    /// What is in the queues, which then are empty. In the order in which it was published, as far as one queue goes.
    async fn take_messages(&self, situation: &Situation) -> Result<Vec<Message>> {
        if !situation.arguments.iter().any(|it| it == AMQP) {
            return Ok(Vec::new());
        }
        let mut messages = Vec::new();
        for queue in [PUBLIC, INTERNAL] {
            while let Some(got) = self.channel.basic_get(queue.into(), BasicGetOptions::default()).await? {
                got.delivery.ack(BasicAckOptions::default()).await?;
                let body = timeless(serde_json::from_slice(&got.delivery.data)?);
                let priority = *got.delivery.properties.priority();
                messages.push(Message { queue: queue.to_owned(), priority, body });
            }
        }
        Ok(messages)
    }
}
