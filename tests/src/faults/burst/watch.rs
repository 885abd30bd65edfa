//! How much memory the programs have, before, at the worst moment, and after.

use std::time::Duration;

use anyhow::Result;
use tokio::task::JoinHandle;
use tokio::time::sleep;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::group::members;
use crate::memory;

/// How often it is looked at. The kernel keeps the highest of each process itself, but not that of a group.
const EVERY: Duration = Duration::from_millis(500);

/// The memory of a program in megabytes.
#[derive(Clone, Debug)]
pub struct Memory {
    /// Whose it is.
    pub name: &'static str,
    /// When it had nothing to do yet.
    pub idle: f64,
    /// The most.
    pub highest: f64,
    /// When all was done.
    pub after: f64,
    /// What it may have at most; none for what is not ours.
    pub most: Option<f64>,
}

impl Memory {
    /// Whether it has grown no more than it may.
    pub fn is_flat(&self) -> bool {
        self.most.is_none_or(|it| self.highest <= it)
    }
}

/// Somebody whose memory is to be watched.
pub(super) struct Watched {
    pub(super) name: &'static str,
    pub(super) whose: Whose,
    /// By how much it may grow, in megabytes.
    pub(super) growth: Option<f64>,
}

/// Whose memory it is.
#[derive(Clone, Copy)]
pub(super) enum Whose {
    Process(i32),
    /// All processes of a group.
    Group(i32),
}

/// Looks at it until it is to end.
pub(super) struct Watch {
    name: &'static str,
    whose: Whose,
    growth: Option<f64>,
    idle: f64,
    highest: JoinHandle<f64>,
    stop: DropGuard,
}

impl Watch {
    /// Begins with what there is now.
    pub(super) fn begin(Watched { name, whose, growth }: Watched) -> Result<Self> {
        let (idle, stop) = (whose.resident()?, CancellationToken::new());
        let stopped = stop.clone();
        let highest = tokio::spawn(async move {
            let mut highest = idle;
            while stopped.run_until_cancelled(sleep(EVERY)).await.is_some() {
                highest = highest.max(whose.resident().unwrap_or_default());
            }
            highest
        });
        Ok(Self { name, whose, growth, idle, highest, stop: stop.drop_guard() })
    }

    pub(super) async fn end(self) -> Result<Memory> {
        let Self { name, whose, growth, idle, highest, stop } = self;
        drop(stop);
        let seen = highest.await?;
        let highest = match whose {
            Whose::Process(id) => memory::highest(id)?,
            Whose::Group(_) => seen,
        };
        let most = growth.map(|it| (idle + it).round());
        Ok(Memory { name, idle, highest, after: whose.resident()?, most })
    }
}

impl Whose {
    fn resident(self) -> Result<f64> {
        match self {
            Self::Process(id) => memory::resident(id),
            // One that has just ended has none.
            Self::Group(id) => Ok(members(id).into_iter().filter_map(|it| memory::resident(it).ok()).sum()),
        }
    }
}
