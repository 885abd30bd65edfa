//! Answers that are kept, so that a forge need only say that they are still true: GitHub does not count that.
//!
//! An entry belongs to one forge, one address (so each page is one) and one form of the answer; never to a credential: the forge
//! is asked each time, and says no to who may not see it. What is kept in memory is bounded in bytes; with a folder, it is bounded
//! there as well, and outlives the process.

mod disk;
mod entry;
mod memory;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use reqwest::Url;
use reqwest::header::HeaderValue;

use self::disk::Disk;
pub(super) use self::entry::Entry;
use self::entry::Key;
use self::memory::Memory;
use super::answer::Answer;
use crate::Clock;
use crate::id::ForgeName;

/// The answers of one forge. Clones are the same one.
#[derive(Clone, Debug)]
pub(super) struct Cache {
    forge: ForgeName,
    memory: Arc<Mutex<Memory>>,
    disk: Option<Arc<Disk>>,
}

impl Cache {
    /// Keeps `bytes` in memory at most. Touches no file yet.
    pub(super) fn new(forge: ForgeName, bytes: usize, folder: Option<PathBuf>, clock: Clock) -> Self {
        let disk = folder.map(|it| Arc::new(Disk::new(it, clock)));
        Self { forge, memory: Arc::new(Mutex::new(Memory::new(bytes))), disk }
    }

    /// What an address said last in this form.
    pub(super) async fn find(&self, url: &Url, accept: &HeaderValue) -> Option<Arc<Entry>> {
        let key = Key::new(&self.forge, url, accept)?;
        let found = self.memory().find(&key);
        if found.is_some() {
            return found;
        }
        let disk = Arc::clone(self.disk.as_ref()?);
        let sought = key.clone();
        let entry = blocking(move || disk.find(&sought)).await??;
        let entry = Arc::new(entry);
        self.memory().keep(key, Arc::clone(&entry));
        Some(entry)
    }

    /// Keeps an answer, if it can be asked for again by its validator.
    pub(super) async fn keep(&self, url: &Url, accept: &HeaderValue, answer: &Answer) {
        let Some((key, entry)) = Key::new(&self.forge, url, accept).zip(Entry::of(answer)) else { return };
        let entry = Arc::new(entry);
        self.memory().keep(key.clone(), Arc::clone(&entry));
        if let Some(disk) = self.disk.clone() {
            blocking(move || disk.keep(&key, &entry)).await;
        }
    }

    /// No code panics while it holds the lock.
    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Files are read and written beside the other work; a thread that dies costs an entry, no more.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    tokio::task::spawn_blocking(work).await.ok()
}
