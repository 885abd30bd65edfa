//! What can go wrong, for people: what, where, and what to do.

use std::io;
use std::path::PathBuf;

use jiff::Timestamp;

use crate::validity::{Days, date_time};

/// Why certificates could not be made, written, read or shown.
///
/// No variant ever holds a part of a private key.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Files are in the way. Nothing was written.
    #[error("cannot create {}: {}", list(.paths), remedy(.paths))]
    Exists {
        /// Every file that is in the way.
        paths: Vec<PathBuf>,
    },
    /// A leaf would be valid for longer than the CA that vouches for it.
    #[error(
        "a certificate for {days} days would outlive its CA {}, which is valid until {} ({left} days left): \
         ask for fewer days (--days), or make a new CA",
        .ca.display(), date_time(*.until)
    )]
    OutlivesCa {
        /// What was asked for.
        days: Days,
        /// The CA's certificate.
        ca: PathBuf,
        /// The end of the CA.
        until: Timestamp,
        /// Whole days left to the CA, rounded down.
        left: i64,
    },
    /// A server certificate without a name is of no use to any client.
    #[error("a server certificate needs at least one name (--server-name)")]
    NoServerName,
    /// The current time cannot be right.
    #[error("the clock says {}: set it before certificates are made (expected the years 2000 to 2199)", date_time(*.now))]
    Clock {
        /// The time that was passed in.
        now: Timestamp,
    },
    /// The CA is from the future, so the clock of one of two machines is wrong.
    #[error("{} is valid only from {}, later than the clock of this machine: check the clock", .ca.display(), date_time(*.from))]
    CaNotValidYet {
        /// The CA's certificate.
        ca: PathBuf,
        /// The beginning of the CA.
        from: Timestamp,
    },
    /// A folder that was named as the CA's has none.
    #[error("there is no CA in {0}: expected {0}/ca.pem and {0}/ca.key; `credentials ca {0}` makes them", .dir.display())]
    NoCa {
        /// The folder.
        dir: PathBuf,
    },
    /// One of the two files of a CA is there, the other is not.
    #[error(
        "{} is there but {} is not, and issuing needs both: bring it back, \
         or name the folder of the whole CA with --ca",
        .present.display(), .missing.display()
    )]
    HalfCa {
        /// The file that is there.
        present: PathBuf,
        /// The file that is not.
        missing: PathBuf,
    },
    /// A folder has a CA of its own, and was given another one.
    #[error(
        "{} is the key of another CA than the one in {}: remove it and its ca.pem, or leave out --ca",
        .key.display(), .ca.display()
    )]
    OtherCa {
        /// The key of the CA in the folder.
        key: PathBuf,
        /// The folder of the other CA.
        ca: PathBuf,
    },
    /// A CA's certificate that must not, or cannot, vouch for others here.
    #[error("{} cannot be used as a CA: {problem}", .path.display())]
    UnusableCa {
        /// The CA's certificate.
        path: PathBuf,
        /// What is wrong with it, and what to do.
        problem: String,
    },
    /// A file that should hold a certificate does not.
    #[error("{} is not a certificate: {problem}", .path.display())]
    NotACertificate {
        /// The file.
        path: PathBuf,
        /// What it is instead, and what to do.
        problem: String,
    },
    /// A file that should hold a private key does not.
    #[error("{} is not a private key that can be used: {problem}", .path.display())]
    NotAKey {
        /// The file.
        path: PathBuf,
        /// What it is instead, and what to do.
        problem: String,
    },
    /// A file could not be read.
    #[error("cannot read {}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file or folder could not be created.
    #[error("cannot create {}", .path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The cryptographic library refused.
    #[error("cannot make {what}")]
    Crypto {
        /// What was being made.
        what: &'static str,
        /// Why not.
        source: rcgen::Error,
    },
}

impl Error {
    /// Whether the request was refused (a file is in the way, an option does not fit), so that
    /// asking differently helps. Everything else is a fault of files or of the machine.
    pub fn is_refusal(&self) -> bool {
        match self {
            Self::Exists { .. } | Self::OutlivesCa { .. } | Self::OtherCa { .. } | Self::NoServerName => true,
            Self::Clock { .. }
            | Self::CaNotValidYet { .. }
            | Self::NoCa { .. }
            | Self::HalfCa { .. }
            | Self::UnusableCa { .. }
            | Self::NotACertificate { .. }
            | Self::NotAKey { .. }
            | Self::Read { .. }
            | Self::Write { .. }
            | Self::Crypto { .. } => false,
        }
    }
}

/// A text that is not the value it should be: a name, a number of days.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{value:?} is not {what}: expected {expected}")]
pub struct InvalidValue {
    /// What the text should have been, with its article.
    pub what: &'static str,
    /// The text.
    pub value: String,
    /// What would have been right.
    pub expected: &'static str,
}

fn list(paths: &[PathBuf]) -> String {
    let names: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
    names.join(", ")
}

fn remedy(paths: &[PathBuf]) -> &'static str {
    if paths.len() == 1 { "it exists; --force replaces it" } else { "they exist; --force replaces them" }
}
