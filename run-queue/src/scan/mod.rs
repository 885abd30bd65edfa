//! Scanning: events become tasks. [`decide`] is a pure function of what is asked for, what the forge says now, and the
//! configuration. [`Engine`] is the thin shell around it, which events ([`Scanner`]), programs and sweeps share.

mod allow_list;
mod context;
mod decide;
mod engine;
mod found;
pub mod issue;
mod job;
mod live;
mod merged;
pub mod programs;
mod scanner;
mod settings;
mod subject;
mod sweep;
mod template;
mod test_map;
pub mod trigger;
mod wire;

pub use allow_list::AllowList;
pub use context::{Project, TestContext};
pub use decide::{Asked, Decision, Skipped, decide};
pub use engine::{Decisions, Engine};
pub use found::{Found, Posting};
pub use job::{BotsPull, JobContext, job_task};
pub use live::{LiveScanSettings, ScanSource, SettingsWatch};
pub use scanner::Scanner;
pub use settings::{ScanArgs, ScanSettings};
pub use subject::Subject;
pub use sweep::{SweepMetrics, SweepSettings, Sweeper, Swept};
pub use template::{InvalidTemplate, Template};
pub use test_map::{Listed, TestMap};
