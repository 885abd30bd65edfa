//! `[logs]`: where the logs of jobs go.

use std::path::{Path, PathBuf};

use super::s3::s3;
use super::{Environment, Reader, Summary, Table};
use crate::id::Slug;
use crate::logs::{AttachmentLimits, DEFAULT_FLUSH_AFTER, Destination, Folder, LocalStore, Own, Store};

/// A disk; `/tmp` is memory on many machines.
const TEMPORARY: &str = "/var/tmp";

/// As people count.
const MEGABYTE: u64 = 1_000_000;

/// Reads `[logs]`. Without it, logs go to the user's folder for what programs keep. Of the tables of the drivers, the one of the
/// other driver has no meaning, and is not looked at.
pub fn logs(reader: &Reader) -> Option<Destination> {
    let table = reader.table("logs");
    table.retired("attach-journal");
    let driver = table.text("driver").unwrap_or_else(|| "local".to_owned());
    let flush_after = table.seconds("flush-seconds", 0.05, 600.0).unwrap_or(DEFAULT_FLUSH_AFTER);
    let spool = table.path("spool-dir").unwrap_or_else(|| default_spool(&reader.environment));
    let attachments = attachments(table.table("attachments"));
    let (of_local, of_s3) = (table.table("local"), table.table("s3"));
    let store = match driver.as_str() {
        "local" => local(of_local),
        "s3" => s3(of_s3, &spool),
        _ => {
            table.problem("driver", format!("expected \"local\" or \"s3\", found {driver:?}"));
            None
        }
    };
    table.done();
    Some(Destination { store: store?, spool, flush_after, attachments })
}

fn attachments(table: Table<'_>) -> AttachmentLimits {
    let default = AttachmentLimits::default();
    let files = table.number("most-files", 0, 100_000).and_then(|it| usize::try_from(it).ok());
    let bytes = |key| table.number(key, 0, 1_000_000).map(|it| it * MEGABYTE);
    let limits = AttachmentLimits {
        files: files.unwrap_or(default.files),
        bytes: bytes("most-megabytes").unwrap_or(default.bytes),
        largest: bytes("largest-megabytes").unwrap_or(default.largest),
    };
    table.done();
    limits
}

fn local(table: Table<'_>) -> Option<Store> {
    let dir = table.path("dir").unwrap_or_else(|| default_dir(&table.reader.environment));
    let link = table.parse("link");
    let store = LocalStore::new(&dir, link);
    if let Err(error) = &store {
        table.problem("dir", crate::Chain(error).to_string());
    }
    table.done();
    store.ok().map(Store::Local)
}

/// What was understood of `[logs]`.
pub fn summarize_logs(logs: &Destination, summary: &mut Summary) {
    summary.table("logs");
    if let Ok(slug) = Slug::new("SLUG") {
        summary.line("a log's page", logs.store.url(&Folder::from(&slug).own(Own::Page)));
    }
    summary.line("flush-seconds", logs.flush_after.as_secs_f64());
    summary.line("spool-dir", logs.spool.display());
    let AttachmentLimits { files, bytes, largest } = logs.attachments;
    summary.line("attachments.most-files", files);
    summary.line("attachments.most-megabytes", bytes / MEGABYTE);
    summary.line("attachments.largest-megabytes", largest / MEGABYTE);
}

fn default_spool(environment: &Environment) -> PathBuf {
    environment.temporary.clone().unwrap_or_else(|| TEMPORARY.into())
}

/// A user without a home has a folder of that name alone, so that two users do not meet in one.
fn default_dir(environment: &Environment) -> PathBuf {
    let user = || Path::new(TEMPORARY).join(format!("flotilla-logs-{}", rustix::process::getuid()));
    environment.state_home.as_ref().map_or_else(user, |it| it.join("flotilla/logs"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_and_what_stays_is_on_a_disk() {
        let nothing = Environment::default();
        assert_eq!(default_spool(&nothing), Path::new("/var/tmp"));
        let dir = default_dir(&nothing);
        assert!(dir.to_string_lossy().starts_with("/var/tmp/flotilla-logs-"), "{}", dir.display());
        let told = Environment {
            temporary: Some("/scratch".into()),
            state_home: Some("/home/u/.local/state".into()),
            ..nothing
        };
        assert_eq!(default_spool(&told), Path::new("/scratch"));
        assert_eq!(default_dir(&told), Path::new("/home/u/.local/state/flotilla/logs"));
    }
}
