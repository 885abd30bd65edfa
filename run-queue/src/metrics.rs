//! What operators can count.

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// How a delivery was settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
pub(crate) enum Settled {
    /// Dealt with.
    Acked,
    /// Comes again as the next attempt.
    Retried,
    /// Comes again as the same attempt.
    Delayed,
    /// Given back as it was.
    Requeued,
    /// In `dead`.
    Buried,
    /// Another run's to settle.
    Forwarded,
    /// Waits for somebody who may come back.
    Awaited,
}

impl Settled {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Acked => "acked",
            Self::Retried => "retried",
            Self::Delayed => "delayed",
            Self::Requeued => "requeued",
            Self::Buried => "buried",
            Self::Forwarded => "forwarded",
            Self::Awaited => "awaited",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
pub(crate) enum Role {
    Scan,
    Execute,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Ended {
    role: Role,
    settled: Settled,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Busy {
    role: Role,
}

/// The counters of one role.
#[derive(Clone)]
pub(crate) struct Metrics {
    role: Role,
    ended: Family<Ended, Counter>,
    busy: Family<Busy, Gauge>,
}

impl Metrics {
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let metrics = Self { role: Role::Scan, ended: Family::default(), busy: Family::default() };
        let ended = metrics.ended.clone();
        registry.register("flotilla_deliveries_settled", "Deliveries by how they were settled", ended);
        registry.register(
            "flotilla_deliveries_running",
            "Deliveries that are dealt with now",
            metrics.busy.clone(),
        );
        metrics
    }

    pub(crate) fn of(&self, role: Role) -> Self {
        Self { role, ..self.clone() }
    }

    pub(crate) fn settled(&self, settled: Settled) {
        self.ended.get_or_create(&Ended { role: self.role, settled }).inc();
    }

    /// Counts one as running until the answer is dropped.
    pub(crate) fn running(&self) -> Running {
        let gauge = self.busy.get_or_create_owned(&Busy { role: self.role });
        gauge.inc();
        Running(gauge)
    }
}

/// See [`Metrics::running`].
pub(crate) struct Running(Gauge);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.dec();
    }
}
