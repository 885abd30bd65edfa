//! What operators can count of sweeps.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

use super::Swept;

/// Why a sweep queued a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
pub(super) enum Why {
    /// Nobody had begun to deal with it.
    Missed,
    /// It should have been in a queue, and was in none.
    Lost,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
enum Result {
    Whole,
    Partly,
    ByAnother,
    Broken,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Ended {
    result: Result,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Found {
    why: Why,
}

/// The counters of sweeps.
#[derive(Clone, Debug)]
pub struct SweepMetrics {
    ended: Family<Ended, Counter>,
    found: Family<Found, Counter>,
    duration: Gauge<f64, AtomicU64>,
}

impl SweepMetrics {
    /// With names in the registry.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self { ended: Family::default(), found: Family::default(), duration: Gauge::default() };
        let Self { ended, found, duration } = metrics.clone();
        registry.register("flotilla_sweeps", "Sweeps by how they ended", ended);
        registry.register("flotilla_sweep_tasks", "Tasks that sweeps queued", found);
        let help = "How long the last sweep took that this process made";
        registry.register_with_unit("flotilla_sweep_duration", help, Unit::Seconds, duration);
        metrics
    }

    pub(super) fn ended(&self, swept: Option<Swept>, took: Duration) {
        let result = match swept {
            Some(Swept::Whole) => Result::Whole,
            Some(Swept::Partly) => Result::Partly,
            Some(Swept::ByAnother) => Result::ByAnother,
            None => Result::Broken,
        };
        self.ended.get_or_create(&Ended { result }).inc();
        if swept != Some(Swept::ByAnother) {
            self.duration.set(took.as_secs_f64());
        }
    }

    pub(super) fn queued(&self, why: Why) {
        self.found.get_or_create(&Found { why }).inc();
    }
}
