//! The text of a file, within bounds.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::Fault;

/// Hundreds of repositories with hundreds of contexts each have less.
const LONGEST: u64 = 4 * 1024 * 1024;

/// Reads a file whole; refuses one that is too long before it is in memory.
pub(in super::super) fn read_text(file: &Path) -> Result<String, Fault> {
    let fault = |line, text| Fault { line, key: String::new(), text };
    let unreadable = |error: std::io::Error| fault(None, format!("cannot be read: {error}"));
    let mut bytes = Vec::new();
    File::open(file).and_then(|it| it.take(LONGEST + 1).read_to_end(&mut bytes)).map_err(unreadable)?;
    if u64::try_from(bytes.len()).is_ok_and(|it| it > LONGEST) {
        return Err(fault(None, format!("is longer than {} MiB", LONGEST / 1024 / 1024)));
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let good = error.as_bytes().iter().take(error.utf8_error().valid_up_to());
        fault(Some(good.filter(|it| **it == b'\n').count() + 1), "is not UTF-8".to_owned())
    })?;
    // Some editors begin a file with a byte order mark.
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}
