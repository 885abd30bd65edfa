//! What happened, as it happens: on the standard output, and kept for the story of what went wrong.

use std::fmt;
use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use tokio::time::Instant;

use common::Clock;

/// Lines with the time since the beginning.
pub(super) struct Diary {
    begun: Instant,
    echo: Echo,
    lines: Mutex<Vec<String>>,
}

/// Whether what happens is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Echo {
    On,
    Off,
}

impl Diary {
    pub(super) fn begin(echo: Echo) -> Self {
        Self { begun: Instant::now(), echo, lines: Mutex::default() }
    }

    pub(super) fn note(&self, what: impl fmt::Display) {
        let line = format!("{:7.2} {} {what}", self.begun.elapsed().as_secs_f64(), clock());
        if self.echo == Echo::On {
            // A reader who has gone does not end the run.
            let _ = writeln!(io::stdout().lock(), "{line}");
        }
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    }

    /// The lines that have one of these words.
    pub(super) fn about(&self, words: &[String]) -> Vec<String> {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.iter().filter(|line| words.iter().any(|it| line.contains(it.as_str()))).cloned().collect()
    }
}

/// The time of day, as the programs' logs have it.
fn clock() -> String {
    now().strftime("%H:%M:%S%.3f").to_string()
}

/// Now.
pub(super) fn now() -> Timestamp {
    Clock::system().now()
}
