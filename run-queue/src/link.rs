//! The connection of a role, as its slots and runs see it: it comes and goes, and they stay.

use std::sync::{Arc, OnceLock};

use common::broker::{BrokerError, Publisher, Session, Watched};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::metrics::Standing;

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

    /// Returns when the session is lost. From then on its deliveries and claims are others' to take. `tell` is told of each alarm of the
    /// broker, and of its end.
    pub(crate) async fn lost(&self, tell: impl Fn(Standing)) -> BrokerError {
        let tell = |is_blocked| tell(if is_blocked { Standing::Blocked } else { Standing::Open });
        let Watched { error, last_heard } = self.session.watch(&self.publisher, tell).await;
        self.last_heard.get_or_init(|| last_heard);
        self.ended.cancel();
        error
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
