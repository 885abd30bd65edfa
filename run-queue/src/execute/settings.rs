//! `[execute]`, `[container]` and `[secrets]`: how tasks are performed.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use common::config::{Reader, Summary, Table, count, listed};
use common::id::{ImageRef, SecretName};
use common::queue::{Queue, QueueNames};
use common::task::Minutes;
use secrecy::SecretString;

use super::Engine;

/// The executor's own options.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct ExecuteArgs {
    /// Queues to take tasks from; several share the slots fairly [default: public, and statistics where `$RUN_STATISTICS_QUEUE` is set]
    #[arg(long = "queue", short = 'q', value_name = "NAME", num_args = 1..)]
    pub queues: Vec<String>,
    /// How many tasks run at once [default: 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub slots: Option<u16>,
}

/// How tasks are performed.
#[derive(Clone, Debug)]
pub struct ExecuteSettings {
    /// Where tasks come from.
    pub queues: Vec<Queue>,
    /// How many run at once.
    pub slots: usize,
    /// How often a running job's pull is looked at.
    pub poll: Duration,
    /// No job runs longer, whatever it asks for.
    pub longest: Minutes,
}

/// Existing deployments tell the broker to take a task away that is not acknowledged within 150 minutes.
const LONGEST: Minutes = Minutes(145);

/// What starts containers.
#[derive(Clone, Debug)]
pub struct ContainerSettings {
    /// The engine.
    pub engine: Engine,
    /// Words added to every `run`.
    pub run_args: Vec<String>,
    /// The image of last resort.
    pub default_image: Option<ImageRef>,
    /// Words added to `run` for a job that names the secret; `%{x}` in a word is the path of secret `x`.
    pub secrets: BTreeMap<SecretName, Vec<String>>,
}

/// What jobs may be given.
#[derive(Clone, Debug, Default)]
pub struct SecretSettings {
    /// Secrets that are files or folders already.
    pub external: BTreeMap<SecretName, PathBuf>,
    /// Secrets that become files for a run.
    pub inline: BTreeMap<SecretName, InlineSecret>,
}

/// A secret of the configuration file.
#[derive(Clone)]
pub enum InlineSecret {
    /// A file.
    Text(SecretString),
    /// A folder of them.
    Folder(BTreeMap<String, InlineSecret>),
}

impl fmt::Debug for InlineSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InlineSecret(…)")
    }
}

impl ExecuteArgs {
    /// Reads `[execute]`; the options win.
    #[must_use]
    pub fn read(&self, reader: &Reader, names: &QueueNames) -> ExecuteSettings {
        let table = reader.table("execute");
        let configured = table.words("queues").unwrap_or_default();
        let (key, asked) =
            if self.queues.is_empty() { ("execute.queues", &configured) } else { ("--queue", &self.queues) };
        let slots = self.slots.map(u64::from).or(table.number("slots", 1, 256));
        let longest = table.number("longest-minutes", 1, 60 * 24 * 30).and_then(|it| u32::try_from(it).ok());
        let settings = ExecuteSettings {
            queues: queues(reader, key, asked, names),
            slots: slots.and_then(|it| usize::try_from(it).ok()).unwrap_or(1),
            poll: table.seconds("poll-seconds", 0.1, 3600.0).unwrap_or(Duration::from_mins(1)),
            longest: longest.map_or(LONGEST, Minutes),
        };
        table.done();
        settings
    }
}

fn queues(reader: &Reader, key: &str, asked: &[String], names: &QueueNames) -> Vec<Queue> {
    if asked.is_empty() {
        let statistics = reader.environment.run_statistics_queue.then_some(Queue::Statistics);
        return statistics.into_iter().chain([Queue::Public]).collect();
    }
    let mut queues = Vec::new();
    for name in asked {
        match names.parse(name) {
            Some(queue @ (Queue::Public | Queue::Internal | Queue::Statistics))
                if !queues.contains(&queue) =>
            {
                queues.push(queue);
            }
            Some(Queue::Public | Queue::Internal | Queue::Statistics) => {}
            Some(Queue::Webhook | Queue::Dead) | None => {
                let known =
                    [Queue::Public, Queue::Internal, Queue::Statistics].map(|it| names.of(it)).join(", ");
                reader.problem(key, format!("expected queues of tasks ({known}), found {name:?}"));
            }
        }
    }
    queues
}

