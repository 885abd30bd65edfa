//! `[container]`: what starts containers, and how.

use std::collections::BTreeMap;

use common::config::{Reader, Summary, Table, count, listed};
use common::id::{ImageRef, SecretName};

use super::super::Engine;
use super::bounds::Bounds;
use super::dangers::dangers;

/// What starts containers.
#[derive(Clone, Debug)]
pub struct ContainerSettings {
    /// The engine.
    pub engine: Engine,
    /// What a container may, unless `run_args` say otherwise.
    pub bounds: Bounds,
    /// Words added to every `run`.
    pub run_args: Vec<String>,
    /// The image of last resort.
    pub default_image: Option<ImageRef>,
    /// Words added to `run` for a job that names the secret; `%{x}` in a word is the path of secret `x`.
    pub secrets: BTreeMap<SecretName, Vec<String>>,
}

impl ContainerSettings {
    /// What was understood of `[container]`; of words that may carry secrets, how many there are.
    pub fn summarize(&self, summary: &mut Summary) {
        summary.table("container");
        summary.line("command", &self.engine);
        summary.line("run-args", count(self.run_args.len(), "word", "words"));
        for danger in dangers(&self.run_args) {
            summary.part("warning", danger);
        }
        let image = self.default_image.as_ref().map_or("-", ImageRef::as_str);
        summary.line("default-image", image);
        self.bounds.summarize(summary);
        summary.line("secrets", listed(self.secrets.keys()));
    }

    /// Reads `[container]`, for so many containers at once.
    #[must_use]
    pub fn read(reader: &Reader, slots: usize) -> Self {
        let table = reader.table("container");
        let command = table.words("command").unwrap_or_else(|| vec!["podman".to_owned()]);
        let engine = Engine::new(command);
        if engine.is_none() {
            table.problem("command", "expected at least one word, such as [\"podman\"]");
        }
        let settings = Self {
            engine: engine.unwrap_or_default(),
            bounds: Bounds::read(&table, slots),
            run_args: table.words("run-args").unwrap_or_default(),
            default_image: table.parse("default-image"),
            secrets: secret_words(&table.table("secrets")),
        };
        table.done();
        settings
    }

    /// Tells the log what of `container.run-args` opens the host to jobs.
    pub fn warn(&self) {
        for danger in dangers(&self.run_args) {
            tracing::warn!("container.run-args: {danger}");
        }
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
