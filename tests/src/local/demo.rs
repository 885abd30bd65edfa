//! The pull request.

use anyhow::{Result, ensure};

use super::screen::{Screen, Tone};
use super::watch::Watch;
use crate::fleet::{Fleet, Pull};
use crate::forge::{Delivery, StatusRecord};
use crate::git::File;

/// The repository that it is opened on.
pub(super) const REPO: &str = "octo/app";
/// Who opens it: on the allow list.
const AUTHOR: &str = "alice";

/// What the repository's test does unless somebody wants another.
const JOB: &str = r#"set -eu
echo "1..3"
sleep 0.5
grep -q change CHANGE
echo "ok 1 the change is here: $(cat CHANGE)"
sleep 0.5
git merge-base --is-ancestor origin/main HEAD
echo "ok 2 it is on top of main: $(git log -1 --format=%s origin/main)"
sleep 0.5
uname -a > "$TEST_ATTACHMENTS/machine.txt"
echo "ok 3 a file for the log's folder: machine.txt"
"#;

/// A pull request, and the event that tells of it.
pub(super) struct Draft {
    pub(super) pull: Pull,
    pub(super) delivery: Delivery,
    pub(super) watch: Watch,
}

/// Makes the repository and opens the pull request; nobody is told yet.
pub(super) async fn draft_pull(fleet: &mut Fleet, job: Option<&str>) -> Result<Draft> {
    let script = format!("#!/bin/sh\n{}\n", job.unwrap_or(JOB));
    let repo = fleet.create_repo(REPO, &[File::new(".cockpit-ci/run", script).executable()]).await?;
    let (pull, delivery) = fleet.draft_pull(AUTHOR, &repo, &[File::new("CHANGE", "a change\n")]).await?;
    Ok(Draft { pull, delivery, watch: Watch::new(fleet)? })
}

/// Sends the event, and shows what comes of it to the last status.
pub(super) async fn deliver(fleet: &mut Fleet, screen: &Screen, draft: &mut Draft) -> Result<StatusRecord> {
    let Draft { pull, delivery, watch } = draft;
    screen.begin(&format!("{AUTHOR} opens pull request #{} of {}", pull.number, pull.repo));
    let text =
        format!("{} of {} bytes, signed, delivery {}", delivery.event, delivery.payload.len(), delivery.id);
    screen.now("forge", text, Tone::Plain);
    let answer = fleet.deliver(delivery).await?;
    let answered = format!("{} {}", answer.status, answer.text.trim());
    ensure!(answer.status == 200, "the webhook did not take the event: {answered}");
    watch.note("webhook", format!("answers {answered}"));
    watch.until_verdict(fleet, pull, screen).await
}
