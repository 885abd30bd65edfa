//! The job that an item becomes.

use std::collections::BTreeMap;

use common::id::{CommitSha, Context, InvalidId, PullNumber, RepoName, Slug};
use common::queue::{Priority, Queue};
use common::task::{Job, Kind, Minutes, Task, WorkKey};

use super::super::{Engine, Found};
use super::Wanted;

/// The commit that the job is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct At {
    pub(super) sha: CommitSha,
    /// For people: `pull/7/head`, or a branch.
    pub(super) reference: String,
    pub(super) pull: Option<PullNumber>,
}

pub(super) fn found(
    engine: &Engine,
    repo: &RepoName,
    number: PullNumber,
    wanted: &Wanted<'_>,
    at: &At,
) -> Result<Found, InvalidId> {
    let Wanted { item, argument } = wanted;
    let number = number.to_string();
    let values = [("argument", *argument), ("number", number.as_str())];
    let context = Context::new(item.context.fill(&values))?;
    let is_internal = engine.settings.is_internal(context.as_str()) || engine.settings.is_internal(argument);
    let words: Vec<&str> = [item.name.as_str(), argument].into_iter().filter(|it| !it.is_empty()).collect();
    let time = engine.clock.now().strftime("%Y%m%d-%H%M%S");
    let job = Job {
        repo: repo.clone(),
        forge: None,
        sha: Some(at.sha.clone()),
        pull: at.pull,
        branch: None,
        target: None,
        context: Some(context),
        slug: Some(Slug::new(format!("{}-{}-{time}", words.join("-"), at.sha.short(8)))?),
        title: None,
        container: None,
        command: Some(item.command.iter().map(|it| it.fill(&values)).collect()),
        command_subject: None,
        env: BTreeMap::new(),
        secrets: item.secrets.clone(),
        timeout: Minutes::default(),
        report: None,
    };
    let human = format!("issue-{number} {} {}", words.join(" "), at.reference);
    let task = Task { kind: Kind::Job(Box::new(job)), human: Some(human) };
    let queue = if is_internal { Queue::Internal } else { Queue::Public };
    let key = WorkKey::of_task(&task, engine.forge.name());
    Ok(Found { task, queue, priority: Priority::HIGH, key })
}
