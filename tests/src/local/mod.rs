//! A fleet to look at: started on this machine, given a pull request, shown step by step, and taken down again.
//!
//! Nothing that is shown is known beforehand: steps are made from what the programs log (`facts`), what the forge was told,
//! what podman lists, and what comes out of the job.

mod addresses;
mod alive;
mod containers;
mod demo;
mod facts;
mod follow;
mod keep;
mod screen;
mod signals;
mod start;
mod tail;
mod watch;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use common::forge::StatusState;
use tempfile::TempDir;

use self::screen::{Screen, Tone, complain};
use self::signals::{Signals, Stop};
use crate::fleet::Fleet;
use crate::forge::StatusRecord;

/// What is to be shown.
#[derive(Clone, Debug)]
pub struct Options {
    /// What to do when the pull request is through.
    pub then: Then,
    /// The shell script that is the repository's test; one that succeeds if there is none.
    pub job: Option<String>,
}

/// What to do when the pull request is through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// Take the fleet down.
    End,
    /// Keep it up until somebody has seen enough.
    Keep,
}

/// How the pull request's job ended.
struct Verdict {
    status: StatusRecord,
    log: PathBuf,
}

const INTERRUPTED: &str = "Interrupted: the end (once more: at once)";

/// Shows it. 0: the job was green; 1: it was not, or something went wrong; 128 and the number of a signal: somebody had enough.
pub async fn run(options: &Options) -> ExitCode {
    let screen = Screen::new();
    let signals = match Signals::install() {
        Ok(signals) => signals,
        Err(error) => {
            complain(&format!("{error:#}"));
            return ExitCode::FAILURE;
        }
    };
    let mut verdict = None;
    let performed = perform(options, &screen, &signals, &mut verdict).await;
    if let Some(verdict) = &verdict {
        show(&screen, verdict);
    }
    match performed {
        Ok(()) if verdict.is_some_and(|it| it.status.state == StatusState::Success) => ExitCode::SUCCESS,
        Ok(()) => ExitCode::FAILURE,
        Err(Stop::Signal(number)) => {
            complain("interrupted");
            ExitCode::from(128 + number)
        }
        Err(Stop::Error(error)) => {
            complain(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// Leaves nothing behind but the log of a job that has ended.
async fn perform(
    options: &Options,
    screen: &Screen,
    signals: &Signals,
    verdict: &mut Option<Verdict>,
) -> Result<(), Stop> {
    let mut logs = logs_dir()?;
    let mut fleet = signals.watch(start::fleet(screen, logs.path())).await?;
    let told = signals.watch(tell(&mut fleet, screen, options, verdict)).await;
    // Where something has died, the rest failed because of that.
    let died = if told.is_err() { alive::check(&mut fleet) } else { Ok(()) };
    logs.disable_cleanup(verdict.is_some());
    screen.begin(if matches!(told, Err(Stop::Signal(_))) { INTERRUPTED } else { "The end" });
    let taken_down = take_down(fleet, screen, signals).await;
    match told {
        Err(Stop::Error(error)) => Err(Stop::Error(died.err().unwrap_or(error))),
        told => told.and(taken_down.map_err(Stop::from)),
    }
}

async fn tell(
    fleet: &mut Fleet,
    screen: &Screen,
    options: &Options,
    verdict: &mut Option<Verdict>,
) -> Result<()> {
    let mut draft = demo::draft_pull(fleet, options.job.as_deref()).await?;
    let status = demo::deliver(fleet, screen, &mut draft).await?;
    let log = fleet.log_folder(&status)?.join("log");
    *verdict = Some(Verdict { status, log });
    match options.then {
        Then::End => Ok(()),
        Then::Keep => keep::up(fleet, screen, &mut draft).await,
    }
}

async fn take_down(fleet: Fleet, screen: &Screen, signals: &Signals) -> Result<()> {
    let folders = fleet.folders();
    let farewell = fleet.leave(signals.patience()).await.context("the fleet was not taken down")?;
    for (name, status) in &farewell.programs {
        let tone = if status.success() { Tone::Plain } else { Tone::Bad };
        screen.now("stopped", format!("{name}, {status}"), tone);
    }
    for container in &farewell.containers {
        screen.now("removed", format!("container {}, which was left over", container.name), Tone::Plain);
    }
    let (left, gone): (Vec<_>, Vec<_>) = folders.into_iter().partition(|it| it.exists());
    for folder in &gone {
        screen.now("removed", folder.display().to_string(), Tone::Plain);
    }
    ensure!(left.is_empty(), "not removed: {left:?}");
    Ok(())
}

fn show(screen: &Screen, verdict: &Verdict) {
    let Verdict { status, log } = verdict;
    let (state, tone) = facts::state(status);
    screen.blank();
    let description = status.description.as_deref().unwrap_or_default();
    screen.result(state, &format!("{}: {description}", status.context), tone);
    screen.result("log", &log.display().to_string(), Tone::Plain);
}

/// A folder beside what cargo builds: there it can be read afterwards, and goes with the rest.
fn logs_dir() -> Result<TempDir> {
    let own = std::env::current_exe().context("where am I")?;
    let target = own.parent().and_then(|it| it.parent()).context("a program in no folder")?;
    let folder = target.join("run-local");
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    Ok(tempfile::Builder::new().prefix("logs-").tempdir_in(folder)?)
}
