//! How a job ends: the table of the wire facts.

use common::forge::StatusState;
use common::id::{PullNumber, RepoName};
use common::task::Minutes;

/// How a job ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Exit 0.
    Success,
    /// Another exit code.
    Exited(i32),
    /// It ran longer than it may.
    TimedOut(Minutes),
    /// Its pull was closed.
    Closed(RepoName, PullNumber),
    /// Its pull has another head.
    Changed(RepoName, PullNumber),
    /// What the job or its repository asks for is not what it should be, with the reason.
    Refused(String),
    /// Not the user's code: with the chain of errors.
    Internal(String),
    /// It was cancelled. Where its delivery was lost, or the process leaves, the task will be delivered again, and nothing is told
    /// to the forge; who runs it by hand and stops it tells.
    Abandoned,
}

impl Verdict {
    /// The state that the forge is told.
    #[must_use]
    pub const fn state(&self) -> StatusState {
        match self {
            Self::Success => StatusState::Success,
            Self::Exited(_) | Self::TimedOut(_) | Self::Refused(_) | Self::Closed(..) | Self::Changed(..) => {
                StatusState::Failure
            }
            Self::Internal(_) | Self::Abandoned => StatusState::Error,
        }
    }

    /// Whether it says nothing about the tested code.
    #[must_use]
    pub const fn is_trouble(&self) -> bool {
        matches!(self, Self::Internal(_) | Self::Abandoned)
    }

    /// The description, without the host.
    #[must_use]
    pub fn description(&self) -> String {
        match self {
            Self::Success => "Success".to_owned(),
            Self::Exited(code) => format!("Container exited with code {code}"),
            Self::TimedOut(Minutes(minutes)) => format!("Timeout after {minutes} minutes"),
            Self::Closed(repo, number) => format!("{repo}#{number} is closed"),
            Self::Changed(repo, number) => format!("{repo}#{number} changed"),
            Self::Refused(reason) => reason.clone(),
            Self::Internal(_) => "Internal error".to_owned(),
            Self::Abandoned => "Cancelled".to_owned(),
        }
    }

    /// The last line of the log.
    #[must_use]
    pub fn trailer(&self) -> String {
        match self {
            Self::Success => "Job ran successfully.  :)".to_owned(),
            Self::Internal(chain) => format!("*** Internal error: {chain}"),
            Self::Abandoned => "*** Job cancelled".to_owned(),
            failure => format!("*** Failure: {}", failure.description()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endings_are_told_in_the_words_of_the_wire_facts() {
        let pull = || ("o/r".parse().unwrap(), PullNumber::new(5).unwrap());
        let (repo, number) = pull();
        let closed = Verdict::Closed(repo, number);
        let (repo, number) = pull();
        let changed = Verdict::Changed(repo, number);
        for (verdict, state, description, trailer) in [
            (Verdict::Success, StatusState::Success, "Success", "Job ran successfully.  :)"),
            (
                Verdict::Exited(2),
                StatusState::Failure,
                "Container exited with code 2",
                "*** Failure: Container exited with code 2",
            ),
            (
                Verdict::TimedOut(Minutes(30)),
                StatusState::Failure,
                "Timeout after 30 minutes",
                "*** Failure: Timeout after 30 minutes",
            ),
            (closed, StatusState::Failure, "o/r#5 is closed", "*** Failure: o/r#5 is closed"),
            (changed, StatusState::Failure, "o/r#5 changed", "*** Failure: o/r#5 changed"),
            (Verdict::Refused("no image".into()), StatusState::Failure, "no image", "*** Failure: no image"),
            (Verdict::Abandoned, StatusState::Error, "Cancelled", "*** Job cancelled"),
            (
                Verdict::Internal("a: b".into()),
                StatusState::Error,
                "Internal error",
                "*** Internal error: a: b",
            ),
        ] {
            assert_eq!(verdict.state(), state);
            assert_eq!(verdict.description(), description);
            assert_eq!(verdict.trailer(), trailer);
        }
    }
}
