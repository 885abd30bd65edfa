//! How the programs fail, what they say then, and with which exit code they end.

use std::io::{self, Write};
use std::process::ExitCode;

use common::Chain;
use common::broker::BrokerError;
use common::config::ConfigError;
use common::lifecycle::Exit;

use crate::body::Refusal;

/// For `--help`.
pub const EXIT_CODES: &str = "Exit codes: 0 done; 1 no such message in `dead`; 2 wrong usage or configuration, or refused; \
                              3 the broker, the connection to it or this machine is at fault.";

/// Why a program did not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The configuration is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// No queue of the fleet has this name.
    #[error("unknown queue `{asked}`: there are {known}")]
    UnknownQueue {
        /// The name.
        asked: String,
        /// The names that there are on this broker.
        known: String,
    },
    /// The message may not be published.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The queue is not there, and nobody said to make it.
    #[error("queue `{0}` does not exist on this broker; --create makes it")]
    NoQueue(String),
    /// No message in `dead` has this id.
    #[error("no message `{0}` in `dead` (inspect-queue --queue dead shows what there is)")]
    NotDead(String),
    /// From `dead` to `dead`.
    #[error("--from-dead takes messages out of `dead`: --queue cannot be `dead`")]
    BackToDead,
    /// Messages in `dead` that were to go back do not say where to.
    #[error(
        "{0} of the messages in `dead` do not say which queue they came from, and stay there; --queue says where they belong"
    )]
    Homeless(u32),
    /// The broker, or the way to it.
    #[error(transparent)]
    Broker(#[from] BrokerError),
    /// Something on this machine.
    #[error("cannot {what}")]
    Machine {
        /// What was tried.
        what: &'static str,
        /// The system's words.
        #[source]
        source: io::Error,
    },
}

impl Failure {
    /// For `map_err`.
    pub fn machine(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Machine { what, source }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Config(_)
            | Self::UnknownQueue { .. }
            | Self::Refused(_)
            | Self::NoQueue(_)
            | Self::BackToDead
            | Self::Homeless(_)
            // A certificate that cannot be used is a matter of configuration, though it is read late.
            | Self::Broker(BrokerError::Secret { .. }) => Exit::Usage,
            Self::NotDead(_) => Exit::NothingToDo,
            Self::Broker(_) | Self::Machine { .. } => Exit::Crashed,
        }
    }
}

/// The end of a program: says what went wrong, if something did.
pub fn end(program: &str, done: Result<(), Failure>) -> ExitCode {
    let exit = done.map_or_else(
        |failure| {
            // Where even this fails there is nobody to tell.
            let _ = writeln!(io::stderr(), "{program}: {}", Chain(&failure));
            failure.exit()
        },
        |()| Exit::Done,
    );
    exit.code()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_operator_can_mend_is_told_from_what_the_broker_must() {
        let silent = BrokerError::Lost("x".to_owned());
        assert_eq!(Failure::Broker(silent).exit(), Exit::Crashed);
        assert_eq!(Failure::NoQueue("public".to_owned()).exit(), Exit::Usage);
        assert_eq!(Failure::NotDead("x".to_owned()).exit(), Exit::NothingToDo);
    }
}
