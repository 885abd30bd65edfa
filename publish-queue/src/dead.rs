//! Putting messages of `dead` back, and dropping them.

use common::broker::{Broker, BrokerError, Fate, Received, Session, Sifted};
use common::id::TaskId;
use common::queue::{Queue, QueueNames};

use crate::Failure;
use crate::publish::PROGRAM;

/// Which messages are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Which {
    /// All that are there now.
    All,
    /// The one of this id; several where the same was put there more than once.
    One(String),
}

impl From<&str> for Which {
    fn from(text: &str) -> Self {
        if text == "all" { Self::All } else { Self::One(text.to_owned()) }
    }
}

/// What is to become of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// Back into the queue that each says it came from, or into this one where it says none.
    Return(Which, Option<Queue>),
    /// Deleted.
    Drop(TaskId),
}

/// Does it, and says how many that were. What was done before an error stays done, and all that is left is in `dead` as it was.
pub async fn tend(broker: &Broker, order: &Order) -> Result<Sifted, Failure> {
    let session = broker.connect(PROGRAM).await?;
    let tended = sift(&session, &broker.queues, order).await;
    session.close().await;
    let (sifted, homeless) = tended?;
    match order {
        _ if homeless > 0 => Err(Failure::Homeless(homeless)),
        Order::Return(Which::One(id), _) if sifted.returned == 0 => Err(Failure::NotDead(id.clone())),
        Order::Drop(id) if sifted.dropped == 0 => Err(Failure::NotDead(id.to_string())),
        Order::Return(..) | Order::Drop(_) => Ok(sifted),
    }
}

/// Also counts those that were asked for and do not say where they came from.
async fn sift(session: &Session, names: &QueueNames, order: &Order) -> Result<(Sifted, u32), BrokerError> {
    let mut homeless = 0;
    let decide = |received: &Received| {
        let from = received.burial().and_then(|it| it.from);
        let id = received.headers().id.as_str();
        order.on(id, from.as_deref(), names).unwrap_or_else(|Homeless| {
            homeless += 1;
            Fate::Stay
        })
    };
    let sifted = session.sift_dead(decide).await?;
    Ok((sifted, homeless))
}

/// It is to go back, and nobody knows where to.
#[derive(Debug, PartialEq, Eq)]
struct Homeless;

impl Order {
    fn on(&self, id: &str, from: Option<&str>, names: &QueueNames) -> Result<Fate, Homeless> {
        let (which, otherwise) = match self {
            Self::Drop(dropped) if dropped.as_str() == id => return Ok(Fate::Drop),
            Self::Drop(_) => return Ok(Fate::Stay),
            Self::Return(which, otherwise) => (which, otherwise),
        };
        if let Which::One(asked) = which
            && asked != id
        {
            return Ok(Fate::Stay);
        }
        let origin = from.and_then(|it| names.parse(it)).filter(|it| *it != Queue::Dead);
        origin.or(*otherwise).map(Fate::Return).ok_or(Homeless)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_goes_back_to_where_it_came_from() {
        let names = QueueNames::with_internal("rhel").unwrap();
        let all = |otherwise| Order::Return("all".into(), otherwise);
        assert_eq!(all(None).on("a", Some("rhel"), &names), Ok(Fate::Return(Queue::Internal)));
        assert_eq!(all(Some(Queue::Public)).on("a", Some("rhel"), &names), Ok(Fate::Return(Queue::Internal)));
        for unknown in [None, Some("of-yesterday"), Some("dead")] {
            assert_eq!(all(None).on("a", unknown, &names), Err(Homeless));
            assert_eq!(all(Some(Queue::Public)).on("a", unknown, &names), Ok(Fate::Return(Queue::Public)));
        }
    }

    #[test]
    fn nobody_else_is_touched() {
        let names = QueueNames::default();
        let one = Order::Return("a".into(), None);
        assert_eq!(one.on("a", Some("public"), &names), Ok(Fate::Return(Queue::Public)));
        assert_eq!(one.on("b", None, &names), Ok(Fate::Stay));
        let drop = Order::Drop(TaskId::new("a").unwrap());
        assert_eq!(drop.on("a", None, &names), Ok(Fate::Drop));
        assert_eq!(drop.on("b", Some("public"), &names), Ok(Fate::Stay));
    }
}
