//! Webhooks that the forge knows: it sends to them itself, and keeps a log of that.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use common::id::RepoName;
use jiff::Timestamp;

use super::fake::{FakeForge, Shared};
use super::state::State;
use super::webhook::{Delivery, Hook};

/// The first id of a delivery: as long as GitHub's.
const FIRST_ID: u64 = 23_000_000_000;

/// A webhook, and what was sent to it.
#[derive(Debug)]
pub(super) struct HookLog {
    hook: Hook,
    /// Oldest first.
    pub(super) deliveries: Vec<DeliveryRecord>,
}

/// A line of a webhook's log.
#[derive(Clone, Debug)]
pub struct DeliveryRecord {
    /// One for each time that it was sent.
    pub id: u64,
    /// What was sent; its own id stays the same when it is sent again.
    pub delivery: Delivery,
    /// When.
    pub at: Timestamp,
    /// What the receiver answered; 0 where it did not.
    pub status: u16,
    /// Whether it was sent again.
    pub redelivery: bool,
}

impl FakeForge {
    /// Configures a webhook of a repository under this id.
    pub fn add_hook(&self, repo: &RepoName, id: u64, hook: Hook) {
        let log = HookLog { hook, deliveries: Vec::new() };
        self.shared.change(|state| state.hooks.insert((repo.clone(), id), log));
    }

    /// Sends an event to a webhook that it knows, once, and keeps that in the log. Gives the status of the answer, 0 for none.
    pub async fn send(&self, repo: &RepoName, hook: u64, delivery: &Delivery) -> Result<u16> {
        send(&self.shared, &(repo.clone(), hook), delivery, false).await
    }

    /// A line of the log for an event that nobody was sent: as if it had been, at that time, with this answer.
    pub fn log_delivery(
        &self,
        repo: &RepoName,
        hook: u64,
        delivery: &Delivery,
        at: Timestamp,
        status: u16,
    ) -> Result<()> {
        log(&self.shared, &(repo.clone(), hook), delivery, at, status, false)
    }

    /// Waits until such a line is in the log of a webhook.
    pub async fn wait_for_delivery(
        &self,
        repo: &RepoName,
        hook: u64,
        deadline: Duration,
        wanted: impl Fn(&DeliveryRecord) -> bool,
    ) -> Result<DeliveryRecord> {
        let place = (repo.clone(), hook);
        let find = |state: &State| state.hooks.get(&place)?.deliveries.iter().find(|it| wanted(it)).cloned();
        self.wait_for("such delivery to a webhook", deadline, find).await
    }

    /// The log of a webhook, oldest first.
    pub fn deliveries(&self, repo: &RepoName, hook: u64) -> Vec<DeliveryRecord> {
        let state = self.shared.state();
        state.hooks.get(&(repo.clone(), hook)).map(|it| it.deliveries.clone()).unwrap_or_default()
    }
}

/// Sends, and writes the log.
pub(super) async fn send(
    shared: &Arc<Shared>,
    place: &(RepoName, u64),
    delivery: &Delivery,
    redelivery: bool,
) -> Result<u16> {
    let hook = shared.state().hooks.get(place).map(|it| it.hook.clone());
    let hook = hook.with_context(|| format!("{} has no webhook {}", place.0, place.1))?;
    let at = shared.clock.now();
    let status = hook.deliver(delivery).await.map_or(0, |it| it.status);
    log(shared, place, delivery, at, status, redelivery)?;
    Ok(status)
}

fn log(
    shared: &Shared,
    place: &(RepoName, u64),
    delivery: &Delivery,
    at: Timestamp,
    status: u16,
    redelivery: bool,
) -> Result<()> {
    let delivery = delivery.clone();
    shared.change(|state| {
        let sent: usize = state.hooks.values().map(|it| it.deliveries.len()).sum();
        let id = FIRST_ID + u64::try_from(sent)?;
        let log =
            state.hooks.get_mut(place).with_context(|| format!("{} has no webhook {}", place.0, place.1))?;
        log.deliveries.push(DeliveryRecord { id, delivery, at, status, redelivery });
        Ok(())
    })
}
