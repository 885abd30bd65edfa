//! The connection of a role, as its slots and runs see it: it comes and goes, and they stay.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use common::broker::{BrokerError, Publisher, Session};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How often the broker is asked for a sign of life. An answer may take ten seconds (`common::broker`), so a broker that falls silent
/// is noticed within fifteen.
const PROBE_EVERY: Duration = Duration::from_secs(5);

/// A session that works, and what goes with it.
#[derive(Debug)]
pub(crate) struct Linked {
    pub(crate) session: Session,
    pub(crate) publisher: Publisher,
    ended: CancellationToken,
    last_heard: OnceLock<Instant>,
}

/// Where the session of the moment can be had; none while there is none.
pub(crate) type Link = watch::Receiver<Option<Arc<Linked>>>;

impl Linked {
    pub(crate) async fn new(session: Session) -> Result<Self, BrokerError> {
        let publisher = session.publisher().await?;
        Ok(Self { session, publisher, ended: CancellationToken::new(), last_heard: OnceLock::new() })
    }

    /// Returns when the session is lost. From then on its deliveries and claims are others' to take.
    pub(crate) async fn lost(&self) -> BrokerError {
        let mut heard = Instant::now();
        let error = tokio::select! {
            error = self.session.lost() => error,
            error = self.publisher.broken() => error,
            error = self.probe(&mut heard) => error,
        };
        self.last_heard.get_or_init(|| heard);
        self.ended.cancel();
        error
    }

    /// Who answers has heard the question: so the broker was there when it was asked, and may have been gone right after.
    async fn probe(&self, heard: &mut Instant) -> BrokerError {
        loop {
            tokio::time::sleep(PROBE_EVERY).await;
            let asked = Instant::now();
            match self.session.probe().await {
                Ok(()) => *heard = asked,
                Err(error) => return error,
            }
        }
    }

    /// Cancelled when the session is lost.
    pub(crate) const fn ended(&self) -> &CancellationToken {
        &self.ended
    }

    /// The last moment at which the broker is known to have had us. To be asked when the session is lost.
    pub(crate) fn last_heard(&self) -> Instant {
        *self.last_heard.get_or_init(Instant::now)
    }
}

/// The session, as soon as there is one; none when there will be no other.
pub(crate) async fn up(link: &mut Link) -> Option<Arc<Linked>> {
    let linked = link.wait_for(|it| it.as_ref().is_some_and(|it| !it.ended.is_cancelled())).await.ok()?;
    linked.clone()
}
