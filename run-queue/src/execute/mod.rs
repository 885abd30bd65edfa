//! Executing: tasks are performed. One file per kind of task; the list of kinds is the `match` in [`Executor::handle`].

mod attachments;
mod command;
mod container;
mod job;
mod secrets;
mod settings;

use std::time::Duration;

use common::broker::Outgoing;
use common::config::Forges;
use common::logs::Destination;
use common::task::{Kind, Minutes, Task};

pub use container::Engine;
pub use job::Verdict;
pub use settings::{ContainerSettings, ExecuteArgs, ExecuteSettings, InlineSecret, SecretSettings};

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
    /// Where logs go.
    pub logs: Destination,
    /// How often a running job's pull is looked at.
    pub poll: Duration,
    /// No job runs longer, whatever it asks for.
    pub longest: Minutes,
    /// This machine, as statuses and labels name it.
    pub host: String,
}

impl Handler for Executor {
    async fn handle(&self, work: Work) -> Result<Vec<Outgoing>, Failure> {
        // The outline leaves out what the payload says: it goes into the log.
        let task = Task::parse(&work.body).map_err(|it| Failure::Fail(it.outline()))?;
        match &task.kind {
            Kind::Job(job) => job::perform(job, &work, self).await?,
            Kind::Command(command) => command::perform(command, &work).await?,
            Kind::Statistics(_) => return Err(Failure::Retry("not performed yet".to_owned())),
        }
        Ok(Vec::new())
    }
}
