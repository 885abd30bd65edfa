//! `with-services -- COMMAND…`: starts the services of the tests once, runs the command, takes
//! everything down.

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;
use tests::services;

/// Starts a broker, prepares podman and the test image, and runs a command that finds them in its
/// environment. Fails if the command does, or if it leaves something behind.
#[derive(Parser)]
struct Cli {
    /// The command and its arguments.
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<String>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(&cli.command).await {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("with-services: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(command: &[String]) -> Result<u8> {
    let services = services::Services::start().await?;
    let code = services.run(command).await;
    let left = services.stop().await?;
    for line in &left {
        eprintln!("with-services: left over: {line}");
    }
    let code = code?;
    Ok(if code == 0 && !left.is_empty() { 1 } else { code })
}
