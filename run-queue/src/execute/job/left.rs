//! A job that another process of this host has begun and left, with its container.

use std::collections::BTreeSet;

use common::Chain;
use common::broker::{ClaimKey, Headers};
use common::id::Attempt;
use common::queue::QueueNames;

use super::super::Executor;
use super::super::container::{Container, Engine, Found};
use super::super::journal::{Begun, Inheritance, Journal, State};
use super::super::secrets::{LockedFolder, abandoned};
use crate::handler::{Message, Remains};

/// See the module.
#[derive(Debug)]
pub struct LeftJob {
    pub(super) message: Message,
    pub(super) begun: Begun,
    /// None where the forge knows how it ended.
    pub(super) container: Option<Found>,
    /// What the container was given stays for as long as it runs.
    pub(super) secrets: Vec<LockedFolder>,
}

impl Remains for LeftJob {
    fn message(&self) -> Message {
        self.message.clone()
    }

    fn claim(&self) -> &ClaimKey {
        &self.begun.claim
    }
}

/// What can be gone on with of what workers have left. Their other containers are removed: nobody will ever want them.
pub(in super::super) async fn find(
    inheritance: Inheritance,
    cx: &Executor,
    journal: &Journal,
) -> Vec<LeftJob> {
    let (mut containers, engine) = (Vec::new(), &cx.container.engine);
    let Inheritance { workers, begun } = inheritance;
    // One may have gone on with what another before it had begun.
    let workers: BTreeSet<_> = workers.into_iter().chain(begun.iter().map(|it| it.worker.clone())).collect();
    for worker in workers {
        match engine.find(&worker).await {
            Ok(found) => containers.extend(found),
            Err(error) => {
                tracing::error!(error = %Chain(&error), worker, "the containers of a worker that is gone cannot be found");
            }
        }
    }
    let mut secrets = if begun.is_empty() { Vec::new() } else { abandoned(&cx.secrets.places) };
    let mut left = Vec::new();
    for begun in begun {
        let at = containers
            .iter()
            .position(|it| it.owner.task == begun.task && it.owner.attempt.number() == begun.attempt);
        let container = at.map(|it| containers.swap_remove(it));
        let message = message(&begun);
        match (container, begun.state, message) {
            (container @ Some(_), State::Runs, Some(message))
            | (container @ None, State::Told, Some(message)) => {
                let secrets = secrets.extract_if(.., |it| *it.task() == begun.task).collect();
                left.push(LeftJob { message, begun, container, secrets });
            }
            // Its container is gone, or has never been; or it is told and has not been removed.
            (container, _, _) => {
                containers.extend(container);
                secrets.extract_if(.., |it| *it.task() == begun.task).for_each(LockedFolder::remove);
                forget(journal, &begun).await;
            }
        }
    }
    for found in containers {
        remove(engine, found).await;
    }
    left
}

/// None for what is not ours to read, such as the record of a later version.
fn message(begun: &Begun) -> Option<Message> {
    let Begun { task, attempt, queue, delivery, trace, body, .. } = begun;
    let queue = QueueNames::default().parse(queue)?;
    let attempt = Attempt::from_wire(Some((*attempt).into()));
    let (id, delivery, trace) = (task.clone(), delivery.clone(), trace.parse().ok()?);
    let headers = Headers { id, attempt, awaited: false, delivery, trace };
    Some(Message { queue, body: body.clone().into(), headers })
}

/// A record that stays is read again by the next worker.
pub(super) async fn forget(journal: &Journal, begun: &Begun) {
    if let Err(error) = journal.remove(&begun.task).await {
        tracing::warn!(error = %Chain(&error), task.id = %begun.task, "what was begun is not forgotten");
    }
}

/// Removes a container that nobody goes on with.
pub(super) async fn remove(engine: &Engine, found: Found) {
    let name = found.name.clone();
    tracing::info!(name, "the container of a worker that is gone is removed");
    let removed = async { Container::take_over(engine, found).await?.remove().await };
    if let Err(error) = removed.await {
        tracing::warn!(error = %Chain(&error), name, "a container could not be removed");
    }
}
