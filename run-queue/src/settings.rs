//! `[worker]`: what both roles of a worker share.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use common::config::{Environment, Reader, Summary, Table};

use crate::handler::Attempts;

/// The worker's own options.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct WorkerArgs {
    /// Where /healthz, /readyz and /metrics are; port 0 takes any free one [default: 127.0.0.1:8082]
    #[arg(long, value_name = "ADDR:PORT", global = true)]
    pub service_listen: Option<SocketAddr>,
    /// End at once when asked to, and leave running jobs to the next worker of this host, which goes on with them
    #[arg(long, global = true)]
    pub handover: bool,
}

/// What becomes of what runs when the process is asked to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drain {
    /// It ends by itself, within this time; then it is put back. None: however long that takes.
    Finish(Option<Duration>),
    /// It is left to the next process of this host, and what cannot be left has [`Drain::MOMENT`] to end.
    HandOver,
}

impl Drain {
    /// What takes longer is begun anew by somebody else; a report that a forge does not take meanwhile is kept.
    pub const MOMENT: Duration = Duration::from_secs(5);

    /// How long all of it may take.
    #[must_use]
    pub const fn patience(self) -> Option<Duration> {
        match self {
            Self::Finish(limit) => limit,
            Self::HandOver => Some(Self::MOMENT),
        }
    }
}

/// A little longer than a job may run by default, so that every job comes to its end.
const DRAIN_MINUTES: f64 = 150.0;

/// What both roles share.
#[derive(Clone, Debug)]
pub struct WorkerSettings {
    /// How often a message is tried.
    pub attempts: Attempts,
    /// Where the operator's endpoints are.
    pub service_listen: SocketAddr,
    /// The folder for what a worker must not forget when it is started again.
    pub state_dir: PathBuf,
    /// What becomes of what runs when it is asked to end.
    pub drain: Drain,
}

impl WorkerSettings {
    /// What was understood of `[worker]`.
    pub fn summarize(&self, summary: &mut Summary) {
        summary.table("worker");
        summary.line("attempts", self.attempts.most);
        summary.line("retry-seconds", self.attempts.first_pause.as_secs_f64());
        summary.line("service-listen", self.service_listen);
        summary.line("state-dir", self.state_dir.display());
        summary.line("handover", self.drain == Drain::HandOver);
        if let Drain::Finish(limit) = self.drain {
            summary.line("drain-minutes", limit.map_or(0.0, |it| it.as_secs_f64() / 60.0));
        }
    }
}

impl WorkerArgs {
    /// Reads `[worker]`; the options win.
    #[must_use]
    pub fn read(&self, reader: &Reader) -> WorkerSettings {
        let table = reader.table("worker");
        let most = table.number("attempts", 1, 100).and_then(|it| u32::try_from(it).ok());
        let listen = table.listen("service-listen");
        let settings = WorkerSettings {
            attempts: Attempts {
                most: most.unwrap_or(3),
                first_pause: table.seconds("retry-seconds", 0.1, 3600.0).unwrap_or(Duration::from_secs(10)),
            },
            service_listen: self.service_listen.or(listen).unwrap_or((Ipv4Addr::LOCALHOST, 8082).into()),
            state_dir: table.path("state-dir").unwrap_or_else(|| state_dir(&reader.environment)),
            drain: self.drain(&table),
        };
        table.done();
        settings
    }

    fn drain(&self, table: &Table<'_>) -> Drain {
        let handover = table.flag("handover").unwrap_or_default() || self.handover;
        let minutes = table.decimal("drain-minutes", 0.0, 43_200.0).unwrap_or(DRAIN_MINUTES);
        let limit = (minutes > 0.0).then(|| Duration::from_secs_f64(minutes * 60.0));
        if handover { Drain::HandOver } else { Drain::Finish(limit) }
    }
}

/// A disk; `/tmp` is memory on many machines.
const TEMPORARY: &str = "/var/tmp";

/// The service manager's folder for this, or the user's. A user without a home has a folder of that name alone, so that two users do
/// not meet in one.
fn state_dir(environment: &Environment) -> PathBuf {
    let user = || Path::new(TEMPORARY).join(format!("flotilla-state-{}", rustix::process::getuid()));
    let home = || environment.state_home.as_ref().map(|it| it.join("flotilla"));
    environment.state_directory.clone().or_else(home).unwrap_or_else(user)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_on_a_disk() {
        let nothing = Environment::default();
        let dir = state_dir(&nothing);
        assert!(dir.to_string_lossy().starts_with("/var/tmp/flotilla-state-"), "{}", dir.display());
        let home = Environment { state_home: Some("/h/.local/state".into()), ..nothing };
        assert_eq!(state_dir(&home), Path::new("/h/.local/state/flotilla"));
        let service = Environment { state_directory: Some("/var/lib/flotilla".into()), ..home };
        assert_eq!(state_dir(&service), Path::new("/var/lib/flotilla"));
    }
}
