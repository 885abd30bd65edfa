//! The connection of a role, as its slots and runs see it: it comes and goes, and they stay.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use common::broker::{BrokerError, Publisher, Session, SessionEvent};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::metrics::Standing;

/// How often the broker is asked for a sign of life. An answer may take ten seconds (`common::broker`), so a broker that falls silent
/// is noticed within fifteen.
const PROBE_EVERY: Duration = Duration::from_secs(5);

/// The client library notices by itself when a peer has been silent for two heartbeats (`common::broker`).
const SILENCE: Duration = Duration::from_secs(30);

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
    ///
    /// While the broker has an alarm, which `tell` is told, only the connection's own events count: a broker that reads nothing answers
    /// no question, another session would be no better off, and the broker would keep this one's claims for a worker that has left it.
    pub(crate) async fn lost(&self, tell: impl Fn(Standing)) -> BrokerError {
        let mut heard = Instant::now();
        let mut is_blocked = false;
        let error = loop {
            let event = tokio::select! {
                event = self.session.event() => event,
                error = self.publisher.broken(), if !is_blocked => break error,
                error = self.probe(&mut heard), if !is_blocked => break error,
            };
            match event {
                SessionEvent::Blocked(_) => is_blocked = true,
                SessionEvent::Unblocked => is_blocked = false,
                SessionEvent::Lost(error) => break error,
            }
            tell(if is_blocked { Standing::Blocked } else { Standing::Open });
            heard = Instant::now();
        };
        if is_blocked {
            heard = heard.max(Instant::now().checked_sub(SILENCE).unwrap_or(heard));
        }
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
