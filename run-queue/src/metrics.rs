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
    /// Given back as it was, for the next process of this host.
    HandedOver,
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
            Self::HandedOver => "handed over",
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

/// How a role stands with the broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// There is no session.
    Down,
    /// There is a broker that does not fit.
    Unfit,
    /// There is a session.
    Open,
    /// There is one, and an alarm on the broker: it takes no messages.
    Blocked,
}

impl Standing {
    /// Whether work is done, or else why not.
    pub(crate) const fn ready(self) -> Result<(), &'static str> {
        match self {
            Self::Down => Err("no connection to the broker"),
            Self::Unfit => Err("the broker does not fit, see the log or --check-broker"),
            Self::Open => Ok(()),
            Self::Blocked => Err("the broker has an alarm and takes no messages"),
        }
    }
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
    connected: Family<Busy, Gauge>,
    blocked: Family<Busy, Gauge>,
}

impl Metrics {
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            role: Role::Scan,
            ended: Family::default(),
            busy: Family::default(),
            connected: Family::default(),
            blocked: Family::default(),
        };
        let ended = metrics.ended.clone();
        registry.register("flotilla_deliveries_settled", "Deliveries by how they were settled", ended);
        registry.register(
            "flotilla_deliveries_running",
            "Deliveries that are dealt with now",
            metrics.busy.clone(),
        );
        let help = "1 while there is a session with the broker";
        registry.register("flotilla_broker_connected", help, metrics.connected.clone());
        let help = "1 while the broker has an alarm and takes no messages";
        registry.register("flotilla_broker_blocked", help, metrics.blocked.clone());
        metrics
    }

    pub(crate) fn of(&self, role: Role) -> Self {
        Self { role, ..self.clone() }
    }

    pub(crate) fn settled(&self, settled: Settled) {
        self.ended.get_or_create(&Ended { role: self.role, settled }).inc();
    }

    pub(crate) fn standing(&self, standing: Standing) {
        let role = Busy { role: self.role };
        self.connected
            .get_or_create(&role)
            .set(matches!(standing, Standing::Open | Standing::Blocked).into());
        self.blocked.get_or_create(&role).set((standing == Standing::Blocked).into());
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
