//! The fleet as its users see it.

mod slice;

use anyhow::Result;
use common::id::RepoName;
use tests::fleet::Fleet;
use tests::git::File;

/// A repository whose tests are this shell script.
async fn repo(fleet: &Fleet, script: &str) -> Result<RepoName> {
    let script = format!("#!/bin/sh\n{script}\n");
    fleet.create_repo("octo/app", &[File::new(".cockpit-ci/run", script).executable()]).await
}

/// A file that makes a pull differ.
fn change() -> [File; 1] {
    [File::new("README", "a change\n")]
}
