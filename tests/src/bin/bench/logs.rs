//! Logs: what they cost a worker, beside what it costs to write the same bytes into a file.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::process::Stdio;
use std::time::Instant;

use ::tests::s3::S3Server;
use anyhow::{Context, Result, ensure};
use tokio::process::Command;

use super::Effort;
use super::machine::processors;
use super::table::{Row, Table, Target, Unit};

/// How many chatty jobs a worker has, and what each prints in a second, in megabytes.
const CHATTY: (u32, u32) = (8, 10);

/// What a run of `write-log` took.
#[derive(Clone, Copy)]
struct Cost {
    megabytes: f64,
    seconds: f64,
    processors: f64,
}

/// In turns, each a process of its own; the bucket is in this one.
pub(super) async fn measure(effort: Effort, gigabytes: u32) -> Result<Table> {
    let server = S3Server::start().await?;
    let folder = tempfile::tempdir_in("/var/tmp")?;
    let ca = folder.path().join("ca.pem");
    std::fs::write(&ca, server.ca())?;
    let (mut cats, mut locals, mut buckets, mut chatty) = (vec![], vec![], vec![], vec![]);
    for _ in 0..effort.rounds {
        cats.push(cat(&folder.path().join("cat"), gigabytes).await? / f64::from(gigabytes));
        let logs = folder.path().join("logs");
        locals.push(write(&[&logs.display().to_string(), &megabytes(gigabytes)]).await?);
        let to_bucket = [server.url(), megabytes(gigabytes), "--ca".to_owned(), ca.display().to_string()];
        buckets.push(write(&to_bucket.each_ref().map(String::as_str)).await?);
        let (jobs, rate) = CHATTY;
        let each = (rate * effort.seconds.max(5)).to_string();
        let (jobs, rate) = (format!("--logs={jobs}"), format!("--rate={rate}"));
        chatty.push(write(&[&logs.display().to_string(), &each, &jobs, &rate]).await?);
        std::fs::remove_dir_all(&logs)?;
    }
    let rounds = effort.rounds;
    let about = vec![
        processors(),
        format!(
            "{rounds} rounds, logs of {gigabytes} GB, five tokens and a key masked; the bucket is a process beside it"
        ),
    ];
    Ok(Table { about, rows: rows(cats, &locals, &buckets, &chatty, f64::from(gigabytes)) })
}

fn rows(cats: Vec<f64>, locals: &[Cost], buckets: &[Cost], chatty: &[Cost], gigabytes: f64) -> Vec<Row> {
    let of =
        |costs: &[Cost], value: fn(&Cost) -> f64, by: f64| costs.iter().map(|it| value(it) / by).collect();
    let busy = chatty.iter().map(|it| it.processors / it.seconds).collect();
    vec![
        Row::new("cat >file, a GB", Unit::Seconds, cats),
        Row::new("log in a folder, a GB", Unit::Seconds, of(locals, |it| it.seconds, gigabytes)),
        Row::new("  processor time", Unit::Seconds, of(locals, |it| it.processors, gigabytes)),
        Row::new("  highest memory", Unit::Megabytes, of(locals, |it| it.megabytes, 1.0))
            .target(Target::AtMost(16.0)),
        Row::new("log in a bucket, a GB", Unit::Seconds, of(buckets, |it| it.seconds, gigabytes)),
        Row::new("  processor time", Unit::Seconds, of(buckets, |it| it.processors, gigabytes)),
        Row::new("  highest memory", Unit::Megabytes, of(buckets, |it| it.megabytes, 1.0))
            .target(Target::AtMost(16.0)),
        Row::new("8 logs of 10 MB/s, memory", Unit::Megabytes, of(chatty, |it| it.megabytes, 1.0))
            .target(Target::Under(50.0)),
        Row::new("  processors", Unit::Ratio, busy).target(Target::Under(1.0)),
    ]
}

fn megabytes(gigabytes: u32) -> String {
    (u64::from(gigabytes) * 1000).to_string()
}

async fn write(arguments: &[&str]) -> Result<Cost> {
    let program = std::env::current_exe().context("where am I")?.with_file_name("write-log");
    let written = Command::new(program).args(arguments).output().await.context("write-log does not start")?;
    ensure!(written.status.success(), "{}", String::from_utf8_lossy(&written.stderr));
    let said = String::from_utf8(written.stdout)?;
    let figures = said.split_whitespace().map(str::parse).collect::<Result<Vec<f64>, _>>()?;
    let [kilobytes, seconds, processors] = *figures else { anyhow::bail!("write-log said {said:?}") };
    Ok(Cost { megabytes: kilobytes * 1024.0 / 1e6, seconds, processors })
}

/// Pipes so many gigabytes through `cat`, in seconds.
async fn cat(file: &Path, gigabytes: u32) -> Result<f64> {
    let target = File::create(file).with_context(|| format!("cannot write {}", file.display()))?;
    let file = file.to_owned();
    let taken = tokio::task::spawn_blocking(move || {
        let begun = Instant::now();
        let mut cat =
            std::process::Command::new("cat").stdin(Stdio::piped()).stdout(target.try_clone()?).spawn()?;
        let mut pipe = cat.stdin.take().context("no pipe")?;
        let piece = vec![b'x'; 1_000_000];
        for _ in 0..u64::from(gigabytes) * 1000 {
            pipe.write_all(&piece)?;
        }
        drop(pipe);
        ensure!(cat.wait()?.success(), "cat failed");
        // A log is on the disk when it has ended.
        target.sync_all()?;
        let seconds = begun.elapsed().as_secs_f64();
        std::fs::remove_file(&file)?;
        Ok(seconds)
    });
    taken.await?
}
