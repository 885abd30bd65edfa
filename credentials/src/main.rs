//! The certificate authority and the certificates of a fleet: see `credentials --help`.

mod cli;

use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use cli::{Cli, Command};
use credentials::{Authority, Error, Summary};
use jiff::Timestamp;

/// The exit code for what was refused, which is also the one of wrong usage.
const REFUSED: u8 = 2;

fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(cli.command, now()) {
        Ok(output) => print(&output),
        Err(error) => fail(&error.into()),
    }
}

/// Does it, and returns what to tell.
fn run(command: Command, now: Timestamp) -> Result<String, Error> {
    match command {
        Command::Ca(it) => {
            Authority::create(&it.dir, &it.options(), now)?;
            Ok(cli::written(&[it.dir.join(credentials::CA_CERTIFICATE), it.dir.join(credentials::CA_KEY)]))
        }
        Command::Fleet(it) => {
            let options = it.options(&gethostname::gethostname());
            Ok(cli::written(&credentials::fleet(&it.dir, &options, now)?))
        }
        Command::Show { file } => Ok(cli::summaries(&Summary::read(&file)?, now)),
    }
}

#[expect(clippy::disallowed_methods, reason = "the one place where this program reads the clock")]
fn now() -> Timestamp {
    Timestamp::now()
}

fn print(output: &str) -> ExitCode {
    let mut stdout = io::stdout().lock();
    let printed = stdout.write_all(output.as_bytes()).and_then(|()| stdout.flush());
    match printed.context("cannot write to the standard output") {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

fn fail(error: &anyhow::Error) -> ExitCode {
    // Where even this fails there is nobody to tell.
    let _ = writeln!(io::stderr(), "credentials: {error:#}");
    let refused = error.downcast_ref::<Error>().is_some_and(Error::is_refusal);
    if refused { ExitCode::from(REFUSED) } else { ExitCode::FAILURE }
}
