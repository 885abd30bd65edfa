//! Writes logs of so many megabytes, with some secrets masked, and says what that took: kilobytes of memory at most, beside what
//! the program had before; seconds; seconds of the processors. `write-log FOLDER|URL MEGABYTES [--ca FILE]`, for tests and benchmarks.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::Parser;
use common::Clock;
use common::logs::{
    AttachmentLimits, DEFAULT_FLUSH_AFTER, Destination, LocalStore, Masks, S3Key, S3Limits, S3Settings,
    S3Store, Store,
};
use tests::s3::{ACCESS, SECRET};

#[derive(Parser)]
struct Cli {
    /// A folder, or the URL of a bucket
    to: String,
    /// How many each log has
    megabytes: u32,
    /// The authority of a bucket
    #[arg(long)]
    ca: Option<PathBuf>,
    /// How many logs are written at a time
    #[arg(long, default_value = "1")]
    logs: u32,
    /// Megabytes a second of each log; without, as fast as it goes
    #[arg(long)]
    rate: Option<f64>,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Cli::parse()).await {
        Ok(figures) => {
            anstream::println!("{figures}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            anstream::eprintln!("write-log: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(cli: Cli) -> Result<String> {
    common::crypto::install();
    let scratch = tempfile::tempdir_in("/var/tmp")?;
    let logs = Destination {
        store: store(&cli, scratch.path())?,
        spool: scratch.path().to_owned(),
        flush_after: DEFAULT_FLUSH_AFTER,
        attachments: AttachmentLimits::default(),
    };
    let before = memory()?;
    let begun = Instant::now();
    let names: Vec<String> = match cli.logs {
        1 => vec!["o/r/c".to_owned()],
        many => (0..many).map(|n| format!("o/r/c-{n}")).collect(),
    };
    let writing = names.iter().map(|name| write(&logs, name, &cli));
    futures_util::future::try_join_all(writing).await?;
    let (kilobytes, seconds) = (memory()?.saturating_sub(before), begun.elapsed().as_secs_f64());
    Ok(format!("{kilobytes} {seconds} {}", processor_seconds()?))
}

fn store(cli: &Cli, scratch: &Path) -> Result<Store> {
    if !cli.to.contains("://") {
        return Ok(Store::Local(LocalStore::new(Path::new(&cli.to), None)?));
    }
    let settings = S3Settings {
        url: cli.to.parse()?,
        style: None,
        region: None,
        links: None,
        key: S3Key::new(ACCESS, SECRET, None)?,
        acl: None,
        ca: cli.ca.as_ref().map(std::fs::read_to_string).transpose()?,
        user_agent: "write-log".to_owned(),
        scratch: scratch.to_owned(),
        limits: S3Limits { multipart_from: 20_000_000, part: 16 * 1024 * 1024, ..S3Limits::default() },
    };
    Ok(Store::S3(S3Store::new(&settings, Clock::system())?))
}

/// Megabyte by megabyte.
async fn write(logs: &Destination, name: &str, cli: &Cli) -> Result<()> {
    let mut log = logs.open(&name.parse()?).await?;
    log.mask(secrets()?).await?;
    let piece = lines();
    let begun = tokio::time::Instant::now();
    for n in 0..cli.megabytes {
        if let Some(rate) = cli.rate {
            tokio::time::sleep_until(begun + Duration::from_secs_f64(f64::from(n) / rate)).await;
        }
        log.copy_from(piece.as_slice()).await?;
    }
    Ok(log.finish().await?)
}

/// A megabyte of a log as tests print it, none of it secret.
fn lines() -> Vec<u8> {
    let line = |n: u32| {
        format!("ok {n} test/check-something TestSomething.testBasic in {} s # with a remark\n", n % 97)
    };
    let mut text: Vec<u8> = (0..).flat_map(|n| line(n).into_bytes()).take(999_999).collect();
    text.push(b'\n');
    text
}

/// What a job is given: five tokens and a key.
fn secrets() -> Result<Masks> {
    let token = |n: u64| digits(n, 3)[..40].to_owned();
    let key: String = (1..51).map(|n| digits(n, 4) + "\n").collect();
    Ok(Masks::new((100..105).map(token).chain([key]))?)
}

/// So many times 16 digits.
fn digits(seed: u64, times: u64) -> String {
    let bytes = (1..=times).flat_map(|n| (seed * 8 + n).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
    hex::encode(bytes.collect::<Vec<u8>>())
}

/// The most so far, in kilobytes.
fn memory() -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|it| it.strip_prefix("VmHWM:")).context("no VmHWM")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}

/// Of all threads, those that have ended too.
fn processor_seconds() -> Result<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let (_, fields) = stat.rsplit_once(')').context("no name in stat")?;
    let ticks: u32 = fields.split(' ').skip(12).take(2).map(str::parse::<u32>).sum::<Result<_, _>>()?;
    // Linux counts hundredths here, whatever the kernel's own clock.
    Ok(f64::from(ticks) / 100.0)
}
