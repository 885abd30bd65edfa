//! Executing: tasks are performed. One file per kind of task; the list of kinds is the `match` in [`Executor::handle`].

mod attachments;
mod command;
mod container;
mod job;
mod process;
mod secrets;
mod settings;
mod statistics;

use std::time::Duration;

use common::broker::Outgoing;
use common::config::{Forges, Reader, Summary, logs, summarize_logs};
use common::hostname;
use common::logs::Destination;
use common::task::{Kind, Minutes, Task};

pub use container::{Container, Copying, Engine, EngineError, Found, Output, Owner, State};
pub use job::{Running, Verdict};
pub use settings::{
    Bounds, Capability, ContainerSettings, ExecuteArgs, ExecuteSettings, InlineSecret, Memory, Network,
    SecretSettings,
};
pub use statistics::StatisticsSettings;

use crate::handler::{Failure, Handler, Work};

/// Performs tasks.
#[derive(Debug)]
pub struct Executor {
    /// What starts containers.
    pub container: ContainerSettings,
    /// What jobs may be given.
    pub secrets: SecretSettings,
    /// Where repositories are, and statuses go.
    pub forges: Forges,
    /// What keeps the results of merged pulls.
    pub statistics: StatisticsSettings,
    /// Where logs go.
    pub logs: Destination,
    /// How often a running job's pull is looked at.
    pub poll: Duration,
    /// No job runs longer, whatever it asks for, and no program for statistics.
    pub longest: Minutes,
    /// This machine, as statuses and labels name it.
    pub host: String,
    /// What is being done in this process.
    pub running: Running,
}

impl Handler for Executor {
    async fn handle(&self, work: Work) -> Result<Vec<Outgoing>, Failure> {
        // The outline leaves out what the payload says: it goes into the log.
        let task = Task::parse(&work.body).map_err(|it| Failure::Fail(it.outline()))?;
        if !task.kind.fits(work.queue) {
            let (kind, queue) = (task.kind.name(), work.queue);
            return Err(Failure::Fail(format!("{kind}: does not belong on the queue `{queue}`")));
        }
        match &task.kind {
            Kind::Job(job) => job::perform(job, &work, self).await?,
            Kind::Command(command) => command::perform(command, &work).await?,
            Kind::Statistics(task) => statistics::perform(task, &work, self.statistics()).await?,
        }
        Ok(Vec::new())
    }
}

impl Executor {
    /// Reads all that performing needs beside `[execute]`; what is wrong is in the reader's problems.
    #[must_use]
    pub fn read(reader: &Reader, forges: Option<Forges>, settings: &ExecuteSettings) -> Option<Self> {
        let container = ContainerSettings::read(reader, settings.slots);
        let secrets = SecretSettings::read(reader);
        let statistics = StatisticsSettings::read(reader);
        let logs = logs(reader);
        let ExecuteSettings { poll, longest, .. } = *settings;
        Some(Self {
            container,
            secrets,
            forges: forges?,
            statistics,
            logs: logs?,
            poll,
            longest,
            host: hostname(),
            running: Running::default(),
        })
    }

    /// What was understood of it.
    pub fn summarize(&self, summary: &mut Summary) {
        self.container.summarize(summary);
        self.secrets.summarize(summary);
        self.statistics.summarize(summary);
        self.forges.summarize(summary);
        summarize_logs(&self.logs, summary);
    }

    fn statistics(&self) -> statistics::Means<'_> {
        let (settings, forges) = (&self.statistics, &self.forges);
        statistics::Means { settings, forges, limit: self.longest.limit() }
    }
}
