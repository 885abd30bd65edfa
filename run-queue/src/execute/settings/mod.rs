//! How tasks are performed: `[execute]` here, `[container]` and `[secrets]` in files of their own.

mod bounds;
mod container;
mod dangers;
mod secrets;

use std::time::Duration;

use common::config::{Reader, Summary, listed};
use common::queue::{Queue, QueueNames};
use common::task::Minutes;

pub use bounds::{Bounds, Capability, Memory, Network};
pub use container::ContainerSettings;
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
    /// No job runs longer, whatever it asks for.
    pub longest: Minutes,
}

/// Existing deployments tell the broker to take a task away that is not acknowledged within 150 minutes.
const LONGEST: Minutes = Minutes(145);

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
