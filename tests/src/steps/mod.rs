//! What a program does that others can see, step by step, so that a test can kill it at each one.
//!
//! The stand-ins tell of a step before it has an effect, and again when it has had it and before the program hears of that. At the
//! one that the test has chosen they stop, until the test has killed the program: then the step is cut off.
//!
//! | stand-in | its steps |
//! |---|---|
//! | the forge, the bucket | a request |
//! | the mail server | a mail |
//! | [`WatchedBroker`], a proxy before the broker | a message published or settled, a queue declared or deleted, a consumer |
//! | [`WatchedEngine`], a program in the place of podman | a command |

mod broker;
mod engine;
mod frames;

use std::fmt;

use anyhow::Result;
use tokio::sync::watch;

pub use self::broker::WatchedBroker;
pub use self::engine::WatchedEngine;

/// Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Steps(watch::Sender<State>);

#[derive(Debug, Default)]
struct State {
    seen: Vec<String>,
    point: Option<Point>,
    reached: bool,
}

/// Where a program is to be killed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Point {
    /// The step's name.
    pub step: String,
    /// Which one of this name, from 1.
    pub number: usize,
    pub moment: Moment,
}

/// When, at a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Moment {
    /// It has no effect.
    Before,
    /// It has its effect, and the program does not know.
    After,
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { step, number, moment } = self;
        write!(f, "{moment:?} {step} #{number}")
    }
}

/// The program is dead, and hears no more of its step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut;

/// A step that is taken.
#[derive(Debug)]
#[must_use = "say when it has its effect"]
pub struct Step {
    steps: Steps,
    is_last: bool,
}

impl Steps {
    /// Forgets what was seen, and kills nobody.
    pub fn begin(&self) {
        self.0.send_replace(State::default());
    }

    /// The same, and stops at this point.
    pub fn stop_at(&self, point: &Point) {
        self.0.send_replace(State { point: Some(point.clone()), ..State::default() });
    }

    /// The names of the steps that were taken, in their order.
    pub fn seen(&self) -> Vec<String> {
        self.0.borrow().seen.clone()
    }

    /// Each step that was taken, before and after it; of those that come again and again the first `most` of a name.
    pub fn points(&self, most: usize) -> Vec<Point> {
        let (mut points, seen) = (Vec::new(), self.seen());
        for (at, step) in seen.iter().enumerate() {
            let number = seen.iter().take(at + 1).filter(|it| *it == step).count();
            if number <= most {
                let point = |moment| Point { step: step.clone(), number, moment };
                points.extend([point(Moment::Before), point(Moment::After)]);
            }
        }
        points
    }

    /// Returns when the point is reached.
    pub async fn reached(&self) {
        // It cannot fail, as this is one of the senders.
        let _ = self.0.subscribe().wait_for(|it| it.reached).await;
    }

    /// The program is dead: its step is cut off, and there is no such point any more.
    pub fn cut(&self) {
        self.begin();
    }

    /// Somebody is about to take a step.
    pub async fn before(&self, name: &str) -> Result<Step, Cut> {
        let mut moment = None;
        self.0.send_modify(|state| {
            state.seen.push(name.to_owned());
            let number = state.seen.iter().filter(|it| *it == name).count();
            let here = state.point.as_ref().filter(|it| it.step == name && it.number == number);
            moment = here.map(|it| it.moment);
        });
        if moment == Some(Moment::Before) {
            return Err(self.stop().await);
        }
        Ok(Step { steps: self.clone(), is_last: moment.is_some() })
    }

    async fn stop(&self) -> Cut {
        let mut changes = self.0.subscribe();
        self.0.send_modify(|it| it.reached = true);
        let _ = changes.wait_for(|it| !it.reached).await;
        Cut
    }
}

impl Step {
    /// It has had its effect, and whoever took it is about to be told.
    pub async fn after(self) -> Result<(), Cut> {
        if self.is_last { Err(self.steps.stop().await) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_step_is_cut_off_before_or_after_its_effect() {
        let steps = Steps::default();
        for name in ["a", "b", "a", "a"] {
            steps.before(name).await.unwrap().after().await.unwrap();
        }
        let points: Vec<_> = steps.points(2).iter().map(ToString::to_string).collect();
        assert_eq!(
            points,
            ["Before a #1", "After a #1", "Before b #1", "After b #1", "Before a #2", "After a #2"]
        );
        for moment in [Moment::Before, Moment::After] {
            steps.stop_at(&Point { step: "a".to_owned(), number: 2, moment });
            steps.before("a").await.unwrap().after().await.unwrap();
            let second = async {
                match steps.before("a").await {
                    Ok(step) => (true, step.after().await),
                    Err(Cut) => (false, Err(Cut)),
                }
            };
            let kill = async {
                steps.reached().await;
                steps.cut();
            };
            assert_eq!(tokio::join!(second, kill).0, (moment == Moment::After, Err(Cut)));
            steps.before("a").await.unwrap().after().await.unwrap();
        }
    }
}
