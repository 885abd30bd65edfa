//! `webhook`: takes events from forges and puts them safely into the queue `webhook`.

use std::process::ExitCode;

use clap::Parser;
use common::broker::Broker;
use common::config::{
    BrokerArgs, ConfigArgs, ConfigError, Environment, Reader, Source, Summary, summarize_broker,
};
use common::lifecycle::Exit;
use common::telemetry::LogArgs;
use common::{Clock, crypto};
use webhook::{WebhookArgs, WebhookSettings};

/// Gives back what a burst of events took; the C library's keeps it (`docs/PERFORMANCE.md`).
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Takes events from forges and puts them safely into the broker's queue `webhook`
#[derive(Parser)]
#[command(
    version,
    after_help = "Exit codes: 0 ended as asked, 1 --check-broker found that the broker does not fit, 2 usage or configuration, 3 a part died."
)]
struct Cli {
    /// Say what the broker is and whether it fits, and do nothing else; exit code 1 when it does not
    #[arg(long)]
    check_broker: bool,
    #[command(flatten)]
    webhook: WebhookArgs,
    #[command(flatten)]
    broker: BrokerArgs,
    #[command(flatten)]
    config: ConfigArgs,
    #[command(flatten)]
    log: LogArgs,
}

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    cli.log.install();
    crypto::install();
    let exit = match configure(&cli) {
        Err(problems) => {
            eprintln!("webhook: {problems}");
            Exit::Usage
        }
        Ok((broker, settings)) if cli.config.check_config => {
            let mut summary = Summary::default();
            summarize_broker(&broker, &mut summary);
            settings.summarize(&mut summary);
            summary.print();
            Exit::Done
        }
        Ok((broker, _)) if cli.check_broker => broker.print_check(&[webhook::contract()]).await,
        Ok((broker, settings)) => webhook::run(broker, settings).await,
    };
    exit.code()
}

fn configure(cli: &Cli) -> Result<(Broker, WebhookSettings), ConfigError> {
    let reader = Reader::new(Source::load(cli.config.config.as_deref())?, Environment::read());
    let broker = cli.broker.read(&reader, Clock::system());
    let settings = cli.webhook.read(&reader, &cli.broker.secrets_dir(&reader));
    match broker {
        Some(broker) => reader.finish((broker, settings)),
        None => Err(reader.into_problems()),
    }
}
