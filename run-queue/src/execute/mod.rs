//! Executing: tasks are performed. One file per kind of task; the list of kinds is the `match` in [`Executor::handle`].

mod attachments;
mod command;
mod container;
mod folder;
mod job;
mod journal;
mod mailer;
mod notice;
mod outbox;
mod output;
mod process;
mod room;
mod secrets;
mod settings;
mod statistics;

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use common::broker::{ClaimKey, Outgoing};
use common::config::{Forges, Reader, Summary, logs, summarize_logs};
use common::logs::Destination;
use common::queue::Queue;
use common::task::{Job, Kind, Minutes, Task};
use common::{Chain, Clock, hostname};

use common::id::TaskId;
pub use container::{Container, Copying, Engine, EngineError, Found, Output, Owner, State};
pub use job::{ByHand, Ended, LeftJob, Verdict};
use journal::Journal;
pub use mailer::Mailer;
pub(crate) use notice::{indented, letter};
pub use outbox::{Outbox, OutboxError};
use secrets::LeftSecrets;
pub use secrets::NoPlace;
pub use settings::{
    Authors, Bounds, Capability, ContainerSettings, ExecuteArgs, ExecuteSettings, InlineSecret, MailSettings,
    MailTls, Memory, Network, RepoRule, SecretRule, SecretSettings, Server,
};
pub use statistics::StatisticsSettings;
#[cfg(test)]
use statistics::source;

use crate::handler::{Failure, Handler, Work};
use crate::scan::LiveScanSettings;

/// Performs tasks.
#[derive(Debug)]
pub struct Executor {
    /// What starts containers.
    pub container: ContainerSettings,
    /// What jobs may be given.
    pub secrets: SecretSettings,
    /// Where the allow list is, which rules about secrets ask for; none: nobody is on it.
    pub scan: Option<LiveScanSettings>,
    /// Where repositories are, and statuses go.
    pub forges: Forges,
    /// What keeps the results of merged pulls.
    pub statistics: StatisticsSettings,
    /// Who is told of commands that fail; none: the log alone.
    pub mailer: Option<Mailer>,
    /// Where logs go.
    pub logs: Destination,
    /// How often a running job's pull is looked at.
    pub poll: Duration,
    /// No job runs longer, whatever it asks for, and no program for statistics.
    pub longest: Minutes,
    /// This machine, as statuses and labels name it.
    pub host: String,
    /// What a forge has not taken in time.
    pub outbox: Outbox,
    /// How long a slot waits for a forge to take a final report.
    pub report_patience: Duration,
    /// For how long a job has run that another process began.
    pub clock: Clock,
    /// The folder for what a worker must not forget.
    pub state_dir: PathBuf,
    /// Where tasks come from: what others have left of other queues is not for this worker.
    pub queues: Vec<Queue>,
    /// What is begun here, since [`Executor::prepare`].
    journal: OnceLock<Journal>,
}

impl Handler for Executor {
    type Left = LeftJob;

    async fn handle(&self, work: Work) -> Result<Vec<Outgoing>, Failure> {
        // The outline leaves out what the payload says: it goes into the log.
        let task = Task::parse(&work.body).map_err(|it| Failure::Fail(it.outline()))?;
        if !task.kind.fits(work.queue) {
            let (kind, queue) = (task.kind.name(), work.queue);
            return Err(Failure::Fail(format!("{kind}: does not belong on the queue `{queue}`")));
        }
        // A job finds out first what makes it the same as another.
        if !matches!(task.kind, Kind::Job(_)) {
            work.claim(&ClaimKey::of_message(&work.headers.id)).await?;
        }
        match &task.kind {
            Kind::Job(job) => job::perform(job, &work, self).await?,
            Kind::Command(command) => {
                command::perform(command, &work, &self.host, self.mailer.as_ref()).await?;
            }
            Kind::Statistics(task) => statistics::perform(task, &work, self.statistics()).await?,
        }
        Ok(Vec::new())
    }

    async fn left(&self) -> Vec<LeftJob> {
        let Some(journal) = self.journal() else { return Vec::new() };
        match journal.inherit().await {
            Ok(inheritance) => job::find_left(inheritance, self, journal).await,
            Err(error) => {
                tracing::error!(error = %Chain(&error), "what workers have left cannot be looked for");
                Vec::new()
            }
        }
    }

