//! The sweep: every configured repository is looked at as if its events had come, so that what was missed heals.
//!
//! A context that has no status yet is dealt with at once, as an event would. One that somebody has begun to deal with is queued
//! again only if it is *lost*: no queue holds its work, and still none does a while later (`docs/ARCHITECTURE.md`, "The sweep").
//! [`heal`] decides, [`Pass`] does.

mod heal;
mod items;
mod metrics;
mod missed;
mod pass;
mod settings;
mod waiting;

use std::time::Duration;

use common::Chain;
use common::broker::{Broker, BrokerError, Locked, Session};
use common::lifecycle::Exit;
use common::queue::Queue;
use prometheus_client::registry::Registry;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub use self::metrics::SweepMetrics;
use self::pass::Pass;
pub use self::settings::SweepSettings;
use super::Scanner;

/// Sweeps all configured repositories.
#[derive(Debug)]
pub struct Sweeper {
    /// What events are scanned with.
    pub scanner: Scanner,
    /// When, and how patiently.
    pub settings: SweepSettings,
    /// Where tasks wait.
    pub broker: Broker,
}

/// How a sweep ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Swept {
    /// Everything was looked at.
    Whole,
    /// Some of it could not be looked at; the log says what.
    Partly,
    /// Another process is at it.
    ByAnother,
}

/// For how long events that wait go first.
const EVENTS_FIRST: Duration = Duration::from_mins(5);
/// How often it is looked whether events still wait.
const LOOK: Duration = Duration::from_secs(1);
/// Before another try, where the broker could not be reached.
const AGAIN: Duration = Duration::from_mins(1);

impl Sweeper {
    /// Sweeps at start and every so often, until it is told to stop.
    pub async fn run(&self, metrics: &SweepMetrics, stopping: &CancellationToken) {
        let mut next = self.settings.at_start.then_some(Duration::ZERO).or_else(|| self.pause());
        while let Some(pause) = next {
            if stopping.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
                return;
            }
            let Some(swept) = stopping.run_until_cancelled(self.once(metrics)).await else { return };
            next = match swept {
                Ok(_) => self.pause(),
                Err(error) => {
                    tracing::warn!(error = %Chain(&error), "the sweep broke off and begins anew");
                    Some(AGAIN)
                }
            };
        }
        stopping.cancelled().await;
    }

    /// Sweeps once, for an operator.
    pub async fn command(&self) -> Exit {
        match self.once(&SweepMetrics::register(&mut Registry::default())).await {
            Ok(Swept::Whole) => Exit::Done,
            Ok(Swept::ByAnother) => Exit::NothingToDo,
            Ok(Swept::Partly) => Exit::Crashed,
            Err(error) => {
                tracing::error!(error = %Chain(&error), "the sweep broke off");
                Exit::Crashed
            }
        }
    }

    /// The time to the next sweep; none if there is to be none. Two scanners that were started together drift apart.
    fn pause(&self) -> Option<Duration> {
        let spread = 1.0 + self.settings.jitter * (2.0 * fastrand::f64() - 1.0);
        self.settings.every.map(|it| it.mul_f64(spread))
    }

    /// May be dropped at any point: what it had posted and not queued is lost, and the next sweep finds it.
    async fn once(&self, metrics: &SweepMetrics) -> Result<Swept, BrokerError> {
        let begun = Instant::now();
        let swept = self.in_session(metrics).await;
        metrics.ended(swept.as_ref().ok().copied(), begun.elapsed());
        swept
    }

    async fn in_session(&self, metrics: &SweepMetrics) -> Result<Swept, BrokerError> {
        let session = self.broker.connect("sweep").await?;
        let swept = tokio::select! {
            swept = self.sweep(&session, metrics) => swept,
            error = session.lost() => Err(error),
        };
        session.close().await;
        swept
    }

    async fn sweep(&self, session: &Session, metrics: &SweepMetrics) -> Result<Swept, BrokerError> {
        if session.lock("sweep").await? == Locked::ByAnother {
            tracing::info!("another process is sweeping");
            return Ok(Swept::ByAnother);
        }
        session.declare(&Queue::ALL).await?;
        events_first(session).await?;
        let mut engine = self.scanner.engine();
        engine.forge = engine.forge.background();
        let asked = missed::ask_again(&engine, &self.settings.hooks).await;
        let pass = Pass {
            engine,
            session,
            queues: &self.broker.queues,
            publisher: session.publisher().await?,
            second_look: self.settings.second_look,
            metrics,
        };
        let swept = pass.run().await?;
        Ok(if asked.is_ok() { swept } else { Swept::Partly })
    }
}

/// Returns when no events wait, or after a while. They would lead to what a sweep finds, and both at once would queue it twice.
async fn events_first(session: &Session) -> Result<(), BrokerError> {
    let until = Instant::now() + EVENTS_FIRST;
    while session.depth(Queue::Webhook).await? > 0 && Instant::now() < until {
        tokio::time::sleep(LOOK).await;
    }
    Ok(())
}
