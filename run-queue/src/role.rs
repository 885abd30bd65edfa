//! A role of a worker: some queues, some slots, one handler; session after session.

use std::sync::{Arc, Mutex, PoisonError};

use common::Chain;
use common::broker::{Broker, BrokerError, Claimed, Contract, Session, Sessions, Take};
use common::lifecycle::{Exit, Lifecycle};
use common::queue::Queue;
use common::service::ReadyPart;
use futures_util::future::join_all;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::handler::{Handler, Remains};
use crate::link::Linked;
use crate::metrics::Standing;
use crate::runs::Runs;
use crate::settle::Settler;
use crate::slot::Slot;

/// What a worker does with some queues.
pub(crate) struct Role<H> {
    /// How its connection is called.
    pub(crate) name: &'static str,
    /// Where work comes from.
    pub(crate) queues: Vec<Queue>,
    /// What it needs of a broker.
    pub(crate) contract: Contract,
    /// How much is done at once.
    pub(crate) slots: usize,
    /// Who does it.
    pub(crate) handler: Arc<H>,
    /// How often, and how it is told.
    pub(crate) settler: Settler,
    pub(crate) ready: ReadyPart,
}

impl<H: Handler> Role<H> {
    /// Works until the process is asked to end and what was begun has ended.
    pub(crate) async fn work(&self, broker: Broker, lifecycle: &Lifecycle) {
        let (tell, link) = watch::channel(None);
        let slot = self.slot(lifecycle);
        let done = CancellationToken::new();
        let working = async {
            join_all((0..self.slots).map(|_| slot.work(link.clone()))).await;
            slot.runs.ended().await;
            done.cancel();
        };
        // What runs needs the broker for as long as it runs.
        let connecting = async {
            self.stands(Standing::Down);
            broker.fit(&self.contract, &done, || self.stands(Standing::Unfit)).await;
            self.connect(Sessions::new(broker, self.name, done.clone()), &tell, &slot, &done).await;
        };
        tokio::join!(working, connecting);
    }

    /// One session after the other.
    async fn connect(
        &self,
        mut sessions: Sessions,
        tell: &watch::Sender<Option<Arc<Linked>>>,
        slot: &Slot<H>,
        done: &CancellationToken,
    ) {
        let mut left = self.handler.left().await;
        while let Some(session) = sessions.next().await {
            let error = match prepared(session, &self.contract).await {
                Err(error) => error,
                Ok(linked) => {
                    // What runs takes its claims again before anything is consumed: then its messages find it.
                    slot.runs.back(&linked).await;
                    left = self.take_up(left, slot, &linked).await;
                    tell.send_replace(Some(Arc::clone(&linked)));
                    self.stands(Standing::Open);
                    let lost = done.run_until_cancelled(linked.lost(|it| self.stands(it))).await;
                    self.stands(Standing::Down);
                    tell.send_replace(None);
                    match lost {
                        Some(error) => error,
                        None => return linked.session.close().await,
                    }
                }
            };
            sessions.ended(&error);
        }
    }

    /// Goes on with what another process of this host has left, unless another worker has begun it. What could not be found out is
    /// returned, for the next session.
    async fn take_up(&self, left: Vec<H::Left>, slot: &Slot<H>, linked: &Arc<Linked>) -> Vec<H::Left> {
        let mut unclear = Vec::new();
        for left in left {
            let message = left.message();
            match linked.session.claim(left.claim(), message.queue, Take::Left).await {
                Ok(Claimed::Ours(claim)) => {
                    if self.handler.is_open(&left).await {
                        tracing::info!(task.id = %message.headers.id, "goes on with what another process has left");
                        let over = slot.resume(left, claim, linked);
                        slot.resumed.lock().unwrap_or_else(PoisonError::into_inner).push(over);
                        continue;
                    }
                    tracing::info!(task.id = %message.headers.id, "another worker has ended what was left here");
                    self.handler.give_up(left).await;
                    if let Err(error) = claim.release(&linked.session).await {
                        tracing::warn!(error = %Chain(&error), "the claim could not be given up");
                    }
                }
                Ok(Claimed::ByAnother | Claimed::FromAnotherQueue | Claimed::Left) => {
                    tracing::info!(task.id = %message.headers.id, "another worker has begun what was left here");
                    self.handler.give_up(left).await;
                }
                Err(error) => {
                    tracing::warn!(error = %Chain(&error), "the claim on what was left cannot be asked for");
                    unclear.push(left);
                }
            }
        }
        unclear
    }

    /// For operators.
    fn stands(&self, standing: Standing) {
        self.ready.set(standing.ready());
        self.settler.metrics.standing(standing);
    }

    fn slot(&self, lifecycle: &Lifecycle) -> Slot<H> {
        Slot {
            handler: Arc::clone(&self.handler),
            queues: self.queues.clone(),
            settler: self.settler.clone(),
            runs: Runs::default(),
            resumed: Mutex::default(),
            stopping: lifecycle.stopping().clone(),
            leaving: lifecycle.leaving().clone(),
        }
    }

    /// Takes one message, if there is one, and deals with it. Without another session to come, what loses this one is left.
    pub(crate) async fn once(
        &self,
        linked: &Arc<Linked>,
        lifecycle: &Lifecycle,
    ) -> Result<Exit, BrokerError> {
        linked.session.declare(&self.contract.queues).await?;
        let alone = Lifecycle::new();
        let slot = Slot { leaving: alone.leaving().clone(), ..self.slot(lifecycle) };
        for queue in &self.queues {
            let Some(received) = linked.session.take(*queue).await? else { continue };
            let over = slot.begin(received, linked, linked.ended());
            let lost = tokio::select! {
                () = over.cancelled() => None,
                error = linked.lost(|_| {}) => Some(error),
                () = lifecycle.leaving().cancelled() => None,
            };
            alone.leaving().cancel();
            slot.runs.ended().await;
            return lost.map_or(Ok(Exit::Done), Err);
        }
        Ok(Exit::NothingToDo)
    }
}

async fn prepared(session: Session, contract: &Contract) -> Result<Arc<Linked>, BrokerError> {
    session.declare(&contract.queues).await?;
    Linked::new(session).await.map(Arc::new)
}
