//! A role of a worker: some queues, some slots, one handler; session after session.

use std::sync::Arc;
use std::time::Duration;

use common::Chain;
use common::broker::{Broker, BrokerError, Session, Sessions};
use common::lifecycle::{Exit, Lifecycle};
use common::queue::Queue;
use common::service::ReadyPart;
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
    pub(crate) ready: ReadyPart,
}

impl<H: Handler> Role<H> {
    /// Works until the process is asked to end and what was begun has ended.
    pub(crate) async fn work(&self, broker: Broker, lifecycle: &Lifecycle) {
        let mut sessions = Sessions::new(broker, self.name, lifecycle.stopping().clone());
        while let Some(session) = sessions.next().await {
            let ended = self.session(&session, lifecycle).await;
            self.ready.set(false);
            match ended {
                Ok(()) => {
                    session.close().await;
                    return;
                }
                Err(error) => sessions.ended(&error),
            }
        }
    }

    /// One session, to the end of its connection. What runs then is told, and has ended when this returns: the broker gives its
    /// messages to others. A slot that loses its own channel costs the others nothing, and begins anew.
    async fn session(&self, session: &Session, lifecycle: &Lifecycle) -> Result<(), BrokerError> {
        session.declare(&Queue::ALL).await?;
        let slot = self.slot(session, lifecycle).await?;
        let mut slots = FuturesUnordered::new();
        for _ in 0..self.slots {
            slots.push(self.slot_of(session, &slot, Duration::ZERO));
        }
        self.ready.set(true);
        let mut first = Ok(());
        loop {
            let ended = tokio::select! {
                ended = slots.next() => match ended {
                    Some(ended) => ended,
                    None => return first,
                },
                error = session.lost(), if first.is_ok() => SlotEnd::Session(error),
            };
            match ended {
                SlotEnd::Channel(error)
                    if first.is_ok() && session.is_connected() && !slot.publisher.is_broken() =>
                {
                    tracing::warn!(error = %Chain(&error), role = self.name, "a slot lost its channel and begins anew");
                    slots.push(self.slot_of(session, &slot, SLOT_PAUSE));
                }
                SlotEnd::Channel(error) | SlotEnd::Session(error) if first.is_ok() => {
                    slot.epoch.cancel();
                    first = Err(error);
                }
                SlotEnd::Stopped | SlotEnd::Channel(_) | SlotEnd::Session(_) => {}
            }
        }
    }

    async fn slot_of(&self, session: &Session, slot: &Slot<H>, pause: Duration) -> SlotEnd {
        tokio::time::sleep(pause).await;
        match session.intake(&self.queues).await {
            Err(error) => SlotEnd::Session(error),
            Ok(intake) => slot.run(intake).await.map_or_else(SlotEnd::Channel, |()| SlotEnd::Stopped),
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
                let dealing = slot.deal_with(received, &slot.epoch);
                tokio::pin!(dealing);
                return tokio::select! {
                    dealt = &mut dealing => dealt.map(|()| Exit::Done),
                    error = session.lost() => {
                        slot.epoch.cancel();
                        let _ = dealing.await;
                        Err(error)
                    }
                };
            }
        }
        Ok(Exit::NothingToDo)
    }
}

/// How a slot ends.
enum SlotEnd {
    /// It was told to.
    Stopped,
    /// Its own channel is gone.
    Channel(BrokerError),
    /// It could not begin, or the connection is gone.
    Session(BrokerError),
}

/// Before a slot that lost its channel begins anew.
const SLOT_PAUSE: Duration = Duration::from_secs(1);
