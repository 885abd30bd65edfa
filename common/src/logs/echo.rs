//! A second reader of a log, while it grows: a person at a terminal.

use std::fmt;

use tokio::io::{AsyncWrite, AsyncWriteExt};

/// Where a log is shown as it grows, beside where it is kept.
#[derive(Default)]
pub struct Echo(Option<Box<dyn AsyncWrite + Send + Unpin>>);

impl fmt::Debug for Echo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Echo(…)" } else { "Echo(none)" })
    }
}

impl Echo {
    /// Nowhere.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// There.
    #[must_use]
    pub fn to(out: impl AsyncWrite + Send + Unpin + 'static) -> Self {
        Self(Some(Box::new(out)))
    }

    /// Shows more of the log; returns when it is out.
    pub(super) async fn show(&mut self, text: &[u8]) {
        let Some(out) = &mut self.0 else { return };
        let shown = async {
            out.write_all(text).await?;
            out.flush().await
        };
        if let Err(error) = shown.await {
            tracing::debug!(%error, "nobody watches the log any more");
            self.0 = None;
        }
    }
}
