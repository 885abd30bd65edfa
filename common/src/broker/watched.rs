//! A session, watched to its end.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use tokio::time::{Instant, sleep};

use super::session::{LIMIT, SessionEvent};
use super::{BrokerError, Publisher, Session};

/// How often the broker is asked for a sign of life. An answer may take ten seconds ([`super::session::LIMIT`]), so a broker that falls
/// silent is noticed within fifteen.
const PROBE_EVERY: Duration = Duration::from_secs(5);

/// The client library notices by itself when a peer has been silent for two heartbeats.
const SILENCE: Duration = Duration::from_secs(30);

/// The end of a session.
#[derive(Debug)]
pub struct Watched {
    /// Why.
    pub error: BrokerError,
    /// The last moment at which the broker is known to have had us.
    pub last_heard: Instant,
}

impl Session {
    /// Returns when the session is lost, or this publisher of it. `tell` is told whether the broker has an alarm, each time that this
    /// changes.
    ///
    /// During an alarm only the connection's own events count: a broker that reads nothing answers no question, and another session
    /// would be no better off, while the broker would keep this one's claims for a worker that has left it.
    pub async fn watch(&self, publisher: &Publisher, tell: impl Fn(bool)) -> Watched {
        follow(|| self.event(), || publisher.broken(), || self.probe(), tell).await
    }
}

async fn follow(
    event: impl AsyncFn() -> SessionEvent,
    broken: impl AsyncFn() -> BrokerError,
    probe: impl AsyncFn() -> Result<(), BrokerError>,
    tell: impl Fn(bool),
) -> Watched {
    let mut last_heard = Moment::now();
    let mut is_blocked = false;
    let error = loop {
        let event = tokio::select! {
            biased;
            error = broken(), if !is_blocked => break error,
            event = event() => event,
            error = silence(&probe, &mut last_heard), if !is_blocked => break error,
        };
        match event {
            SessionEvent::Blocked(_) => is_blocked = true,
            SessionEvent::Unblocked => is_blocked = false,
            SessionEvent::Lost(error) => break error,
        }
        tell(is_blocked);
        last_heard = Moment::now();
    };
    let age = if is_blocked { last_heard.age().min(SILENCE) } else { last_heard.age() };
    let now = Instant::now();
    Watched { error, last_heard: now.checked_sub(age).unwrap_or(now) }
}

/// A moment whose age counts the time, too, in which this machine slept.
#[derive(Clone, Copy)]
struct Moment {
    at: Instant,
    booted: Duration,
}

impl Moment {
    fn now() -> Self {
        Self { at: Instant::now(), booted: since_boot() }
    }

    fn age(self) -> Duration {
        self.at.elapsed().max(since_boot().saturating_sub(self.booted))
    }
}

fn since_boot() -> Duration {
    clock_gettime(ClockId::Boottime).try_into().unwrap_or_default()
}

/// Who answers has heard the question: so the broker was there when it was asked, and may have been gone right after. Who stood still
/// asks nobody, as it cannot wait for the answer: what it has may be another's.
async fn silence(probe: &impl AsyncFn() -> Result<(), BrokerError>, last_heard: &mut Moment) -> BrokerError {
    loop {
        let before = Moment::now();
        sleep(PROBE_EVERY).await;
        if before.age() > PROBE_EVERY + LIMIT {
            let seconds = before.age().as_secs();
            return BrokerError::Lost(format!("this process or its machine stood still for {seconds} s"));
        }
        let asked = Moment::now();
        match probe().await {
            Ok(()) => *last_heard = asked,
            Err(error) => return error,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};

    use tokio::sync::{Mutex, mpsc, watch};

    use super::*;

    fn lost(why: &str) -> BrokerError {
        BrokerError::Lost(why.to_owned())
    }

    /// What comes of these events, one a minute, where the publisher breaks during the first alarm.
    async fn follow_an_alarm(events: Vec<SessionEvent>) -> (String, Vec<bool>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        let (receiver, (breaks, broken)) = (Mutex::new(receiver), watch::channel(false));
        let told = RefCell::new(Vec::new());
        let tell = |is_blocked| {
            told.borrow_mut().push(is_blocked);
            if is_blocked {
                breaks.send_replace(true);
            }
        };
        let event = async || receiver.lock().await.recv().await.unwrap();
        let broken = async || {
            broken.clone().wait_for(|it| *it).await.unwrap();
            lost("the publisher broke")
        };
        let happen = async {
            for event in events {
                sleep(Duration::from_mins(1)).await;
                sender.send(event).unwrap();
            }
            std::future::pending::<()>().await;
        };
        let watched = tokio::select! {
            watched = follow(event, broken, async || Ok(()), tell) => watched,
            () = happen => unreachable!("it never ends"),
        };
        (watched.error.to_string(), told.into_inner())
    }

    #[tokio::test(start_paused = true)]
    async fn a_publisher_that_breaks_during_an_alarm_ends_the_session_after_it() {
        let events = vec![SessionEvent::Blocked(String::new()), SessionEvent::Unblocked];
        let (error, told) = follow_an_alarm(events).await;
        assert!(error.ends_with("the publisher broke"), "{error}");
        assert_eq!(told, [true, false]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_is_lost_during_an_alarm_ends_the_session_at_once() {
        let events = vec![SessionEvent::Blocked(String::new()), SessionEvent::Lost(lost("the broker ended"))];
        let (error, told) = follow_an_alarm(events).await;
        assert!(error.ends_with("the broker ended"), "{error}");
        assert_eq!(told, [true]);
    }

    #[tokio::test(start_paused = true)]
    async fn who_stood_still_was_last_heard_before() {
        let begun = Instant::now();
        let quiet = async || std::future::pending().await;
        let stand_still = async {
            sleep(Duration::from_secs(7)).await;
            tokio::time::advance(Duration::from_mins(3)).await;
            std::future::pending::<()>().await;
        };
        let watched = tokio::select! {
            watched = follow(quiet, async || std::future::pending().await, async || Ok(()), |_| {}) => watched,
            () = stand_still => unreachable!("it never ends"),
        };
        assert!(watched.error.to_string().contains("stood still"), "{}", watched.error);
        assert_eq!((watched.last_heard - begun).as_secs(), 5);
    }

    #[tokio::test(start_paused = true)]
    async fn a_broker_that_falls_silent_is_noticed_and_was_last_heard_when_it_was_asked() {
        let begun = Instant::now();
        let answers = Cell::new(3);
        let probe = async || {
            if answers.replace(answers.get() - 1) > 0 {
                return Ok(());
            }
            sleep(Duration::from_secs(10)).await;
            Err(lost("no answer"))
        };
        let quiet = async || std::future::pending().await;
        let watched = follow(quiet, async || std::future::pending().await, probe, |_| {}).await;
        assert!(watched.error.to_string().ends_with("no answer"), "{}", watched.error);
        assert_eq!((watched.last_heard - begun).as_secs(), 15);
        assert_eq!(begun.elapsed().as_secs(), 30);
    }
}
