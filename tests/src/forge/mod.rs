//! A stand-in for a forge: GitHub's REST API over loopback HTTP, with state.
//!
//! ```no_run
//! # use common::id::{BranchName, CommitSha, RepoName};
//! # use std::time::Duration;
//! # async fn example() -> anyhow::Result<()> {
//! use tests::forge::{Access, FakeForge, Hook, NewPull, StatusRecord};
//!
//! let forge = FakeForge::start(Access::Token("secret".to_owned())).await?;
//! let (repo, main) = (RepoName::new("octo/app")?, BranchName::new("main")?);
//! forge.add_repo(&repo, &main, &CommitSha::new("0".repeat(40))?);
//!
//! let head = CommitSha::new("1".repeat(40))?;
//! let (number, opened) = forge.open_pull(&repo, NewPull::new("A change", "octocat", head.clone(), main))?;
//! Hook::new("http://127.0.0.1:8080/", "webhook secret")?.deliver(&opened).await?;
//!
//! let status = forge.wait_for_status(&repo, &head, "unit-tests", Duration::from_secs(5), StatusRecord::is_final).await?;
//! forge.close(&repo, number)?;
//! forge.finish().await
//! # }
//! ```
//!
//! Verbs change the state and give the [`Delivery`] that GitHub would send for it. Routes that it does not model are
//! answered 501, and [`FakeForge::finish`] fails with their list.

mod dialect;
mod fake;
mod fault;
mod hooks;
mod journal;
mod payload;
mod rate;
mod routes;
mod server;
mod state;
mod validate;
mod verbs;
mod webhook;

pub use dialect::Dialect;
pub use fake::{Access, FakeForge};
pub use fault::{Fault, Reply};
pub use hooks::DeliveryRecord;
pub use journal::Recorded;
pub use payload::Field;
pub use state::{IssueRecord, NewPull, PullRecord, StatusRecord};
pub use validate::Validators;
pub use webhook::{Delivered, Delivery, Hook, sign, sign_sha1};
