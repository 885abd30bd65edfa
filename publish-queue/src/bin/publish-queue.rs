//! Puts a message into a queue: see `publish-queue --help`.

use std::io::{IsTerminal, stdin};
use std::process::ExitCode;

use clap::Parser;
use common::broker::{Broker, Headers, Outgoing};
use common::id::TaskId;
use common::queue::{Priority, Queue};
use publish_queue::body;
use publish_queue::dead::{Order, Which, tend};
use publish_queue::failure::{EXIT_CODES, Failure, end};
use publish_queue::options::{self, Options};
use publish_queue::publish::{Missing, PROGRAM, publish};

/// Puts the message on the standard input into a queue, before those that wait there already.
///
/// White space at both ends of the message is removed. Success means that the broker has stored it; its id is in the log.
///
/// Or puts messages of the queue `dead` back to where they came from, or drops one; `inspect-queue --queue dead` shows them.
#[derive(Debug, Parser)]
#[command(name = PROGRAM, version, after_help = EXIT_CODES)]
struct Cli {
    /// The queue: its name on this broker, or webhook, public, internal, statistics, dead
    #[arg(short, long, value_name = "NAME", required_unless_present_any = ["check_config", "from_dead", "drop_dead"])]
    queue: Option<String>,
    /// Make the queue if it does not exist
    #[arg(long)]
    create: bool,
    /// Publish whatever it is, without a look at whether anybody could make sense of it
    #[arg(long)]
    raw: bool,
    /// Put the message of this id in `dead`, or all, back into the queue it came from (--queue says which where it does not), as its
    /// first attempt
    #[arg(long, value_name = "ID|all", conflicts_with_all = ["create", "raw", "drop_dead"])]
    from_dead: Option<String>,
    /// Delete the message of this id in `dead`
    #[arg(long, value_name = "ID", conflicts_with_all = ["create", "raw", "queue"])]
    drop_dead: Option<String>,
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
    let order = order(cli, queue)?;
    match (order, queue) {
        _ if cli.options.only_check(&broker) => Ok(()),
        (Some(order), _) => {
            let done = options::block_on(tend(&broker, &order))?;
            tracing::info!(put_back = done.returned, dropped = done.dropped, left = done.stayed, "done");
            Ok(())
        }
        (None, Some(queue)) => send(cli, &broker, queue),
        (None, None) => Ok(()),
    }
}

/// What is to become of messages in `dead`, if this is about them.
fn order(cli: &Cli, queue: Option<Queue>) -> Result<Option<Order>, Failure> {
    if let Some(id) = &cli.drop_dead {
        return TaskId::new(id).map(|id| Some(Order::Drop(id))).map_err(|_| Failure::NotDead(id.clone()));
    }
    match &cli.from_dead {
        Some(_) if queue == Some(Queue::Dead) => Err(Failure::BackToDead),
        Some(which) => Ok(Some(Order::Return(Which::from(which.as_str()), queue))),
        None => Ok(None),
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
