//! Bad moments of a bucket, on demand.

use std::fmt;
use std::time::Duration;

use super::{Recorded, S3Server};

/// What happens to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It gets this status instead of its answer, and an error of that code.
    Status(u16, &'static str),
    /// It gets nothing, and the connection stays.
    Hang,
    /// The connection breaks before it is read.
    Reset,
    /// It is done, and the connection breaks before the answer.
    LoseAnswer,
    /// It waits this long before it is done.
    Slow(Duration),
    /// It gets 200, and an error in the body, as S3 does when it has promised too much.
    LateError,
}

impl Fault {
    /// What a bucket with too much to do says.
    pub const BUSY: Self = Self::Status(503, "SlowDown");
    /// What a bucket says to a key that may not.
    pub const FORBIDDEN: Self = Self::Status(403, "AccessDenied");
}

type Choice = Box<dyn Fn(&Recorded) -> bool + Send + Sync>;

struct Rule {
    choice: Choice,
    left: usize,
    fault: Fault,
}

/// Which requests meet which faults.
#[derive(Default)]
pub(super) struct Schedule(Vec<Rule>);

impl fmt::Debug for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|it| (it.left, it.fault))).finish()
    }
}

impl Schedule {
    /// The fault of this request, which is used up by it. Who only reads, without a signature, meets none.
    pub(super) fn meet(&mut self, request: &Recorded) -> Option<Fault> {
        if !request.signed {
            return None;
        }
        let rule = self.0.iter_mut().find(|it| it.left > 0 && (it.choice)(request))?;
        rule.left -= 1;
        Some(rule.fault)
    }
}

impl S3Server {
    /// The next `n` requests meet this.
    pub fn fail_next(&self, n: usize, fault: Fault) {
        self.fail_those(n, fault, |_| true);
    }

    /// The next `n` requests that `choice` is true for meet this.
    pub fn fail_those(
        &self,
        n: usize,
        fault: Fault,
        choice: impl Fn(&Recorded) -> bool + Send + Sync + 'static,
    ) {
        let rule = Rule { choice: Box::new(choice), left: n, fault };
        self.shared.change(|state| state.schedule.0.push(rule));
    }

    /// Faults that nobody met yet are called off.
    pub fn no_more_faults(&self) {
        self.shared.change(|state| state.schedule.0.clear());
    }
}
