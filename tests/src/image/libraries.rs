//! The shared libraries of a program.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use tokio::process::Command;

use super::archive::Archive;

/// The libraries that a program loads, and the loader; none for a static one.
pub(super) async fn of(program: &Path) -> Result<Vec<PathBuf>> {
    let output = Command::new("ldd").env("LC_ALL", "C").arg(program).output().await.context("ldd")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let error = String::from_utf8_lossy(&output.stderr);
    if format!("{text}{error}").contains("not a dynamic executable") {
        return Ok(Vec::new());
    }
    if !output.status.success() {
        bail!("ldd {}: {}", program.display(), error.trim());
    }
    parse(&text).with_context(|| program.display().to_string())
}

/// Adds the libraries, all where the C library is: the loader looks there without being told.
pub(super) fn add(archive: &mut Archive, libraries: Vec<PathBuf>) -> Result<()> {
    let libraries: BTreeSet<_> = libraries.into_iter().collect();
    let Some(folder) = libraries.iter().find(|it| is_c_library(it)).and_then(|it| it.parent()) else {
        return Ok(());
    };
    for library in &libraries {
        let name = library.file_name().context("a library without a name")?;
        let place = if is_loader(library) { library.clone() } else { folder.join(name) };
        archive.file(&place.to_string_lossy(), library)?;
    }
    Ok(())
}

fn parse(ldd: &str) -> Result<Vec<PathBuf>> {
    let mut libraries = Vec::new();
    for line in ldd.lines() {
        let words: Vec<_> = line.split_whitespace().collect();
        match words.as_slice() {
            [name, "=>", "not", "found"] => bail!("the library {name} is missing"),
            [_, "=>", path, ..] | [path, ..] if path.starts_with('/') => libraries.push(path.into()),
            _ => {} // the kernel's own, which is no file
        }
    }
    Ok(libraries)
}

fn is_c_library(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name == "libc.so.6")
}

fn is_loader(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("ld-linux"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_ldd() {
        let text = "\tlinux-vdso.so.1 (0x00007f13)\n\
                    \tlibz.so.1 => /lib64/libz.so.1 (0x00007f13)\n\
                    \t/lib64/ld-linux-x86-64.so.2 (0x00007f13)\n";
        let paths = ["/lib64/libz.so.1", "/lib64/ld-linux-x86-64.so.2"].map(PathBuf::from);
        assert_eq!(parse(text).unwrap(), paths);
    }

    #[test]
    fn names_what_is_missing() {
        let error = parse("\tlibfoo.so.1 => not found\n").unwrap_err();
        assert_eq!(error.to_string(), "the library libfoo.so.1 is missing");
    }
}
