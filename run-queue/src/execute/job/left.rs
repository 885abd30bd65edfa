//! A job that another process of this host has begun and left, with its container.

use std::collections::BTreeSet;

use common::Chain;
use common::broker::{ClaimKey, Headers};
use common::forge::{Status, StatusState};
use common::id::Attempt;
use common::queue::QueueNames;
use common::task::{Kind, Task};

use super::super::Executor;
use super::super::container::{Container, Engine, Found, remove_output};
use super::super::journal::{Begun, Inheritance, Journal, State};
use super::super::outbox::is_in_progress;
use super::super::secrets::{LeftSecrets, abandoned};
use crate::handler::{Message, Remains};

/// See the module.
#[derive(Debug)]
pub struct LeftJob {
    pub(super) message: Message,
    pub(super) begun: Begun,
    /// None where the forge knows how it ended.
    pub(super) container: Option<Found>,
    /// Whether the commit's status tells everybody that nothing is left to do.
    is_seen: bool,
    /// What the container was given stays for as long as it runs.
    pub(super) secrets: Vec<LeftSecrets>,
}

impl Remains for LeftJob {
    fn message(&self) -> Message {
        self.message.clone()
    }

    fn claim(&self) -> &ClaimKey {
        &self.begun.claim
    }

    fn is_done(&self) -> bool {
        self.container.is_none()
    }
}

/// Whoever follows a job may die of it, and its successor, too: after so many, another attempt is begun, as those are counted.
const MOST_DEATHS: u32 = 10;

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
            // Whoever told it may not have got as far as removing its container.
            (told, State::Told, Some(message)) => {
                match told {
                    Some(found) => containers.push(found),
                    None => remove_output(&cx.logs.spool, &begun.task, attempt(&begun)),
                }
                let secrets = secrets.extract_if(.., |it| *it.task() == begun.task).collect();
                let is_seen = is_judged_by_status(&begun);
                left.push(LeftJob { message, begun, container: None, is_seen, secrets });
            }
            (container @ Some(_), State::Runs, Some(message)) if begun.deaths <= MOST_DEATHS => {
                let secrets = secrets.extract_if(.., |it| *it.task() == begun.task).collect();
                left.push(LeftJob { message, begun, container, is_seen: false, secrets });
            }
            // Its container is gone, or has never been; or its record cannot be read; or too many have died of it.
            (container, _, _) => {
                tracing::info!(task.id = %begun.task, "what was begun here cannot be gone on with, and is for others");
                match container {
                    Some(found) => remove(engine, found).await,
                    None => remove_output(&cx.logs.spool, &begun.task, attempt(&begun)),
                }
                secrets.extract_if(.., |it| *it.task() == begun.task).for_each(LeftSecrets::remove);
                forget(journal, &begun).await;
            }
        }
    }
    for found in containers {
        remove(engine, found).await;
    }
    left
}

/// What brings its own command is done whenever it is asked for, whatever the status says.
fn is_judged_by_status(begun: &Begun) -> bool {
    let task = Task::parse(begun.body.as_bytes());
    task.is_ok_and(|it| matches!(it.kind, Kind::Job(job) if job.context.is_some() && job.command.is_none()))
}

/// Whether anything is left to do. A forge that cannot be asked does not show that another worker has begun or ended it.
pub(in super::super) async fn is_open(left: &LeftJob, cx: &Executor) -> bool {
    let begun = &left.begun;
    if left.is_seen {
        tracing::info!(task.id = %begun.task, "what was left here is told already");
        return false;
    }
    if left.container.is_none() {
        return true;
    }
    let Ok(Task { kind: Kind::Job(job), .. }) = Task::parse(begun.body.as_bytes()) else { return true };
    let (Some(forge), Some(context)) = (cx.forges.get(job.forge.as_ref()), &job.context) else { return true };
    let all = match forge.statuses(&job.repo, &begun.sha).await {
        Ok(all) => all,
        Err(error) => {
            tracing::warn!(error = %Chain(&error), task.id = %begun.task, "the forge does not say whether another worker has ended what was left here");
            return true;
        }
    };
    let stands = all.iter().find(|it| it.context == context.as_str());
    let is_open = !stands.is_some_and(|it| is_anothers(it, &cx.host));
    if !is_open {
        tracing::info!(task.id = %begun.task, "another worker has ended what was left here");
    }
    is_open
}

/// Whether a status says that another attempt has begun or ended. Decides; does no I/O.
fn is_anothers(stands: &Status, host: &str) -> bool {
    match stands.state {
        StatusState::Success | StatusState::Failure | StatusState::Error => true,
        StatusState::Pending | StatusState::Other => {
            is_in_progress(stands)
                && !stands.description.as_ref().is_some_and(|it| it.ends_with(&format!(" [{host}]")))
        }
    }
}

fn attempt(begun: &Begun) -> Attempt {
    Attempt::from_wire(Some(begun.attempt.into()))
}

/// None for what is not ours to read, such as the record of a later version.
fn message(begun: &Begun) -> Option<Message> {
    let Begun { task, queue, delivery, trace, body, .. } = begun;
    let queue = QueueNames::default().parse(queue)?;
    let (id, delivery, trace) = (task.clone(), delivery.clone(), trace.parse().ok()?);
    let headers = Headers { id, attempt: attempt(begun), awaited: None, delivery, trace };
    Some(Message { queue, body: body.clone().into(), headers })
}

/// This process did not die of it.
pub(super) async fn forgive(begun: Begun, cx: &Executor) {
    let Some(journal) = cx.journal() else { return };
    let task = begun.task.clone();
    if let Err(error) = journal.put(Begun { deaths: 0, ..begun }).await {
        tracing::warn!(error = %Chain(&error), task.id = %task, "what is handed over counts as left");
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_another_has_begun_or_ended_is_not_gone_on_with() {
        for (state, description, is_another) in [
            ("pending", "In progress [here]", false),
            ("pending", "In progress [there]", true),
            ("pending", "Testing in progress [there]", true),
            ("pending", "Not yet tested", false),
            ("pending", "Not yet tested (direct trigger)", false),
            ("error", "Internal error [there]", true),
            ("failure", "Container exited with code 1 [there]", true),
            ("success", "Success [here]", true),
            ("warning", "a word of Gitea's", false),
        ] {
            let json = serde_json::json!({"context": "c", "state": state, "description": description});
            let stands: Status = serde_json::from_value(json).unwrap();
            assert_eq!(is_anothers(&stands, "here"), is_another, "{stands:?}");
        }
    }
}
