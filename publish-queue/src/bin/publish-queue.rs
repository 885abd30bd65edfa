//! Puts a message into a queue: see `publish-queue --help`.

use std::io::{IsTerminal, stdin};
use std::process::ExitCode;

use clap::Parser;
use common::broker::{Broker, Headers, Outgoing};
use common::queue::{Priority, Queue};
use publish_queue::body;
use publish_queue::failure::{EXIT_CODES, Failure, end};
use publish_queue::options::{self, Options};
use publish_queue::publish::{Missing, PROGRAM, publish};

/// Puts the message on the standard input into a queue, before those that wait there already.
///
/// White space at both ends of the message is removed. Success means that the broker has stored it; its id is in the log.
#[derive(Debug, Parser)]
#[command(name = PROGRAM, version, after_help = EXIT_CODES)]
struct Cli {
    /// The queue: its name on this broker, or webhook, public, internal, statistics, dead
    #[arg(short, long, value_name = "NAME", required_unless_present = "check_config")]
    queue: Option<String>,
    /// Make the queue if it does not exist
    #[arg(long)]
    create: bool,
    /// Publish whatever it is, without a look at whether anybody could make sense of it
    #[arg(long)]
    raw: bool,
    #[command(flatten)]
    options: Options,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    cli.options.install();
    end(PROGRAM, run(&cli))
}

fn run(cli: &Cli) -> Result<(), Failure> {
    let broker = cli.options.broker()?;
    let queue = cli.queue.as_deref().map(|it| options::queue(&broker.queues, it)).transpose()?;
    match queue {
        _ if cli.options.only_check(&broker) => Ok(()),
        Some(queue) => send(cli, &broker, queue),
        None => Ok(()),
    }
}

fn send(cli: &Cli, broker: &Broker, queue: Queue) -> Result<(), Failure> {
    if stdin().is_terminal() {
        tracing::info!("reading the message; Ctrl-D ends it");
    }
    let body = body::read(stdin().lock())?;
    if !cli.raw {
        body::check(&body, queue)?;
    }
    let message = Outgoing { queue, body, priority: Some(Priority::HIGH), headers: Headers::fresh() };
    let missing = if cli.create { Missing::Create } else { Missing::Refuse };
    options::block_on(publish(broker, &message, missing))?;
    tracing::info!(message.id = %message.headers.id, queue.name = broker.queues.of(queue), "published");
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
