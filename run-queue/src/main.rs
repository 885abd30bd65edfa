//! `run-queue`: a worker of the fleet.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use common::config::{
    BrokerArgs, ConfigArgs, ConfigError, Environment, Forges, Reader, Source, Summary, summarize_broker,
};
use common::lifecycle::Exit;
use common::telemetry::LogArgs;
use common::{Clock, crypto};
use run_queue::App;
use run_queue::execute::{ExecuteArgs, Executor};
use run_queue::scan::{ScanArgs, ScanSource, Scanner, SettingsWatch, Sweeper};
use run_queue::settings::WorkerArgs;

/// A worker: turns events into tasks (`scan`) and performs tasks (`execute`); without a subcommand, both
#[derive(Parser)]
#[command(
    version,
    after_help = "Exit codes: 0 ended as asked, 1 --once found nothing or --check-broker found that the broker does not fit, 2 usage or configuration, 3 a part died."
)]
struct Cli {
    #[command(subcommand)]
    role: Option<RoleName>,
    /// Take one message, deal with it and end; exit code 1 when there is none
    #[arg(long, global = true)]
    once: bool,
    /// Say what the broker is and whether it fits what this worker does, and do nothing else; exit code 1 when it does not
    #[arg(long, global = true)]
    check_broker: bool,
    #[command(flatten)]
    scan: ScanArgs,
    #[command(flatten)]
    worker: WorkerArgs,
    #[command(flatten)]
    broker: BrokerArgs,
    #[command(flatten)]
    config: ConfigArgs,
    #[command(flatten)]
    log: LogArgs,
}

#[derive(Clone, Subcommand)]
enum RoleName {
    /// Turn events into tasks
    Scan,
    /// Look once at all configured repositories as if their events had come; exit code 1 when another process is at it
    Sweep,
    /// Perform tasks
    Execute(ExecuteArgs),
}

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    cli.log.install();
    crypto::install();
    let exit = match configure(&cli) {
        Err(problems) => {
            eprintln!("run-queue: {problems}");
            Exit::Usage
        }
        Ok((_, summary)) if cli.config.check_config => {
            summary.print();
            Exit::Done
        }
        Ok((app, _)) if cli.check_broker => app.check_broker().await,
        Ok((app, _)) if matches!(cli.role, Some(RoleName::Sweep)) => app.sweep().await,
        Ok((app, _)) if cli.once => Box::pin(app.once()).await,
        Ok((app, _)) => app.run().await,
    };
    exit.code()
}

/// Reads everything and opens nothing.
fn configure(cli: &Cli) -> Result<(App, Summary), ConfigError> {
    let file = Source::file(cli.config.config.as_deref());
    let reader = Reader::new(Source::load(file.as_deref())?, Environment::read());
    let clock = Clock::system();
    let broker = cli.broker.read(&reader, clock);
    let names = broker.as_ref().map(|it| it.queues.clone()).unwrap_or_default();
    let worker = cli.worker.read(&reader);
    let (scans, executes) = match &cli.role {
        None => (true, Some(ExecuteArgs::default())),
        Some(RoleName::Scan | RoleName::Sweep) => (true, None),
        Some(RoleName::Execute(arguments)) => (false, Some(arguments.clone())),
    };
    let settings = executes.clone().unwrap_or_default().read(&reader, &names);
    let scan = cli.scan.read(&reader);
    let forges = Forges::read(&reader);
    let executor = Executor::read(&reader, forges.clone(), &settings, &worker.state_dir);
    let (Some(broker), Some(forges), Some(mut executor)) = (broker, forges, executor) else {
        return Err(reader.into_problems());
    };
    if executes.is_some() && scan.allow_list.is_empty() {
        for name in executor.secrets.asking_for_authors() {
            let text = "asks for the allow list, and that names nobody: fill scan.allow-list, or say authors = \"any\"";
            reader.problem(&format!("secrets.allow.{name}"), text);
        }
    }
    let mut summary = Summary::default();
    summarize_broker(&broker, &mut summary);
    worker.summarize(&mut summary);
    scan.summarize(&mut summary);
    settings.summarize(&names, &mut summary);
    executor.summarize(&mut summary);
    let sweep = scan.sweep.clone();
    let source = ScanSource { args: cli.scan.clone(), file, environment: reader.environment.clone() };
    let every = cli.scan.reload_every(&reader);
    let (live, watch) = SettingsWatch::new(source, scan, every, clock);
    let scanner = Scanner { settings: live.clone(), forge: forges.default_forge().clone(), clock };
    let lists = executes.is_some() && executor.secrets.asking_for_authors().next().is_some();
    executor.scan = Some(live);
    let sweeper = Sweeper { scanner: scanner.clone(), settings: sweep, broker: broker.clone() };
    let app = App {
        broker,
        forges,
        worker,
        settings,
        scanner: scans.then_some(scanner),
        sweeper: scans.then_some(sweeper),
        watch: (scans || lists).then_some(watch),
        mailer: executor.mailer.clone(),
        executor: executes.map(|_| executor),
    };
    reader.finish((app, summary))
}
