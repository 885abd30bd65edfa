//! What operators can count.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use crate::answer::Answer;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Label {
    answer: Answer,
}

/// How we stand with the broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Link {
    /// There is no session.
    Down,
    /// It takes messages.
    Open,
    /// There is a session, and an alarm on the broker: it takes no messages.
    Blocked,
}

impl Link {
    /// Whether events are taken, or else why not.
    pub(crate) const fn ready(self) -> Result<(), &'static str> {
        match self {
            Self::Down => Err("no connection to the broker"),
            Self::Open => Ok(()),
            Self::Blocked => Err("the broker has an alarm and takes no messages"),
        }
    }
}

/// The same for operators.
#[derive(Clone, Debug, Default)]
pub(crate) struct LinkGauges {
    connected: Gauge,
    blocked: Gauge,
}

impl LinkGauges {
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let gauges = Self::default();
        let help = "1 while there is a session with the broker";
        registry.register("flotilla_broker_connected", help, gauges.connected.clone());
        let help = "1 while the broker has an alarm and takes no messages";
        registry.register("flotilla_broker_blocked", help, gauges.blocked.clone());
        gauges
    }

    pub(crate) fn set(&self, link: Link) {
        self.connected.set((link != Link::Down).into());
        self.blocked.set((link == Link::Blocked).into());
    }
}

/// The receiver's counters.
pub(crate) struct Metrics {
    deliveries: Family<Label, Counter>,
    seconds: Histogram,
}

impl Metrics {
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let deliveries = Family::default();
        registry.register("flotilla_webhook_deliveries", "Deliveries by answer", deliveries.clone());
        let seconds = Histogram::new([0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 2.0, 8.0]);
        let help = "From the end of a body to the broker's confirm";
        registry.register_with_unit("flotilla_webhook_confirm", help, Unit::Seconds, seconds.clone());
        Self { deliveries, seconds }
    }

    pub(crate) fn count(&self, answer: Answer) {
        self.deliveries.get_or_create(&Label { answer }).inc();
    }

    pub(crate) fn confirmed(&self, took: Duration) {
        self.seconds.observe(took.as_secs_f64());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operators_see_how_we_stand_with_the_broker() {
        let mut registry = Registry::default();
        let gauges = LinkGauges::register(&mut registry);
        for (link, connected, blocked) in [(Link::Down, 0, 0), (Link::Open, 1, 0), (Link::Blocked, 1, 1)] {
            gauges.set(link);
            let mut text = String::new();
            prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
            assert!(text.contains(&format!("\nflotilla_broker_connected {connected}\n")), "{text}");
            assert!(text.contains(&format!("\nflotilla_broker_blocked {blocked}\n")), "{text}");
        }
    }
}
