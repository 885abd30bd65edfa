//! Answers in memory: those that were of use last.

use std::collections::HashMap;
use std::sync::Arc;

use super::entry::{Entry, Key};

/// When it is full, this share of it is given up at once, so that the search for the oldest is rare.
const GIVEN_UP: usize = 8;

/// A map that forgets what has not been asked for the longest.
#[derive(Debug)]
pub(super) struct Memory {
    entries: HashMap<Key, Kept>,
    bytes: usize,
    most: usize,
    /// Counts uses.
    turn: u64,
}

#[derive(Debug)]
struct Kept {
    entry: Arc<Entry>,
    bytes: usize,
    used: u64,
}

impl Memory {
    pub(super) fn new(most: usize) -> Self {
        Self { entries: HashMap::new(), bytes: 0, most, turn: 0 }
    }

    pub(super) fn find(&mut self, key: &Key) -> Option<Arc<Entry>> {
        self.turn += 1;
        let kept = self.entries.get_mut(key)?;
        kept.used = self.turn;
        Some(Arc::clone(&kept.entry))
    }

    /// What would take all of the room is not kept.
    pub(super) fn keep(&mut self, key: Key, entry: Arc<Entry>) {
        self.turn += 1;
        let bytes = entry.size(&key);
        if let Some(old) = self.entries.remove(&key) {
            self.bytes -= old.bytes;
        }
        if bytes > self.most / 2 {
            return;
        }
        self.bytes += bytes;
        self.entries.insert(key, Kept { entry, bytes, used: self.turn });
        if self.bytes > self.most {
            self.forget();
        }
    }

    fn forget(&mut self) {
        let mut by_use: Vec<_> = self.entries.iter().map(|(key, it)| (it.used, key.clone())).collect();
        by_use.sort_unstable_by_key(|(used, _)| *used);
        let room = self.most - self.most / GIVEN_UP;
        for (_, key) in by_use {
            if self.bytes <= room {
                return;
            }
            if let Some(old) = self.entries.remove(&key) {
                self.bytes -= old.bytes;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::entry::tests::{entry, key};
    use super::*;

    fn keep(memory: &mut Memory, url: &str, length: usize) {
        memory.keep(key(url), Arc::new(entry(&"x".repeat(length))));
    }

    #[test]
    fn what_was_not_used_the_longest_goes_first() {
        let mut memory = Memory::new(10_000);
        for number in 0..9 {
            keep(&mut memory, &format!("http://x/{number}"), 1000);
        }
        assert!(memory.find(&key("http://x/0")).is_some());
        keep(&mut memory, "http://x/new", 1500);
        assert!(memory.bytes <= 8750, "{}", memory.bytes);
        for (number, there) in [(0, true), (1, false), (2, false), (8, true)] {
            assert_eq!(memory.find(&key(&format!("http://x/{number}"))).is_some(), there, "{number}");
        }
        assert!(memory.find(&key("http://x/new")).is_some());
    }

    #[test]
    fn a_new_answer_takes_the_place_of_the_old_one() {
        let mut memory = Memory::new(10_000);
        keep(&mut memory, "http://x/", 1000);
        keep(&mut memory, "http://x/", 2000);
        assert_eq!((memory.entries.len(), memory.bytes / 1000), (1, 2));
        keep(&mut memory, "http://x/", 9000);
        assert_eq!(
            (memory.entries.len(), memory.bytes),
            (0, 0),
            "too long, and the old one is no longer true"
        );
    }

    #[test]
    fn no_room_is_no_cache() {
        let mut memory = Memory::new(0);
        keep(&mut memory, "http://x/", 1);
        assert!(memory.find(&key("http://x/")).is_none());
    }
}
