//! What operators can count.

use std::time::Duration;

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::{Family, MetricConstructor};
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

/// In seconds: from an answer of a forge next door to GitHub's slowest.
const BUCKETS: [f64; 9] = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Asked {
    forge: String,
    method: &'static str,
    route: &'static str,
    /// Of the answer; `none` where there was none.
    status: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Timed {
    forge: String,
    method: &'static str,
    route: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Looked {
    forge: String,
    result: CacheResult,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Named {
    forge: String,
}

/// What came of an answer that is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
pub(super) enum CacheResult {
    /// The forge says that it is still true: it cost nothing.
    Hit,
    /// The forge has another one.
    Stale,
    /// There was none.
    Miss,
}

/// How histograms are made: a type, since a family wants to be comparable for its registry.
#[derive(Clone, Copy, Debug)]
struct Buckets;

impl MetricConstructor<Histogram> for Buckets {
    fn new_metric(&self) -> Histogram {
        Histogram::new(BUCKETS)
    }
}

/// The counters of all forges. Clones are the same ones.
#[derive(Clone, Debug)]
pub struct ForgeMetrics {
    requests: Family<Asked, Counter>,
    seconds: Family<Timed, Histogram, Buckets>,
    cache: Family<Looked, Counter>,
    remaining: Family<Named, Gauge>,
}

impl Default for ForgeMetrics {
    fn default() -> Self {
        Self {
            requests: Family::default(),
            seconds: Family::new_with_constructor(Buckets),
            cache: Family::default(),
            remaining: Family::default(),
        }
    }
}

impl ForgeMetrics {
    /// Shows them to operators.
    pub fn register(&self, registry: &mut Registry) {
        let Self { requests, seconds, cache, remaining } = self;
        registry.register(
            "flotilla_forge_requests",
            "Requests to forges by route and answer",
            requests.clone(),
        );
        let help = "From a request to a forge to the head of its answer";
        registry.register_with_unit("flotilla_forge_request", help, Unit::Seconds, seconds.clone());
        registry.register("flotilla_forge_cache", "Readings by what the cache had for them", cache.clone());
        let help = "What a forge says is left of its rate limit";
        registry.register("flotilla_forge_rate_remaining", help, remaining.clone());
    }

    pub(super) fn of(&self, forge: &str) -> Meter {
        Meter { forge: forge.to_owned(), metrics: self.clone() }
    }
}

/// The counters of one forge.
#[derive(Clone, Debug)]
pub(super) struct Meter {
    forge: String,
    metrics: ForgeMetrics,
}

impl Meter {
    pub(super) fn asked(
        &self,
        method: &'static str,
        route: &'static str,
        status: Option<u16>,
        took: Duration,
    ) {
        let status = status.map_or_else(|| "none".to_owned(), |it| it.to_string());
        let forge = self.forge.clone();
        self.metrics.requests.get_or_create(&Asked { forge, method, route, status }).inc();
        let timed = Timed { forge: self.forge.clone(), method, route };
        self.metrics.seconds.get_or_create(&timed).observe(took.as_secs_f64());
    }

    pub(super) fn looked(&self, result: CacheResult) {
        self.metrics.cache.get_or_create(&Looked { forge: self.forge.clone(), result }).inc();
    }

    pub(super) fn remaining(&self, requests: u64) {
        let gauge = self.metrics.remaining.get_or_create(&Named { forge: self.forge.clone() });
        gauge.set(i64::try_from(requests).unwrap_or(i64::MAX));
    }
}
