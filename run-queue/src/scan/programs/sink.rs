//! Where what was found goes.

use std::io::{self, Write};

use common::broker::{Broker, Headers, Publisher, Session};
use common::id::{CommitSha, Context, RepoName};
use common::queue::Queue;
use common::task::{Job, Kind};

use super::super::{Found, wire};
use super::Failure;

/// What is done with a task.
pub(super) enum Sink {
    /// Its job is printed.
    Jobs,
    /// It is printed as it would be queued.
    Entries,
    /// Its line for people is printed.
    Lines,
    /// Its line for people is printed at the end, in descending order.
    Descending(Vec<Found>),
    /// It is queued.
    Queue(Box<(Session, Publisher)>),
}

impl Sink {
    /// One that queues. The queues exist afterwards.
    pub(super) async fn queue(broker: &Broker, program: &'static str) -> Result<Self, Failure> {
        let session = broker.connect(program).await?;
        session.declare(&[Queue::Public, Queue::Internal]).await?;
        let publisher = session.publisher().await?;
        Ok(Self::Queue(Box::new((session, publisher))))
    }

    /// Takes what was found; what is to be queued is confirmed when this returns.
    pub(super) async fn take(&mut self, found: Vec<Found>) -> Result<(), Failure> {
        match self {
            Self::Descending(all) => all.extend(found),
            Self::Lines => lines(&found)?,
            Self::Jobs => {
                for job in found.iter().filter_map(job) {
                    writeln!(io::stdout(), "{}", wire::indented(job))?;
                }
            }
            Self::Entries => {
                for it in &found {
                    writeln!(io::stdout(), "{}", wire::body(&it.task))?;
                }
            }
            Self::Queue(broker) => {
                for it in &found {
                    let message = it.outgoing(Headers::fresh());
                    broker.1.publish(&message).await?;
                    let (task, queue) = (it.task.human.as_deref(), it.queue);
                    tracing::info!(task, %queue, message.id = %message.headers.id, "queued");
                }
            }
        }
        Ok(())
    }

    /// Prints what waits for the end, and ends.
    pub(super) async fn end(self) -> Result<(), Failure> {
        match self {
            Self::Jobs | Self::Entries | Self::Lines => {}
            Self::Descending(all) => lines(descending(&all))?,
            Self::Queue(broker) => broker.0.close().await,
        }
        Ok(())
    }
}

fn lines<'a>(found: impl IntoIterator<Item = &'a Found>) -> io::Result<()> {
    let mut out = io::stdout();
    found.into_iter().try_for_each(|it| writeln!(out, "{}", it.task.human.as_deref().unwrap_or_default()))
}

fn job(found: &Found) -> Option<&Job> {
    match &found.task.kind {
        Kind::Job(job) => Some(job),
        Kind::Command(_) | Kind::Statistics(_) => None,
    }
}

/// What lines are sorted by; the number of the pull is compared as a text, as the old scanner does.
type Place<'a> = (&'a RepoName, Option<&'a CommitSha>, Option<&'a Context>, Option<String>);

/// By repository, commit and context, in descending order.
fn descending(all: &[Found]) -> Vec<&Found> {
    fn place(found: &Found) -> Option<Place<'_>> {
        let job = job(found)?;
        Some((&job.repo, job.sha.as_ref(), job.context.as_ref(), job.pull.map(|it| it.to_string())))
    }
    let mut sorted: Vec<&Found> = all.iter().collect();
    sorted.sort_by(|a, b| place(b).cmp(&place(a)));
    sorted
}
