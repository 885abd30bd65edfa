//! Logs in a bucket: a real S3 server over TLS, with faults.

mod attachments;
mod bucket;
mod cost;
mod fleet;
mod large;
mod outage;
mod resume;
mod stand_in;

use std::time::Duration;

use anyhow::{Context, Result};
use common::Clock;
use common::logs::{
    AttachmentLimits, AttachmentName, DEFAULT_FLUSH_AFTER, Destination, Log, S3Settings, S3Store, Store,
};
use tests::s3::S3Server;

/// The log of most tests.
const FOLDER: &str = "o/r/c";

/// A bucket, and logs that go to it.
struct Place {
    server: S3Server,
    destination: Destination,
}

impl Place {
    async fn new() -> Result<Self> {
        Self::with(|_, _| Ok(())).await
    }

    /// With other settings.
    async fn with(change: impl FnOnce(&S3Server, &mut S3Settings) -> Result<()>) -> Result<Self> {
        common::crypto::install();
        let server = S3Server::start().await?;
        let mut settings = server.settings()?;
        change(&server, &mut settings)?;
        let spool = settings.scratch.clone();
        let store = Store::S3(S3Store::new(&settings, Clock::system())?);
        let (flush_after, attachments) = (DEFAULT_FLUSH_AFTER, AttachmentLimits::default());
        Ok(Self { server, destination: Destination { store, spool, flush_after, attachments } })
    }

    async fn open(&self) -> Result<Log> {
        Ok(self.destination.open(&FOLDER.parse()?).await?)
    }

    /// The objects of the log.
    fn names(&self) -> Result<Vec<String>> {
        self.server.keys_below(FOLDER)
    }

    /// What an ended log holds.
    async fn whole(&self) -> Result<String> {
        let log = self.server.get(&format!("{FOLDER}/log")).await?;
        Ok(log.map(|it| String::from_utf8(it.bytes)).transpose()?.unwrap_or_default())
    }
}

fn attachment(name: &str) -> Result<AttachmentName> {
    Ok(AttachmentName::new(name)?)
}

/// What is done in time.
async fn within<T, E: Into<anyhow::Error>>(
    limit: Duration,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T> {
    tokio::time::timeout(limit, work).await.context("it takes too long")?.map_err(Into::into)
}
