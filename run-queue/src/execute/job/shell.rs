//! A shell in the container of a red job, for a person at a terminal.

use std::sync::{Mutex, PoisonError};

use common::Chain;
use tokio_util::sync::CancellationToken;

use super::super::container::{Container, Kept};
use super::super::secrets::GivenSecrets;

/// Room for what a red job leaves. The shell comes after all that others wait for: the container is gone by then, the log is
/// whole, the forge has been told.
#[derive(Debug, Default)]
pub(super) struct Shell(Mutex<Option<Remains>>);

#[derive(Debug)]
struct Remains {
    image: Kept,
    options: Vec<String>,
    /// Their folder goes with them.
    _secrets: GivenSecrets,
}

impl Shell {
    /// Keeps the files of a container that has ended, and what it was given.
    pub(super) async fn keep(&self, container: &mut Container, options: Vec<String>, secrets: GivenSecrets) {
        match container.keep().await {
            Ok(image) => {
                let remains = Remains { image, options, _secrets: secrets };
                *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(remains);
            }
            Err(error) => {
                tracing::error!(error = %Chain(&error), "the container could not be kept: there will be no shell");
            }
        }
    }

    /// Starts the shell, if there is something to look into, and waits until it is left.
    pub(super) async fn open(self, cancelled: &CancellationToken) {
        let remains = self.0.into_inner().unwrap_or_else(PoisonError::into_inner);
        let Some(Remains { image, options, _secrets }) = remains else { return };
        tracing::info!("a shell in the failed container; what it leaves behind goes with it");
        if let Err(error) = image.shell(&options, cancelled).await {
            tracing::error!(error = %Chain(&error), "the shell");
        }
    }
}
