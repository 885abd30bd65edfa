//! What the command-line programs `tests-scan`, `issue-scan` and `tests-trigger` do. Their `main` functions read the command line
//! and call this.

mod failure;
mod options;
mod origin;
mod sink;
mod tests_scan;

pub use failure::{EXIT_CODES, Failure, end};
pub use options::{Common, Configured, Output};
pub use tests_scan::TestsScan;
