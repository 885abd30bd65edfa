//! A role of a worker: some queues, some slots, one handler; session after session.

use std::sync::Arc;

use common::broker::{Broker, BrokerError, Session, Sessions};
use common::lifecycle::{Exit, Lifecycle};
use common::queue::Queue;
use common::service::Readiness;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;

use crate::handler::{Attempts, Handler};
use crate::metrics::Metrics;
use crate::slot::Slot;

/// What a worker does with some queues.
pub(crate) struct Role<H> {
    /// How its connection is called.
    pub(crate) name: &'static str,
    /// Where work comes from.
    pub(crate) queues: Vec<Queue>,
    /// How much is done at once.
    pub(crate) slots: usize,
    /// Who does it.
    pub(crate) handler: Arc<H>,
    /// How often.
    pub(crate) attempts: Attempts,
    pub(crate) metrics: Metrics,
    pub(crate) readiness: Readiness,
}

impl<H: Handler> Role<H> {
    /// Works until the process is asked to end and what was begun has ended.
    pub(crate) async fn work(&self, broker: Broker, lifecycle: &Lifecycle) {
        let mut sessions = Sessions::new(broker, self.name, lifecycle.stopping().clone());
        while let Some(session) = sessions.next().await {
            let ended = self.session(&session, lifecycle).await;
            self.readiness.set(false);
            match ended {
                Ok(()) => {
                    session.close().await;
                    return;
                }
                Err(error) => sessions.ended(&error),
            }
        }
    }

    /// One session, to its first error. What runs then is told, and has ended when this returns: the broker gives its
    /// messages to others.
    async fn session(&self, session: &Session, lifecycle: &Lifecycle) -> Result<(), BrokerError> {
        session.declare(&Queue::ALL).await?;
        let slot = self.slot(session, lifecycle).await?;
        let mut slots = FuturesUnordered::new();
        for _ in 0..self.slots {
            slots.push(slot.run(session.intake(&self.queues).await?));
        }
        self.readiness.set(true);
        let mut first = Ok(());
        loop {
            let ended = tokio::select! {
                ended = slots.next() => match ended {
                    Some(ended) => ended,
                    None => return first,
                },
                error = session.lost(), if first.is_ok() => Err(error),
            };
            if let (Err(error), true) = (ended, first.is_ok()) {
                slot.epoch.cancel();
                first = Err(error);
            }
        }
    }

    async fn slot(&self, session: &Session, lifecycle: &Lifecycle) -> Result<Slot<H>, BrokerError> {
        Ok(Slot {
            handler: Arc::clone(&self.handler),
            publisher: session.publisher().await?,
            attempts: self.attempts,
            metrics: self.metrics.clone(),
            epoch: lifecycle.leaving().child_token(),
            stopping: lifecycle.stopping().clone(),
        })
    }

    /// Takes one message, if there is one, and deals with it.
    pub(crate) async fn once(&self, session: &Session, lifecycle: &Lifecycle) -> Result<Exit, BrokerError> {
        session.declare(&Queue::ALL).await?;
        let slot = self.slot(session, lifecycle).await?;
        for queue in &self.queues {
            if let Some(received) = session.take(*queue).await? {
                slot.deal_with(received).await?;
                return Ok(Exit::Done);
            }
        }
        Ok(Exit::NothingToDo)
    }
}
