//! What operators can count.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use crate::answer::Answer;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Label {
    answer: Answer,
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
