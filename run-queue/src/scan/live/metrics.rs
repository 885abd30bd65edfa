//! What operators see of the readings.

use std::sync::atomic::AtomicU64;

use jiff::Timestamp;
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
enum Outcome {
    Good,
    Broken,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Ended {
    result: Outcome,
}

#[derive(Clone, Debug)]
pub(super) struct Metrics {
    ok: Gauge,
    reloads: Family<Ended, Counter>,
    read_at: Gauge<f64, AtomicU64>,
}

impl Metrics {
    /// For settings that were read well at this time.
    pub(super) fn new(now: Timestamp) -> Self {
        let metrics = Self { ok: Gauge::default(), reloads: Family::default(), read_at: Gauge::default() };
        for result in [Outcome::Good, Outcome::Broken] {
            drop(metrics.reloads.get_or_create(&Ended { result }));
        }
        metrics.ok.set(1);
        metrics.read_at.set(seconds(now));
        metrics
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        let (ok, reloads, read_at) = (self.ok.clone(), self.reloads.clone(), self.read_at.clone());
        registry.register(
            "flotilla_scan_settings_ok",
            "1 if the files of the scanner's settings are in order",
            ok,
        );
        let help = "Readings of the scanner's settings that changed something";
        registry.register("flotilla_scan_settings_reloads", help, reloads);
        let help = "When the scanner's settings were last read and in order";
        registry.register("flotilla_scan_settings_read_timestamp_seconds", help, read_at);
    }

    pub(super) fn good(&self, now: Timestamp, changed: bool) {
        self.ok.set(1);
        self.read_at.set(seconds(now));
        if changed {
            self.reloads.get_or_create(&Ended { result: Outcome::Good }).inc();
        }
    }

    pub(super) fn broken(&self) {
        self.ok.set(0);
        self.reloads.get_or_create(&Ended { result: Outcome::Broken }).inc();
    }
}

fn seconds(time: Timestamp) -> f64 {
    time.as_duration().as_secs_f64()
}
