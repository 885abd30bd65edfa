//! A job that fails: with a log, attachments, a secret, a final status and an issue.

use anyhow::{Context, Result};
use common::forge::StatusState;
use common::id::{CommitSha, RepoName};
use serde_json::json;
use tests::fleet::{DEADLINE, Fleet, Setup};

use super::super::repo;
use super::{Around, Play, killed_at_each_step};

const SECRETS: &str = "[container.secrets]\nopen = [\"--volume=%{open}:/run/s/open:ro\"]\n\
                       [secrets.inline]\nopen = \"sesame\"\n";
const SCRIPT: &str = "mkdir -p $TEST_ATTACHMENTS/sub\necho shot > $TEST_ATTACHMENTS/sub/a.txt\necho b > $TEST_ATTACHMENTS/b.txt\n\
                      wc -c < /run/s/open\nexit 1";

struct Job;

fn name() -> Result<RepoName> {
    Ok("octo/app".parse()?)
}

async fn tip(fleet: &Fleet) -> Result<CommitSha> {
    Ok(fleet.git.resolve("octo/app", "main").await?.parse()?)
}

impl Play for Job {
    async fn prepare(&self, fleet: &mut Fleet) -> Result<()> {
        repo(fleet, SCRIPT).await.map(drop)
    }

    async fn ask(&self, fleet: &mut Fleet, _: &Around, run: &str) -> Result<()> {
        let job = json!({"job": {
            "repo": name()?, "sha": tip(fleet).await?, "context": run, "slug": run, "secrets": ["open"],
            "report": {"title": format!("{run} is red")},
        }});
        fleet.publish("public", &job.to_string()).await
    }

    async fn ended(&self, fleet: &mut Fleet, _: &Around, run: &str) -> Result<()> {
        let (repo, tip) = (name()?, tip(fleet).await?);
        fleet.forge.wait_for_state(&repo, &tip, run, StatusState::Failure, DEADLINE).await.map(drop)
    }

    async fn seen(&self, fleet: &mut Fleet, around: &Around, run: &str) -> Result<Vec<String>> {
        let mut statuses = fleet.statuses(&name()?, &tip(fleet).await?);
        statuses.retain(|it| it.starts_with(run));
        // Who has lost the only one that knew of a run says anew that it begins.
        statuses.dedup();
        let issues = fleet.forge.issues(&name()?)?.into_iter().filter(|it| it.title.contains(run));
        let issues = issues.map(|it| {
            let text = it.body.split("<!--").next().unwrap_or_default().trim_end().to_owned();
            format!("issue {}: {text}", it.title)
        });
        let mut seen: Vec<_> = statuses.into_iter().chain(issues).collect();
        for key in around.bucket.keys_below(run)? {
            let object = around.bucket.get(&format!("{run}/{key}")).await?.context("an object")?;
            seen.push(format!(
                "{key}: {}",
                if key == "log.html" { "the page".to_owned() } else { text(object.text()?) }
            ));
        }
        Ok(seen.into_iter().map(|it| it.replace(run, "RUN")).collect())
    }
}

/// Without what is each container's own.
fn text(log: &str) -> String {
    log.lines()
        .filter(|it| !it.starts_with("name=") && !it.starts_with("id="))
        .collect::<Vec<_>>()
        .join("\n  ")
}

#[test]
fn a_job_whose_worker_is_killed_at_any_step_is_done_once() {
    let setup = Setup { config: SECRETS.to_owned(), ..Setup::default() };
    killed_at_each_step(&setup, &["execute"], &Job);
}
