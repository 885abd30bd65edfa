//! `[worker]`: what both roles of a worker share.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use common::config::{Reader, Summary};

use crate::handler::Attempts;

/// The worker's own options.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct WorkerArgs {
    /// Where /healthz, /readyz and /metrics are; port 0 takes any free one [default: 127.0.0.1:8082]
    #[arg(long, value_name = "ADDR:PORT", global = true)]
    pub service_listen: Option<SocketAddr>,
}

/// What both roles share.
#[derive(Clone, Copy, Debug)]
pub struct WorkerSettings {
    /// How often a message is tried.
    pub attempts: Attempts,
    /// Where the operator's endpoints are.
    pub service_listen: SocketAddr,
}

impl WorkerSettings {
    /// What was understood of `[worker]`.
    pub fn summarize(&self, summary: &mut Summary) {
        summary.table("worker");
        summary.line("attempts", self.attempts.most);
        summary.line("retry-seconds", self.attempts.first_pause.as_secs_f64());
        summary.line("service-listen", self.service_listen);
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
        };
        table.done();
        settings
    }
}
