//! What the command-line programs `tests-scan`, `issue-scan` and `tests-trigger` do. Their `main` functions read the command line
//! and call this.

mod failure;
mod issue_scan;
mod options;
mod origin;
mod sink;
mod tests_scan;
mod tests_trigger;

pub use failure::{EXIT_CODES, Failure, end};
pub use issue_scan::IssueScan;
pub use options::{Common, Configured, Output};
pub use tests_scan::TestsScan;
pub use tests_trigger::TestsTrigger;
