//! A tar archive of an image's root, the same bytes for the same content.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use tar::{Builder, EntryType, Header};

/// An archive in memory; a few tens of megabytes.
pub(super) struct Archive {
    tar: Builder<Vec<u8>>,
    names: BTreeSet<String>,
}

impl Default for Archive {
    fn default() -> Self {
        Self { tar: Builder::new(Vec::new()), names: BTreeSet::new() }
    }
}

impl Archive {
    pub(super) fn folder(&mut self, name: &str, mode: u32) -> Result<()> {
        self.add(EntryType::Directory, name, mode, &[])
    }

    pub(super) fn text(&mut self, name: &str, text: &str) -> Result<()> {
        self.add(EntryType::Regular, name, 0o644, text.as_bytes())
    }

    /// Adds a file of this machine, or what its link points to, as an executable.
    pub(super) fn file(&mut self, name: &str, source: &Path) -> Result<()> {
        let content = fs::read(source).with_context(|| format!("cannot read {}", source.display()))?;
        self.add(EntryType::Regular, name, 0o755, &content)
    }

    pub(super) fn link(&mut self, name: &str, target: &str) -> Result<()> {
        let name = name.trim_start_matches('/');
        if !self.names.insert(name.to_owned()) {
            return Ok(());
        }
        let mut header = header(EntryType::Symlink, 0o777, 0);
        self.tar.append_link(&mut header, name, target).with_context(|| format!("cannot add {name}"))
    }

    pub(super) fn finish(self) -> Result<Vec<u8>> {
        self.tar.into_inner().context("cannot finish the archive")
    }

    /// The first one of a name wins.
    fn add(&mut self, kind: EntryType, name: &str, mode: u32, content: &[u8]) -> Result<()> {
        let name = name.trim_start_matches('/');
        if !self.names.insert(name.to_owned()) {
            return Ok(());
        }
        let mut header = header(kind, mode, content.len() as u64);
        self.tar.append_data(&mut header, name, content).with_context(|| format!("cannot add {name}"))
    }
}

/// Owner, group and time are always 0.
fn header(kind: EntryType, mode: u32, size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(size);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header
}
