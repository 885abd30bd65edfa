//! `issue-scan`: what check lists ask for.

use std::path::PathBuf;

use common::event::Repository;
use common::forge::{Forge, Item};
use common::id::RepoName;
use serde::Deserialize;

use super::super::issue::{LABEL, find};
use super::sink::Sink;
use super::{Common, Configured, Failure, Output};

/// Looks at issues and pull requests with the label `bot` for check lists whose first open item is one of the configuration, such
/// as `* [ ] image-refresh IMAGE`.
///
/// Without an event, all open issues and pull requests of the repository are looked at. Without --amqp the tasks are printed,
/// one a line, as they would be queued.
#[derive(Debug, clap::Parser)]
#[command(name = "issue-scan", version, after_help = super::EXIT_CODES)]
pub struct IssueScan {
    /// The issue or pull request of this `issues` or `pull_request` event, as it is told there
    #[arg(long, value_name = "JSON", conflicts_with = "event_data_file")]
    pub issues_data: Option<String>,
    /// The same from a file, such as the one that a workflow of GitHub's has
    #[arg(long, value_name = "FILE")]
    pub event_data_file: Option<PathBuf>,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    common: Common,
}

impl IssueScan {
    /// First thing in the program.
    pub fn install(&self) {
        self.common.install();
    }

    /// All of it.
    pub async fn run(&self) -> Result<(), Failure> {
        let Some(Configured { engine, broker }) = self.common.configure(Some(&self.output))? else {
            return Ok(());
        };
        let told = self.told()?;
        let mut sink = match &broker {
            Some(broker) => Sink::queue(broker, "issue-scan").await?,
            None if self.output.human_readable => Sink::Lines,
            None => Sink::Entries,
        };
        let (repo, items) = self.items(&engine.forge, told).await?;
        for item in &items {
            let found = find(&engine, &repo, item).await?;
            sink.take(found.into_iter().collect()).await?;
        }
        sink.end().await
    }

    async fn items(&self, forge: &Forge, told: Option<Told>) -> Result<(RepoName, Vec<Item>), Failure> {
        if let Some(Told { repository, issue, pull_request }) = told {
            return Ok((repository.full_name, issue.or(pull_request).into_iter().collect()));
        }
        let repo = self.common.repo(forge)?;
        let items = forge.open_items(&repo, LABEL).await?;
        Ok((repo, items))
    }

    fn told(&self) -> Result<Option<Told>, Failure> {
        if let Some(file) = &self.event_data_file {
            let text = std::fs::read_to_string(file)
                .map_err(|it| Failure::Usage(format!("--event-data-file: {}: {it}", file.display())))?;
            return Told::parse("--event-data-file", &text).map(Some);
        }
        self.issues_data.as_deref().map(|it| Told::parse("--issues-data", it)).transpose()
    }
}

/// What an event says.
#[derive(Debug, Deserialize)]
struct Told {
    repository: Repository,
    issue: Option<Item>,
    pull_request: Option<Item>,
}

impl Told {
    fn parse(option: &str, text: &str) -> Result<Self, Failure> {
        let json = &mut serde_json::Deserializer::from_str(text);
        let told: Self = serde_path_to_error::deserialize(json).map_err(|it| {
            Failure::Usage(format!("{option}: expected an `issues` or `pull_request` event: {it}"))
        })?;
        if told.issue.is_none() && told.pull_request.is_none() {
            let text =
                "expected an `issues` or `pull_request` event: missing field `issue` or `pull_request`";
            return Err(Failure::Usage(format!("{option}: {text}")));
        }
        Ok(told)
    }
}