impl ExecuteSettings {
    /// What was understood of `[execute]`.
    pub fn summarize(&self, names: &QueueNames, summary: &mut Summary) {
        summary.table("execute");
        summary.line("queues", listed(self.queues.iter().map(|it| names.of(*it))));
        summary.line("slots", self.slots);
        summary.line("poll-seconds", self.poll.as_secs_f64());
        summary.line("longest-minutes", self.longest.0);
    }
}

impl ContainerSettings {
    /// What was understood of `[container]`; of words that may carry secrets, how many there are.
    pub fn summarize(&self, summary: &mut Summary) {
        summary.table("container");
        summary.line("command", &self.engine);
        summary.line("run-args", count(self.run_args.len(), "word", "words"));
        let image = self.default_image.as_ref().map_or("-", ImageRef::as_str);
        summary.line("default-image", image);
        summary.line("secrets", listed(self.secrets.keys()));
    }

    /// Reads `[container]`.
    #[must_use]
    pub fn read(reader: &Reader) -> Self {
        let table = reader.table("container");
        let command = table.words("command").unwrap_or_else(|| vec!["podman".to_owned()]);
        let engine = Engine::new(command);
        if engine.is_none() {
            table.problem("command", "expected at least one word, such as [\"podman\"]");
        }
        let settings = Self {
            engine: engine.unwrap_or_default(),
            run_args: table.words("run-args").unwrap_or_default(),
            default_image: table.parse("default-image"),
            secrets: secret_words(&table.table("secrets")),
        };
        table.done();
        settings
    }
}

fn secret_words(table: &Table<'_>) -> BTreeMap<SecretName, Vec<String>> {
    let mut secrets = BTreeMap::new();
    for name in table.names() {
        match (SecretName::new(name), table.words(name)) {
            (Ok(secret), Some(words)) => {
                secrets.insert(secret, words);
            }
            (Err(error), _) => table.problem(name, error.to_string()),
            (Ok(_), None) => {}
        }
    }
    secrets
}

impl SecretSettings {
    /// The names that `[secrets]` has.
    pub fn summarize(&self, summary: &mut Summary) {
        summary.table("secrets");
        summary.line("external", listed(self.external.keys()));
        summary.line("inline", listed(self.inline.keys()));
    }

    /// Reads `[secrets]`.
    #[must_use]
    pub fn read(reader: &Reader) -> Self {
        let table = reader.table("secrets");
        let (external, inline) = (table.table("external"), table.table("inline"));
        let mut settings = Self::default();
        for name in external.names() {
            if let (Some(secret), Some(path)) = (secret_name(&external, name), external.path(name)) {
                settings.external.insert(secret, path);
            }
        }
        for name in inline.names() {
            let Some(secret) = secret_name(&inline, name) else { continue };
            if settings.external.contains_key(&secret) {
                inline.problem(name, "is in secrets.external as well; one of them must go");
            }
            if let Some(value) = inline_secret(&inline, name) {
                settings.inline.insert(secret, value);
            }
        }
        table.done();
        settings
    }
}

fn secret_name(table: &Table<'_>, name: &str) -> Option<SecretName> {
    SecretName::new(name).inspect_err(|it| table.problem(name, it.to_string())).ok()
}

fn inline_secret(table: &Table<'_>, name: &str) -> Option<InlineSecret> {
    if table.value(name)?.as_table().is_some() {
        return inline_folder(&table.table(name));
    }
    table.text(name).map(|it| InlineSecret::Text(it.into()))
}

fn inline_folder(folder: &Table<'_>) -> Option<InlineSecret> {
    let mut inside = BTreeMap::new();
    for file in folder.names() {
        if SecretName::new(file.trim_start_matches('.')).is_err() {
            folder.problem(file, "expected a file name of letters, digits, `-`, `_` and `.`");
            return None;
        }
        inside.insert(file.clone(), inline_secret(folder, file)?);
    }
    Some(InlineSecret::Folder(inside))
}
