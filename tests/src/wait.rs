//! Waiting for what nobody tells of: it is looked at again and again, with pauses that leave the processors to others.

use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::fleet::DEADLINE;

const PAUSE: Duration = Duration::from_millis(20);

/// Waits until this is so; an error says what was waited for.
pub async fn until(what: &str, mut is_so: impl AsyncFnMut() -> Result<bool>) -> Result<()> {
    until_some(what, async || Ok(is_so().await?.then_some(()))).await
}

/// Waits until there is something.
pub async fn until_some<T>(what: &str, mut look: impl AsyncFnMut() -> Result<Option<T>>) -> Result<T> {
    let looking = async {
        loop {
            if let Some(found) = look().await? {
                return Ok(found);
            }
            tokio::time::sleep(PAUSE).await;
        }
    };
    tokio::time::timeout(DEADLINE, looking).await.with_context(|| format!("waited in vain for {what}"))?
}
