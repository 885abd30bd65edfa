//! A command that fails, of which people are told by mail.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use serde_json::json;
use tests::fleet::{Fleet, Setup};
use tests::mail::Mail;
use tests::wait::until_some;

use super::{Around, Play, killed_at_each_step};

struct Command;

fn about<'a>(mails: &'a [Mail], run: &str) -> Vec<&'a Mail> {
    mails.iter().filter(|it| it.text.contains(run)).collect()
}

impl Play for Command {
    const LEAVES_CLAIMS: bool = true;

    async fn prepare(&self, _: &mut Fleet) -> Result<()> {
        Ok(())
    }

    async fn ask(&self, fleet: &mut Fleet, _: &Around, run: &str) -> Result<()> {
        fleet.publish("public", &json!({"command": format!("echo {run}; exit 3")}).to_string()).await
    }

    async fn ended(&self, _: &mut Fleet, around: &Around, run: &str) -> Result<()> {
        until_some("the mail", async || Ok((!about(&around.mail.mails(), run).is_empty()).then_some(())))
            .await
    }

    /// The same mail twice is one, as its name tells those who show it.
    async fn seen(&self, _: &mut Fleet, around: &Around, run: &str) -> Result<Vec<String>> {
        let (all, mut names, mut seen) = (around.mail.mails(), BTreeSet::new(), Vec::new());
        for mail in about(&all, run) {
            if names.insert(mail.header("Message-ID").context("a name")?.to_owned()) {
                let lines =
                    mail.text.lines().filter(|it| !it.starts_with("task: ") && !it.starts_with("attempt: "));
                seen.push(lines.collect::<Vec<_>>().join("\n").replace(run, "RUN"));
            }
        }
        Ok(seen)
    }
}

#[test]
fn a_command_whose_worker_is_killed_at_any_step_is_told_of_once() {
    killed_at_each_step(&Setup::default(), &["execute"], &Command);
}
