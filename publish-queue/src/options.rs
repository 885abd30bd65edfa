//! What both programs are told: where the broker is, and which queue is meant.

use clap::Args;
use common::Clock;
use common::broker::Broker;
use common::config::{
    BrokerArgs, ConfigArgs, ConfigError, Environment, Reader, Source, Summary, summarize_broker,
};
use common::queue::{Queue, QueueNames};
use common::telemetry::LogArgs;

use crate::Failure;

/// The options that both programs have.
#[derive(Clone, Debug, Default, Args)]
pub struct Options {
    #[command(flatten)]
    broker: BrokerArgs,
    #[command(flatten)]
    config: ConfigArgs,
    #[command(flatten)]
    log: LogArgs,
}

impl Options {
    /// First thing in a program.
    pub fn install(&self) {
        common::crypto::install();
        self.log.install();
    }

    /// Reads the configuration; opens no socket.
    pub fn broker(&self) -> Result<Broker, ConfigError> {
        let source = Source::load(self.config.config.as_deref())?;
        let reader = Reader::new(source, Environment::read());
        match self.broker.read(&reader, Clock::system()) {
            Some(broker) => reader.finish(broker),
            None => Err(reader.into_problems()),
        }
    }

    /// Whether the configuration was all that is to be looked at; then what was understood of it is printed.
    #[must_use]
    pub fn only_check(&self, broker: &Broker) -> bool {
        if self.config.check_config {
            let mut summary = Summary::default();
            summarize_broker(broker, &mut summary);
            summary.print();
        }
        self.config.check_config
    }
}

/// The queue of a name: its name on this broker, or ours.
pub fn queue(names: &QueueNames, name: &str) -> Result<Queue, Failure> {
    names.parse(name).ok_or_else(|| Failure::UnknownQueue {
        asked: name.chars().take(100).collect(),
        known: Queue::ALL.map(|it| names.of(it).to_owned()).join(", "),
    })
}

/// Does what needs the network.
pub fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(Failure::machine("start the asynchronous runtime"))?.block_on(work)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_is_known_by_its_name_here_and_by_ours() {
        let names = QueueNames::with_internal("rhel").unwrap();
        assert_eq!(queue(&names, "rhel").unwrap(), Queue::Internal);
        assert_eq!(queue(&names, "internal").unwrap(), Queue::Internal);
        let error = queue(&names, "tasks").unwrap_err().to_string();
        assert_eq!(error, "unknown queue `tasks`: there are webhook, public, rhel, statistics, dead");
    }
}
