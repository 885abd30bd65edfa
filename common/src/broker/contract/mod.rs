//! Whether a broker fits a role: what is there, how it was made, and what this credential may do. It is looked at before any work is
//! taken, and by itself with `--check-broker`.
//!
//! Nothing of the fleet's is touched. What may be done in a family of queues is tried on a queue of our own that goes with the
//! connection; what may be done with a queue that others use is asked in a way that the broker refuses *after* it has looked at our
//! permissions (the broker's log shows that as a channel error).

mod answer;
mod greeting;
mod parts;
mod publishing;
mod report;

use std::time::Duration;

use tokio_util::sync::CancellationToken;

pub use self::report::{Fit, Report, Row};
use super::{Broker, BrokerError, Session};
use crate::lifecycle::Exit;
use crate::queue::Queue;
use crate::{Chain, pauses};

/// What a role needs of a broker.
#[derive(Clone, Debug)]
pub struct Contract {
    /// How the role and its connection are called.
    pub role: &'static str,
    /// Queues that have to be there; the role makes them where they are not.
    pub queues: Vec<Queue>,
    /// Queues that it takes messages from, or looks into.
    pub reads: Vec<Queue>,
    /// Queues whose retries wait in rooms that it makes or looks into.
    pub rooms: Vec<Queue>,
    /// Whether it runs its work under claims.
    pub claims: bool,
    /// Whether it takes locks.
    pub locks: bool,
    /// How long it may hold a delivery.
    pub holds: Option<Duration>,
}

impl Broker {
    /// Looks at it as this role. An error is the connection's; all else is in the report.
    pub async fn check(&self, contract: &Contract) -> Result<Report, BrokerError> {
        let greeting = self.greeting().await;
        let session = self.connect(contract.role).await?;
        let mut report = Report::new(contract.role);
        report.server(self, greeting);
        session.check(contract, &mut report).await?;
        // A connection that the broker does not read cannot be closed in good order.
        if !report.is_blocked() {
            session.close().await;
        }
        Ok(report)
    }

    /// Returns when it fits, or when it is time to stop. What does not fit may be mended while we wait: queues are made anew,
    /// permissions are given, brokers come back. Until then each look is in the log, with all that is wrong, and `rest` is what the
    /// pauses between looks are spent with.
    pub async fn fit(
        &self,
        contract: &Contract,
        stop: &CancellationToken,
        unfit: impl Fn(),
        mut rest: impl AsyncFnMut(Duration),
    ) {
        let mut pauses = pauses::growing(FIRST_PAUSE, LAST_PAUSE);
        loop {
            let Some(is_fit) = stop.run_until_cancelled(self.is_fit(contract)).await else { return };
            match is_fit {
                Ok(true) => return,
                Ok(false) => unfit(),
                Err(error) => {
                    tracing::warn!(error = %Chain(&error), role = contract.role, "the broker cannot be looked at yet");
                }
            }
            let pause = pauses.next().unwrap_or(LAST_PAUSE).min(LAST_PAUSE);
            if stop.run_until_cancelled(rest(pause)).await.is_none() {
                return;
            }
        }
    }

    /// Whether nothing must be mended first; what must is in the log.
    pub async fn is_fit(&self, contract: &Contract) -> Result<bool, BrokerError> {
        let report = self.check(contract).await?;
        report.log();
        Ok(!report.is_wrong())
    }

    /// For `--check-broker`: prints what each role finds. The broker fits, does not, or cannot be looked at with this configuration.
    pub async fn print_check(&self, contracts: &[Contract]) -> Exit {
        let mut exit = Exit::Done;
        for contract in contracts {
            let report = match self.check(contract).await {
                Ok(report) => report,
                Err(error) => {
                    let mut report = Report::new(contract.role);
                    report.add(Row::new("connection", Fit::Wrong, Chain(&error).to_string()));
                    if matches!(error, BrokerError::Secret { .. }) {
                        exit = Exit::Usage;
                    }
                    report
                }
            };
            report.print();
            if exit == Exit::Done && !report.fits() {
                exit = Exit::NothingToDo;
            }
        }
        exit
    }
}

const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LAST_PAUSE: Duration = Duration::from_secs(30);

impl Session {
    /// Publishing comes last: under an alarm the broker reads nothing more of this connection.
    async fn check(&self, contract: &Contract, report: &mut Report) -> Result<(), BrokerError> {
        for queue in &contract.queues {
            report.add(self.check_queue(*queue, contract).await?);
        }
        for family in self.families(contract) {
            report.add(self.check_family(&family).await?);
        }
        self.check_publishing(contract, report).await?;
        report.deadline(contract.holds);
        Ok(())
    }
}