    async fn resume(&self, work: Work, left: LeftJob) -> Result<Vec<Outgoing>, Failure> {
        job::resume(left, &work, self).await.map(|()| Vec::new())
    }

    async fn is_open(&self, left: &LeftJob) -> bool {
        job::is_open(left, self).await
    }

    async fn give_up(&self, left: LeftJob) {
        job::give_up(left, self).await;
    }

    async fn settled(&self, task: &TaskId) {
        self.forget(task).await;
    }
}

impl Executor {
    /// Reads all that performing needs beside `[execute]` and the folder for what a worker keeps; what is wrong is in the reader's
    /// problems.
    #[must_use]
    pub fn read(
        reader: &Reader,
        forges: Option<Forges>,
        settings: &ExecuteSettings,
        state_dir: &Path,
    ) -> Option<Self> {
        let container = ContainerSettings::read(reader, settings.slots);
        let secrets = SecretSettings::read(reader);
        secrets.check(reader, &container, forges.as_ref());
        let statistics = StatisticsSettings::read(reader);
        let mailer = MailSettings::read(reader).map(|it| Mailer::new(it, &hostname()));
        let logs = logs(reader);
        let ExecuteSettings { poll, longest, report_patience, .. } = *settings;
        Some(Self {
            container,
            secrets,
            scan: None,
            forges: forges?,
            statistics,
            mailer,
            logs: logs?,
            poll,
            longest,
            host: hostname(),
            outbox: Outbox::new(state_dir),
            report_patience,
            clock: Clock::system(),
            state_dir: state_dir.to_owned(),
            queues: settings.queues.clone(),
            journal: OnceLock::new(),
        })
    }

    /// To be called before the first task: checks that reports and inline secrets have a place, and removes the secrets and attachments
    /// that workers of this host left that are gone. An error is for an operator.
    pub async fn prepare(&self) -> Result<(), String> {
        let kept = self.outbox.prepare().await;
        kept.map_err(|it| format!("reports cannot be kept (worker.state-dir): {}", Chain(&it)))?;
        let journal = Journal::open(&self.state_dir, &self.host, &self.queues)
            .map_err(|it| format!("what is begun cannot be kept (worker.state-dir): {}", Chain(&it)))?;
        let secrets = secrets::abandoned(&self.secrets.places).into_iter();
        secrets.filter(|it| !journal.knows(it.task())).for_each(LeftSecrets::remove);
        attachments::remove_abandoned(&self.logs.spool);
        let _ = self.journal.set(journal);
        if self.secrets.inline.is_empty() {
            return Ok(());
        }
        secrets::place(&self.secrets.places).map(drop).map_err(|it| it.to_string())
    }

    /// Runs one job for a person and tells how it ended; an error is that it was not begun.
    pub async fn by_hand(&self, job: &Job, hand: ByHand) -> Result<Ended, Failure> {
        job::by_hand(job, hand, self).await
    }

    /// None for a person, and before [`Executor::prepare`].
    fn journal(&self) -> Option<&Journal> {
        self.journal.get()
    }

    /// Whose the containers are that are started here, as their labels say.
    fn worker(&self) -> &str {
        self.journal().map_or(&self.host, Journal::worker)
    }

    /// The forge knows how a task has ended.
    async fn told(&self, task: &TaskId) {
        if let Some(journal) = self.journal()
            && let Err(error) = journal.told(task).await
        {
            tracing::warn!(error = %Chain(&error), "that a job was told of is not written down");
        }
    }

    /// There is nothing to go on with.
    async fn forget(&self, task: &TaskId) {
        if let Some(journal) = self.journal()
            && let Err(error) = journal.remove(task).await
        {
            tracing::warn!(error = %Chain(&error), "what was begun is not forgotten");
        }
    }

    /// What was understood of it.
    pub fn summarize(&self, summary: &mut Summary) {
        self.container.summarize(summary);
        self.secrets.summarize(summary);
        self.statistics.summarize(summary);
        MailSettings::summarize(self.mailer.as_ref().map(|it| &it.settings), summary);
        self.forges.summarize(summary);
        summarize_logs(&self.logs, summary);
    }

    fn statistics(&self) -> statistics::Means<'_> {
        let (settings, forges) = (&self.statistics, &self.forges);
        statistics::Means { settings, forges, limit: self.longest.limit() }
    }
}
