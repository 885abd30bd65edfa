//! A role of a worker: some queues, some slots, one handler; session after session.

use std::sync::Arc;

use common::broker::{Broker, BrokerError, Contract, Session, Sessions};
use common::lifecycle::{Exit, Lifecycle};
use common::queue::Queue;
use common::service::ReadyPart;
use futures_util::future::join_all;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::estate::{Estate, Resumed};
use crate::handler::Handler;
use crate::link::Linked;
use crate::metrics::Standing;
use crate::runs::Runs;
use crate::settings::Drain;
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
    /// What becomes of it when the process is to end.
    pub(crate) drain: Drain,
    pub(crate) ready: ReadyPart,
}

impl<H: Handler> Role<H> {
    /// Works until the process is asked to end and what was begun has ended.
    pub(crate) async fn work(&self, broker: Broker, lifecycle: &Lifecycle) {
        let (tell, link) = watch::channel(None);
        let (finds, found) = mpsc::channel(1);
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
            let Some(mut estate) = Estate::open(found).await else { return };
            let unfit = || self.stands(Standing::Unfit);
            broker.fit(&self.contract, &done, unfit, async |pause| self.rest(pause, &mut estate).await).await;
            let sessions = Sessions::new(broker, self.name, done.clone());
            self.connect(sessions, estate, &tell, &slot, &done).await;
        };
        // Who is to end begins nothing, not even again.
        let looking = self.look(finds, lifecycle.stopping());
        tokio::join!(working, connecting, looking);
    }

    /// One session after the other.
    async fn connect(
        &self,
        mut sessions: Sessions,
        mut estate: Estate<H::Left>,
        tell: &watch::Sender<Option<Arc<Linked>>>,
        slot: &Slot<H>,
        done: &CancellationToken,
    ) {
        while let Some(session) = sessions.next(async |pause| self.rest(pause, &mut estate).await).await {
            let error = match prepared(session, &self.contract).await {
                Err(error) => error,
                Ok(linked) => {
                    // What runs takes its claims again before anything is consumed: then its messages find it.
                    slot.runs.back(&linked).await;
                    self.take_up(&mut estate, slot, &linked).await;
                    tell.send_replace(Some(Arc::clone(&linked)));
                    self.stands(Standing::Open);
                    let lost = tokio::select! {
                        lost = done.run_until_cancelled(linked.lost(|it| self.stands(it))) => lost,
                        never = self.inherit(&mut estate, slot, &linked) => match never {},
                    };
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
            resumed: Resumed::default(),
            stopping: lifecycle.stopping().clone(),
            handover: match self.drain {
                Drain::HandOver => lifecycle.stopping().clone(),
                Drain::Finish(_) => CancellationToken::new(),
            },
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
        let (leaving, handover) = (alone.leaving().clone(), CancellationToken::new());
        let slot = Slot { handover, leaving, ..self.slot(lifecycle) };
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
