//! Removes what a former attempt left. A folder's name comes from a message, so this deletes only what looks
//! like ours.

use std::fs::{self, DirEntry};
use std::io;
use std::path::Path;

use super::super::error::LogError;
use super::super::name::Own;
use super::staged::is_folder;

/// Clears a log's folder, if there is one. The page and the list of chunks stay: they are replaced. Other
/// files are attachments only where a page shows that a log was kept here; folders below that have a page of
/// their own are other logs.
pub(super) fn clear(folder: &Path) -> Result<(), LogError> {
    match fs::symlink_metadata(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        _ if !is_folder(folder) => return Err(LogError::NotAFolder { path: folder.to_owned() }),
        _ => {}
    }
    let held_a_log = holds_a_log(folder);
    for_each_entry(folder, |entry| match entry.file_name().to_str().and_then(Own::parse) {
        Some(Own::Page | Own::List) => Ok(()),
        Some(_) => remove_file(&entry.path()),
        None if held_a_log => remove_attachments(entry),
        None => Ok(()),
    })
}

fn remove_attachments(entry: &DirEntry) -> Result<(), LogError> {
    let path = entry.path();
    if !is_folder(&path) {
        return remove_file(&path);
    }
    if holds_a_log(&path) {
        return Ok(());
    }
    for_each_entry(&path, remove_attachments)?;
    match fs::remove_dir(&path) {
        Err(error) if error.kind() != io::ErrorKind::DirectoryNotEmpty => {
            Err(LogError::file("delete the folder", &path)(error))
        }
        _ => Ok(()),
    }
}

fn holds_a_log(folder: &Path) -> bool {
    fs::symlink_metadata(folder.join(Own::Page.to_string())).is_ok()
}

fn for_each_entry(
    folder: &Path,
    mut act: impl FnMut(&DirEntry) -> Result<(), LogError>,
) -> Result<(), LogError> {
    for entry in fs::read_dir(folder).map_err(LogError::file("list", folder))? {
        act(&entry.map_err(LogError::file("list", folder))?)?;
    }
    Ok(())
}

fn remove_file(path: &Path) -> Result<(), LogError> {
    fs::remove_file(path).map_err(LogError::file("delete", path))
}
