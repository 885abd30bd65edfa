//! From an archive that nobody trusts to numbered files of ours; nothing that the archive says becomes a path.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use common::logs::{AttachmentLimits, AttachmentName, LeftOut};
use tar::{Entry, EntryType};

use super::super::folder::{LockedFolder, OwnFolder};

/// What the names of the folders begin with that archives are unpacked in.
const PREFIX: &str = "flotilla-attachments-";
/// Of a name that is left out, so much is shown.
const SHOWN: usize = 200;

/// What was in an archive. The folder goes with it.
pub(super) struct Unpacked {
    /// What is kept, and where it is. Of two of one name it is the later one, as everywhere in archives.
    pub(super) files: BTreeMap<AttachmentName, PathBuf>,
    pub(super) left_out: LeftOut,
    /// Whether the archive goes on, and was not read to its end.
    pub(super) is_cut: bool,
    /// The names that are folders of what is kept.
    folders: BTreeSet<String>,
    folder: OwnFolder,
    bytes: u64,
    count: usize,
}

/// Reads an archive, to its end or for so many bytes.
pub(super) fn unpack(
    stream: impl Read,
    scratch: &Path,
    limits: AttachmentLimits,
    most_read: u64,
) -> io::Result<Unpacked> {
    let folder = OwnFolder::make(scratch, PREFIX)?;
    let mut unpacked = Unpacked {
        files: BTreeMap::new(),
        left_out: LeftOut::default(),
        is_cut: false,
        folders: BTreeSet::new(),
        folder,
        bytes: 0,
        count: 0,
    };
    let mut archive = tar::Archive::new(stream);
    for entry in archive.entries()? {
        let mut entry = entry?;
        if entry.header().entry_type() == EntryType::Directory {
            continue;
        }
        let raw = entry.path_bytes().into_owned();
        if let Err(reason) = unpacked.keep(&mut entry, &raw, limits)? {
            unpacked.left_out.add(shown(&raw), reason);
        }
        let end = entry.raw_file_position().saturating_add(entry.header().entry_size()?);
        if end > most_read {
            let reason = format!("what comes after {} is too far away", shown(&raw));
            unpacked.left_out.add("and others, maybe", reason);
            unpacked.is_cut = true;
            return Ok(unpacked);
        }
    }
    // What comes after the end of the archive is padding; whoever writes it must not find nobody there.
    io::copy(&mut archive.into_inner(), &mut io::sink())?;
    Ok(unpacked)
}

/// Removes what workers have left there that were killed while they unpacked.
pub(in super::super) fn remove_abandoned(scratch: &Path) {
    for folder in LockedFolder::abandoned(scratch, PREFIX) {
        let folder = folder.own();
        tracing::warn!(folder = %folder.path().display(), "attachments were left by a worker that is gone, and are removed");
    }
}

impl Unpacked {
    /// Takes a file, or says why not.
    fn keep(
        &mut self,
        entry: &mut Entry<'_, impl Read>,
        raw: &[u8],
        limits: AttachmentLimits,
    ) -> io::Result<Result<(), String>> {
        let name = match self.name(raw, entry.header().entry_type()) {
            Ok(name) => name,
            Err(reason) => return Ok(Err(reason)),
        };
        if let Some(reason) = self.excess(entry.size(), limits) {
            return Ok(Err(reason));
        }
        let path = self.folder.path().join(self.count.to_string());
        store(entry, &path)?;
        self.count += 1;
        self.bytes += entry.size();
        self.folders.extend(folders(name.as_str()).map(str::to_owned));
        self.files.insert(name, path);
        Ok(Ok(()))
    }

    fn name(&self, raw: &[u8], kind: EntryType) -> Result<AttachmentName, String> {
        match kind {
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {}
            EntryType::Symlink => return Err("it is a symbolic link, not a regular file".to_owned()),
            EntryType::Link => return Err("it is a second name of a file, not a file of its own".to_owned()),
            _ => return Err("it is not a regular file".to_owned()),
        }
        let name = AttachmentName::new(raw).map_err(|it| it.reason().to_owned())?;
        let is_file = |it: &str| AttachmentName::new(it).is_ok_and(|it| self.files.contains_key(&it));
        if self.folders.contains(name.as_str()) || folders(name.as_str()).any(is_file) {
            return Err("a file and a folder have the same name".to_owned());
        }
        Ok(name)
    }

    /// Why a file of so many bytes is too much.
    fn excess(&self, bytes: u64, limits: AttachmentLimits) -> Option<String> {
        if bytes > limits.largest {
            Some(format!("it is larger than {} bytes", limits.largest))
        } else if self.count >= limits.files {
            Some(format!("there are more than {} files", limits.files))
        } else if self.bytes.saturating_add(bytes) > limits.bytes {
            Some(format!("together they are larger than {} bytes", limits.bytes))
        } else {
            None
        }
    }
}

/// The folders that a file is in.
fn folders(name: &str) -> impl Iterator<Item = &str> {
    name.match_indices('/').map(|(at, _)| &name[..at])
}

/// Fit for a log.
fn shown(raw: &[u8]) -> String {
    String::from_utf8_lossy(raw).escape_debug().take(SHOWN).collect()
}

fn store(entry: &mut impl Read, path: &Path) -> io::Result<()> {
    let mut file = std::fs::File::create_new(path)?;
    io::copy(entry, &mut file)?;
    file.flush()
}

#[cfg(test)]
mod tests;
