//! `[logs]`: where the logs of jobs go.

use std::path::PathBuf;

use super::Reader;
use crate::logs::{DEFAULT_FLUSH_AFTER, Destination, LocalStore, Store};

/// Reads `[logs]`. Without it, logs go to a folder under the machine's place for temporary files.
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
    let spool = table.path("spool-dir").unwrap_or_else(std::env::temp_dir);
    let local = table.table("local");
    let dir = local.path("dir").unwrap_or_else(default_dir);
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

fn table_problem(reader: &Reader, error: &dyn std::error::Error) {
    reader.problem("logs.local.dir", crate::Chain(error).to_string());
}

fn default_dir() -> PathBuf {
    std::env::temp_dir().join("flotilla-logs")
}
