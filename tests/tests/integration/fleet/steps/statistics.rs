//! The results of a merged pull, by programs that skip what is stored already.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use anyhow::Result;
use serde_json::json;
use tempfile::TempDir;
use tests::fleet::{Fleet, Setup};
use tests::wait::until;

use super::{Around, Play, killed_at_each_step};

struct Results(TempDir);

impl Results {
    /// Its database is a file with a line a commit.
    fn new() -> Result<Self> {
        let results = Self(TempDir::new()?);
        let store =
            "#!/bin/sh\n# --db FILE --repo REPO SHA\ngrep -qsx \"$5\" \"$2\" || echo \"$5\" >> \"$2\"\n";
        let publish = "#!/bin/sh\n# --db FILE --s3 URL\ncp \"$2\" \"${0%/*}/new\" && mv \"${0%/*}/new\" \"${0%/*}/published\"\n";
        for (name, script) in [("store-tests", store), ("prometheus-stats", publish)] {
            let file = results.0.path().join(name);
            fs::write(&file, script)?;
            fs::set_permissions(&file, fs::Permissions::from_mode(0o755))?;
        }
        Ok(results)
    }

    fn setup(&self) -> Setup {
        let config = format!(
            "[statistics]\nstore = [\"{0}/store-tests\"]\npublish = [\"{0}/prometheus-stats\"]\ndb = \"{0}/results.db\"\n\
             s3 = \"https://s3.example/metrics\"\n",
            self.0.path().display()
        );
        Setup { config, ..Setup::default() }
    }

    /// Those of a run that are published.
    fn published(&self, run: &str) -> Vec<String> {
        let text = fs::read_to_string(self.0.path().join("published")).unwrap_or_default();
        text.lines().filter(|it| *it == commit(run)).map(|_| "the commit RUN".to_owned()).collect()
    }
}

fn commit(run: &str) -> String {
    run.replace("run-", "abcdef")
}

impl Play for Results {
    const LEAVES_CLAIMS: bool = true;

    async fn prepare(&self, _: &mut Fleet) -> Result<()> {
        Ok(())
    }

    async fn ask(&self, fleet: &mut Fleet, _: &Around, run: &str) -> Result<()> {
        let task = json!({"statistics": {"repo": "octo/app", "sha": commit(run)}});
        fleet.publish("statistics", &task.to_string()).await
    }

    async fn ended(&self, _: &mut Fleet, _: &Around, run: &str) -> Result<()> {
        until("the results", async || Ok(!self.published(run).is_empty())).await
    }

    async fn seen(&self, _: &mut Fleet, _: &Around, run: &str) -> Result<Vec<String>> {
        Ok(self.published(run))
    }
}

#[test]
fn results_whose_worker_is_killed_at_any_step_are_stored_once() {
    let results = Results::new().unwrap();
    killed_at_each_step(&results.setup(), &["execute"], &results);
}
