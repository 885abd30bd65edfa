//! The containers of jobs, as podman lists them.

use std::time::{Duration, Instant};

use anyhow::Result;
use common::Clock;

use super::screen::{Step, Tone};
use crate::engine::{Container, Engine};

/// Asking costs a tenth of a second of a core.
const POLL: Duration = Duration::from_millis(250);

/// Those that were there at the last look.
#[derive(Default)]
pub(super) struct Containers {
    known: Vec<Container>,
    looked: Option<Instant>,
}

impl Containers {
    pub(super) fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// What came and went since the last look, unless that was just now.
    pub(super) async fn changes(&mut self, engine: &Engine, clock: Clock) -> Result<Vec<Step>> {
        if self.looked.is_some_and(|it| it.elapsed() < POLL) {
            return Ok(Vec::new());
        }
        let now = engine.containers().await?;
        self.looked = Some(Instant::now());
        let at = clock.now();
        let step = |text| Step { at, label: "container", text, tone: Tone::Plain };
        let came = now.iter().filter(|it| !self.known.contains(it));
        let came = came.map(|it| step(format!("{} ({:.12}) runs {}", it.name, it.id, engine.image())));
        let gone = self.known.iter().filter(|it| !now.contains(it));
        let gone = gone.map(|it| step(format!("{} is removed", it.name)));
        let changes = came.chain(gone).collect();
        self.known = now;
        Ok(changes)
    }
}
