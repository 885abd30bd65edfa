//! The log of a program of ours, as it grows.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::Value;

/// Reads what is new.
pub(super) struct Tail {
    file: PathBuf,
    read: u64,
    /// A line whose end is not there yet.
    rest: Vec<u8>,
}

impl Tail {
    pub(super) fn new(file: &Path) -> Self {
        Self { file: file.to_owned(), read: 0, rest: Vec::new() }
    }

    /// The events since the last look. What a command of a task prints there is none.
    pub(super) fn events(&mut self) -> Result<Vec<Value>> {
        let context = || format!("cannot read {}", self.file.display());
        let mut file = File::open(&self.file).with_context(context)?;
        file.seek(SeekFrom::Start(self.read)).with_context(context)?;
        self.read += file.read_to_end(&mut self.rest).with_context(context)? as u64;
        let complete = self.rest.iter().rposition(|it| *it == b'\n').map_or(0, |at| at + 1);
        let lines: Vec<u8> = self.rest.drain(..complete).collect();
        Ok(lines.split(|it| *it == b'\n').filter_map(|it| serde_json::from_slice(it).ok()).collect())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn gives_each_event_once_and_no_half_ones() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        let mut tail = Tail::new(file.path());
        write!(file, "{{\"a\":1}}\nplain\n{{\"b\"").unwrap();
        assert_eq!(tail.events().unwrap(), [serde_json::json!({"a": 1})]);
        writeln!(file, ":2}}").unwrap();
        assert_eq!(tail.events().unwrap(), [serde_json::json!({"b": 2})]);
        assert_eq!(tail.events().unwrap(), Vec::<Value>::new());
    }
}
