//! How the programs fail, what they say then, and with which exit code they end.

use std::io::{self, Write};
use std::process::ExitCode;

use common::Chain;
use common::broker::BrokerError;
use common::config::ConfigError;
use common::forge::ForgeError;
use common::lifecycle::Exit;

/// For `--help`.
pub const EXIT_CODES: &str = "Exit codes: 0 done; 1 what was asked for is not there, or not possible; \
                              2 wrong usage or configuration; 3 the forge, the broker or this machine is at fault.";

/// Why a program did not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The configuration is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The options do not fit together, or lack something.
    #[error("{0}")]
    Usage(String),
    /// What was asked for is not there, or not possible. Old programs say it without their name, and so do we.
    #[error("{0}")]
    Refused(String),
    /// It was said already; only the exit code is left.
    #[error("refused")]
    Said,
    /// The forge, or the way to it.
    #[error(transparent)]
    Forge(#[from] ForgeError),
    /// The broker, or the way to it.
    #[error(transparent)]
    Broker(#[from] BrokerError),
    /// The output could not be written.
    #[error("cannot write the output")]
    Output(#[from] io::Error),
}

impl Failure {
    const fn exit(&self) -> Exit {
        match self {
            // A certificate that cannot be used is a matter of configuration, though it is read late.
            Self::Config(_)
            | Self::Usage(_)
            | Self::Broker(BrokerError::Secret { .. })
            | Self::Forge(ForgeError::Settings { .. }) => Exit::Usage,
            Self::Refused(_) | Self::Said => Exit::NothingToDo,
            Self::Forge(_) | Self::Broker(_) | Self::Output(_) => Exit::Crashed,
        }
    }
}

/// The end of a program: says what went wrong, if something did.
pub fn end(program: &str, done: Result<(), Failure>) -> ExitCode {
    let Err(failure) = done else { return Exit::Done.code() };
    // Where even this fails there is nobody to tell.
    let _ = match &failure {
        Failure::Said => Ok(()),
        Failure::Refused(text) => writeln!(io::stderr(), "{text}"),
        // Whoever reads has had enough.
        Failure::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => writeln!(io::stderr(), "{program}: {}", Chain(other)),
    };
    failure.exit().code()
}
