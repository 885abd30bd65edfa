//! Where it is measured.

use std::fs;

use ::tests::broker::Broker;
use anyhow::Result;
use serde_json::Value;

/// The machine and its broker, in half a line.
pub(crate) async fn machine(broker: &Broker) -> Result<String> {
    let overview: Value = reqwest::get(format!("{}/api/overview", broker.api_url())).await?.json().await?;
    let version = |name: &str| overview[name].as_str().unwrap_or("?").to_owned();
    Ok(format!(
        "{}, RabbitMQ {} on Erlang {}",
        processors(),
        version("rabbitmq_version"),
        version("erlang_version"),
    ))
}

/// What it computes with.
pub(crate) fn processors() -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let processors = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = processors
        .lines()
        .find_map(|it| it.strip_prefix("model name")?.split_once(": "))
        .map_or("", |it| it.1);
    format!("{cores} cores ({model})")
}
