//! How tasks are performed: `[execute]` here, `[container]` and `[secrets]` in files of their own.

mod allow;
mod bounds;
mod container;
mod dangers;
mod mail;
mod secrets;

use std::time::Duration;

use common::config::{Reader, Summary, Table, listed};
use common::queue::{Queue, QueueNames};
use common::task::Minutes;

use crate::claims::Times;

pub use allow::{Authors, RepoRule, SecretRule};
pub use bounds::{Bounds, Capability, Memory, Network};
pub use container::ContainerSettings;
pub use mail::{MailSettings, MailTls, Server};
pub use secrets::{InlineSecret, SecretSettings};

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
    /// No job runs longer, whatever it asks for; 0 is no limit.
    pub longest: Minutes,
    /// What keeps two workers from the same work while the broker is away.
    pub times: Times,
    /// How long a slot waits for a forge to take a final report.
    pub report_patience: Duration,
}

/// Existing deployments tell the broker to take a task away that is not acknowledged within 150 minutes.
const LONGEST: Minutes = Minutes(145);

/// Then the report is kept on the disk, and the slot takes other work.
const REPORT_PATIENCE: Duration = Duration::from_hours(1);

impl ExecuteArgs {
    /// Reads `[execute]`; the options win.
    #[must_use]
    pub fn read(&self, reader: &Reader, names: &QueueNames) -> ExecuteSettings {
        let table = reader.table("execute");
        let configured = table.words("queues").unwrap_or_default();
        let (key, asked) =
            if self.queues.is_empty() { ("execute.queues", &configured) } else { ("--queue", &self.queues) };
        let slots = self.slots.map(u64::from).or(table.number("slots", 1, 256));
        let settings = ExecuteSettings {
            queues: queues(reader, key, asked, names),
            slots: slots.and_then(|it| usize::try_from(it).ok()).unwrap_or(1),
            poll: poll(&table),
            longest: longest(&table).unwrap_or(LONGEST),
            times: times(&table),
            report_patience: table
                .seconds("report-patience-seconds", 0.1, 86_400.0)
                .unwrap_or(REPORT_PATIENCE),
        };
        table.done();
        settings
    }
}

impl ExecuteSettings {
    /// For a job that is run by hand: how it runs. Where jobs come from is a worker's matter, and there is no broker that would
    /// take one away, so it may run for as long as it asks for, unless the configuration says otherwise.
    #[must_use]
    pub fn by_hand(reader: &Reader) -> Self {
        let table = reader.table("execute");
        Self {
            queues: Vec::new(),
            slots: 1,
            poll: poll(&table),
            longest: longest(&table).unwrap_or(Minutes(0)),
            times: Times::default(),
            report_patience: REPORT_PATIENCE,
        }
    }
}

fn poll(table: &Table<'_>) -> Duration {
    table.seconds("poll-seconds", 0.1, 3600.0).unwrap_or(Duration::from_mins(1))
}

fn longest(table: &Table<'_>) -> Option<Minutes> {
    table.number("longest-minutes", 1, 60 * 24 * 30).and_then(|it| u32::try_from(it).ok()).map(Minutes)
}

fn times(table: &Table<'_>) -> Times {
    let default = Times::default();
    let times = Times {
        fence: table.seconds("fence-seconds", 1.0, 3600.0).unwrap_or(default.fence),
        takeover: table.seconds("takeover-seconds", 1.0, 3600.0).unwrap_or(default.takeover),
    };
    if !times.are_safe() {
        let least = (times.fence + Times::MARGIN).as_secs_f64();
        table.problem(
            "takeover-seconds",
            format!(
                "expected at least {least}, 3 more than `fence-seconds`, or two workers may run the same work"
            ),
        );
    }
    times
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
        summary.line("fence-seconds", self.times.fence.as_secs_f64());
        summary.line("takeover-seconds", self.times.takeover.as_secs_f64());
        summary.line("report-patience-seconds", self.report_patience.as_secs_f64());
    }
}
