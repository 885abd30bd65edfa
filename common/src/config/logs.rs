//! `[logs]`: where the logs of jobs go.

use std::path::{Path, PathBuf};

use super::{Environment, Reader, Summary};
use crate::id::Slug;
use crate::logs::{DEFAULT_FLUSH_AFTER, Destination, Folder, LocalStore, Own, Store};

/// A disk; `/tmp` is memory on many machines.
const TEMPORARY: &str = "/var/tmp";

/// Reads `[logs]`. Without it, logs go to the user's folder for what programs keep.
pub fn logs(reader: &Reader) -> Option<Destination> {
    let table = reader.table("logs");
    if let Some(driver) = table.text("driver")
        && driver != "local"
    {
        table.problem("driver", format!("expected \"local\" (\"s3\" is not built yet), found {driver:?}"));
    }
    // Valid in files of existing deployments; without meaning as long as the driver is refused.
    table.value("s3");
    let flush_after = table.seconds("flush-seconds", 0.05, 600.0).unwrap_or(DEFAULT_FLUSH_AFTER);
    let spool = table.path("spool-dir").unwrap_or_else(|| default_spool(&reader.environment));
    let local = table.table("local");
    let dir = local.path("dir").unwrap_or_else(|| default_dir(&reader.environment));
    let link = local.parse("link");
    local.done();
    table.done();
    match LocalStore::new(&dir, link) {
        Ok(store) => Some(Destination { store: Store::Local(store), spool, flush_after }),
        Err(error) => {
            table_problem(reader, &error);
            None
        }
    }
}

/// What was understood of `[logs]`.
pub fn summarize_logs(logs: &Destination, summary: &mut Summary) {
    summary.table("logs");
    if let Ok(slug) = Slug::new("SLUG") {
        summary.line("a log's page", logs.store.url(&Folder::from(&slug).own(Own::Page)));
    }
    summary.line("flush-seconds", logs.flush_after.as_secs_f64());
    summary.line("spool-dir", logs.spool.display());
}

fn table_problem(reader: &Reader, error: &dyn std::error::Error) {
    reader.problem("logs.local.dir", crate::Chain(error).to_string());
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
