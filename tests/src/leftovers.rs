//! What a run of tests has left behind although it should not.

use std::fs;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::broker::Broker;
use crate::engine::{self, Container, Engine};
use crate::settings;

/// Containers that a run left behind.
#[derive(Debug)]
pub struct Containers {
    /// Those with its label.
    pub ours: Vec<Container>,
    /// Those of tasks that were not there before and have no run's label. A program that forgets
    /// `container.run-args` makes such, but so does a worker that serves its purpose on this machine.
    pub unclear: Vec<Container>,
}

/// Finds what containers a run left behind; `before` are those that were there when it began.
pub async fn containers(engine: &Engine, run: &str, before: &[Container]) -> Result<Containers> {
    let (labelled, unlabelled): (Vec<_>, Vec<_>) =
        all_containers(engine).await?.into_iter().partition(|it| !it.label.is_empty());
    let is_ours = |it: &Container| it.label.split_once('/').is_some_and(|(of, _)| of == run);
    Ok(Containers {
        ours: labelled.into_iter().filter(is_ours).collect(),
        unclear: unlabelled.into_iter().filter(|it| !before.contains(it)).collect(),
    })
}

/// All containers that belong to some test or task.
pub async fn all_containers(engine: &Engine) -> Result<Vec<Container>> {
    let json = engine.run(&["ps", "--all", "--format=json"]).await?;
    let list: Vec<Value> = serde_json::from_str(&json).context("podman ps: not JSON")?;
    let labelled = |it: &&Value| {
        let labels = &it["Labels"];
        labels.get(engine::LABEL).is_some() || labels.get(engine::TASK_LABEL).is_some()
    };
    let list: Vec<_> = list.iter().filter(labelled).cloned().collect();
    engine::containers(&Value::from(list).to_string())
}

/// The virtual hosts of a broker that were not there before.
pub async fn vhosts(broker: &Broker, before: &[String]) -> Result<Vec<String>> {
    let now = broker.vhosts().await?;
    Ok(now.into_iter().filter(|name| !before.contains(name)).collect())
}

/// A process that inherited the name of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    pub id: i32,
    pub command: String,
}

/// The processes whose environment names the run.
pub fn processes(run: &str) -> Vec<Process> {
    let Ok(processes) = fs::read_dir("/proc") else { return Vec::new() };
    let mark = format!("{}={run}", settings::RUN);
    processes
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|id| has_variable(*id, mark.as_bytes()))
        .map(|id| Process { id, command: command(id) })
        .collect()
}

fn has_variable(id: i32, variable: &[u8]) -> bool {
    let environment = fs::read(format!("/proc/{id}/environ")).unwrap_or_default();
    environment.split(|byte| *byte == 0).any(|it| it == variable)
}

fn command(id: i32) -> String {
    let words = fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&words).replace('\0', " ").trim().to_owned()
}
