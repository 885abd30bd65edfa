//! Doing one thing over and over, a fixed number at once, for a fixed time.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tokio::task::JoinSet;

use super::table::quantile;

/// Something that can be done again and again, one at a time; several of them work at once.
pub(crate) trait Client: Send + 'static {
    /// Does it once; returns when it is done for good.
    fn once(&mut self) -> impl Future<Output = Result<()>> + Send;
}

/// What came of one turn.
pub(crate) struct Turn {
    time: Duration,
    /// How long each one took, in milliseconds.
    took: Vec<f64>,
}

impl Turn {
    /// How many were done in a second, by all clients together.
    pub(crate) fn rate(&self) -> f64 {
        self.count() / self.time.as_secs_f64()
    }

    /// How many were done.
    #[expect(clippy::cast_precision_loss, reason = "a count of samples")]
    pub(crate) fn count(&self) -> f64 {
        self.took.len() as f64
    }

    /// The time in milliseconds within which this part of all was done.
    pub(crate) fn within(&self, part: f64) -> f64 {
        quantile(&self.took, part)
    }
}

/// Lets all clients work for this time. What one of them could not do is an error.
pub(crate) async fn turn<C: Client>(clients: Vec<C>, time: Duration) -> Result<Turn> {
    let mut working = JoinSet::new();
    let end = Instant::now() + time;
    for client in clients {
        working.spawn(work(client, end));
    }
    let mut took = Vec::new();
    while let Some(done) = working.join_next().await {
        took.extend(done.context("a client died")??);
    }
    Ok(Turn { time, took })
}

async fn work(mut client: impl Client, end: Instant) -> Result<Vec<f64>> {
    let mut took = Vec::new();
    loop {
        let begun = Instant::now();
        client.once().await?;
        let done = Instant::now();
        if done > end {
            return Ok(took);
        }
        took.push((done - begun).as_secs_f64() * 1000.0);
    }
}
