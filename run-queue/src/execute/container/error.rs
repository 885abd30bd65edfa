//! What the engine does not do.

use std::process::ExitStatus;

use super::engine::ANSWER;
use super::entries::NotAnEntry;

/// The engine did not do what it was asked. None of these is the fault of the code under test.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// It is not there.
    #[error("the container engine `{program}` cannot be started")]
    Missing {
        /// Its first word.
        program: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It refused.
    #[error("`{engine} {verb}` ended with {status}: {words}")]
    Refused {
        /// Its words.
        engine: String,
        /// What it was asked.
        verb: &'static str,
        /// What it ended with.
        status: ExitStatus,
        /// The end of what it said.
        words: String,
    },
    /// A pipe to it, or a file of its output, failed.
    #[error("{what}")]
    Io {
        /// Which.
        what: &'static str,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It does not answer.
    #[error("`{engine} {verb}` has not ended within {} s", ANSWER.as_secs())]
    Silent {
        /// Its words.
        engine: String,
        /// What it was asked.
        verb: &'static str,
    },
    /// It answered something else than what was asked for.
    #[error("`{engine} {verb}` answered {answer:?}")]
    Answer {
        /// Its words.
        engine: String,
        /// What it was asked.
        verb: &'static str,
        /// Its answer.
        answer: String,
    },
    /// The container never ran.
    #[error("the container {name} was made and never ran")]
    NeverRan {
        /// Its name.
        name: String,
    },
    /// Nobody knows how the container ended.
    #[error("the container {name} has ended, and its monitor, which knows how, does not say so")]
    Lost {
        /// Its name.
        name: String,
    },
    /// The file of a container's output is not in the format that was asked for.
    #[error("the file of the container's output")]
    Format(#[from] NotAnEntry),
}

impl From<EngineError> for std::io::Error {
    fn from(error: EngineError) -> Self {
        Self::other(error)
    }
}
