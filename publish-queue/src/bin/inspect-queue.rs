//! Shows what is in the queues: see `inspect-queue --help`.

use std::io::{self, BufWriter, ErrorKind, Seek, Write};
use std::process::ExitCode;

use clap::Parser;
use common::broker::Broker;
use common::broker::listing::Show;
use common::queue::Queue;
use publish_queue::failure::{EXIT_CODES, Failure, end};
use publish_queue::inspect::{PROGRAM, inspect};
use publish_queue::options::{self, Options};
use tempfile::SpooledTempFile;

/// Prints every message of the queues, one a line, and leaves all of them where they are.
///
/// A message of `dead` is shown within a JSON object: its `id`, the `queue` that it came from, the `reason`, its `attempts`, when it was
/// `buried`, its `history`, all its `headers`, and the `message`. With --human that is a short story before the message.
#[derive(Debug, Parser)]
#[command(name = PROGRAM, version, after_help = EXIT_CODES)]
struct Cli {
    /// Look into this queue; repeat it for more [default: public, internal, statistics, webhook]
    #[arg(short, long = "queue", value_name = "NAME")]
    queues: Vec<String>,
    /// Print what a message says for people, where it does
    #[arg(long)]
    human: bool,
    /// Print, too, what waits to come back to these queues: to be tried again, or for the worker that has begun it
    #[arg(long)]
    waiting: bool,
    #[command(flatten)]
    options: Options,
}

/// What is kept in memory of the output; a temporary file takes over where it is more.
const MEMORY: usize = 1024 * 1024;

fn main() -> ExitCode {
    let cli = Cli::parse();
    cli.options.install();
    end(PROGRAM, run(&cli))
}

fn run(cli: &Cli) -> Result<(), Failure> {
    let broker = cli.options.broker()?;
    let queues = cli.queues.iter().map(|it| options::queue(&broker.queues, it));
    let queues = queues.collect::<Result<Vec<_>, _>>()?;
    let queues = if queues.is_empty() { Queue::INSPECTED.to_vec() } else { queues };
    if cli.options.only_check(&broker) {
        return Ok(());
    }
    let show = if cli.human { Show::Human } else { Show::Message };
    look(&broker, &queues, show, cli.waiting)
}

/// Prints only when all is back in its queue: who reads this in a pager holds up no task.
fn look(broker: &Broker, queues: &[Queue], show: Show, waiting: bool) -> Result<(), Failure> {
    let mut kept = BufWriter::new(SpooledTempFile::new(MEMORY));
    let looked = options::block_on(inspect(broker, queues, show, waiting, &mut kept));
    // What was seen before an error is worth seeing too.
    print(kept).map_err(Failure::machine("print what was read from the broker"))?;
    looked
}

/// Somebody who has seen enough, such as `head`, is no error.
fn print(kept: BufWriter<SpooledTempFile>) -> io::Result<()> {
    let mut kept = kept.into_inner()?;
    kept.rewind()?;
    let mut stdout = io::stdout().lock();
    match io::copy(&mut kept, &mut stdout).and_then(|_| stdout.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        printed => printed,
    }
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
