//! One run of the same work at a time in this process: two messages can ask for the same, and two slots can take them together.
//! Across processes that needs claims.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use common::id::{CommitSha, Context, ForgeName, RepoName, TaskId};

/// What makes two messages ask for the same work.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Key {
    /// Both report here.
    Status { forge: ForgeName, repo: RepoName, sha: CommitSha, context: Context },
    /// Work that reports nothing is only the same as itself, delivered again while its last run is still cleaning up.
    Message(TaskId),
}

/// What runs in this process now.
#[derive(Clone, Debug, Default)]
pub struct Running(Arc<Mutex<HashSet<Key>>>);

impl Running {
    /// The turn to do this work, until the answer is dropped; none while somebody else has it.
    pub(super) fn begin(&self, key: Key) -> Option<Turn> {
        let begun = self.keys().insert(key.clone());
        begun.then(|| Turn { running: self.clone(), key })
    }

    /// No code panics while it holds the lock, so a poisoned one holds what it should.
    fn keys(&self) -> MutexGuard<'_, HashSet<Key>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// See [`Running::begin`].
#[derive(Debug)]
pub(super) struct Turn {
    running: Running,
    key: Key,
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.running.keys().remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(context: &str) -> Key {
        Key::Status {
            forge: ForgeName::new("github").unwrap(),
            repo: RepoName::new("o/r").unwrap(),
            sha: CommitSha::new("abcdef").unwrap(),
            context: Context::new(context).unwrap(),
        }
    }

    #[test]
    fn the_same_work_has_one_turn_at_a_time() {
        let running = Running::default();
        let turn = running.begin(key("debian")).unwrap();
        assert!(running.clone().begin(key("debian")).is_none());
        assert!(running.begin(key("fedora")).is_some());
        drop(turn);
        assert!(running.begin(key("debian")).is_some());
        assert!(running.keys().is_empty(), "nothing is kept of what has ended");
    }

    #[test]
    fn a_turn_ends_with_a_panic() {
        let running = Running::default();
        let within = running.clone();
        let panicked = std::thread::spawn(move || {
            let _turn = within.begin(key("debian"));
            panic!("as a handler may");
        });
        assert!(panicked.join().is_err());
        assert!(running.begin(key("debian")).is_some());
    }
}
