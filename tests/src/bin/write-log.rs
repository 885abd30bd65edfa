//! Writes a log of so many megabytes to the bucket at URL, and says how many kilobytes of memory that took at most, beside what
//! the program has when the log is open. `write-log URL CA-FILE MEGABYTES`, for the tests of logs.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser;
use common::Clock;
use common::logs::{DEFAULT_FLUSH_AFTER, Destination, S3Key, S3Limits, S3Settings, S3Store, Store};
use tests::s3::{ACCESS, SECRET};

#[derive(Parser)]
struct Cli {
    url: reqwest::Url,
    ca: PathBuf,
    megabytes: usize,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Cli::parse()).await {
        Ok(kilobytes) => {
            anstream::println!("{kilobytes}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            anstream::eprintln!("write-log: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(cli: Cli) -> Result<u64> {
    common::crypto::install();
    let scratch = tempfile::tempdir_in("/var/tmp")?;
    let settings = S3Settings {
        url: cli.url,
        style: None,
        region: None,
        links: None,
        key: S3Key::new(ACCESS, SECRET, None)?,
        acl: None,
        ca: Some(std::fs::read_to_string(cli.ca)?),
        user_agent: "write-log".to_owned(),
        scratch: scratch.path().to_owned(),
        limits: S3Limits { multipart_from: 20_000_000, part: 16 * 1024 * 1024, ..S3Limits::default() },
    };
    let store = Store::S3(S3Store::new(&settings, Clock::system())?);
    let logs = Destination { store, spool: scratch.path().to_owned(), flush_after: DEFAULT_FLUSH_AFTER };
    let mut log = logs.open(&"o/r/c".parse()?).await?;
    let before = memory("VmHWM:")?;
    let piece: Vec<u8> = (0..1_000_000).map(|n| b"0123456789abcdef"[(n / 7) % 16]).collect();
    for _ in 0..cli.megabytes {
        log.copy_from(piece.as_slice()).await?;
    }
    log.finish().await?;
    Ok(memory("VmHWM:")?.saturating_sub(before))
}

/// In kilobytes.
fn memory(name: &str) -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|it| it.strip_prefix(name)).with_context(|| format!("no {name}"))?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}
