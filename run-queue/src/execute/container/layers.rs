//! What a container has written, as the engine keeps it: with the driver `overlay`, in a folder of this machine.
//!
//! Looking there costs nothing, while the engine takes longer than all else at the end of a job to copy a folder
//! that is empty, as most are. Only that is seen here: whatever is unusual has to be copied out to be known.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Dir, Mode, OFlags, ResolveFlags, openat2};
use rustix::io::Errno;

use super::Container;
use super::Means;
use super::engine::Engine;
use super::error::EngineError;

/// Where the files of a container are.
#[derive(Debug, PartialEq, Eq)]
struct Layers {
    /// What it has written.
    upper: PathBuf,
    /// What its image has.
    lower: Vec<PathBuf>,
    /// Where other folders cover both.
    mounts: Vec<PathBuf>,
}

impl Container {
    /// Whether there is such a folder and nothing is in it. `false` says nothing: it may not be known.
    pub async fn is_known_empty(&mut self, folder: &Path) -> bool {
        if matches!(self.means, Means::Elsewhere(_)) {
            return false;
        }
        let layers = self.engine.layers(&self.name).await;
        layers.is_ok_and(|it| it.is_some_and(|it| it.is_known_empty(folder)))
    }
}

impl Engine {
    /// None with another driver.
    async fn layers(&self, name: &str) -> Result<Option<Layers>, EngineError> {
        let mut inspect = self.command("inspect");
        let format = "--format={{println .GraphDriver.Name}}{{println .GraphDriver.Data.UpperDir}}\
                      {{println .GraphDriver.Data.LowerDir}}{{range .Mounts}}{{println .Destination}}{{end}}";
        inspect.args(["--type=container", format, name]);
        Ok(layers(&self.ask("inspect", inspect).await?))
    }
}

fn layers(answer: &str) -> Option<Layers> {
    let mut lines = answer.lines();
    let ("overlay", upper, lower) = (lines.next()?, lines.next()?, lines.next()?) else { return None };
    let lower = lower.split(':').map(PathBuf::from).collect();
    Some(Layers { upper: upper.into(), lower, mounts: lines.map(PathBuf::from).collect() })
}

impl Layers {
    fn is_known_empty(&self, folder: &Path) -> bool {
        let Ok(inside) = folder.strip_prefix("/") else { return false };
        let is_covered = self.mounts.iter().any(|it| folder.starts_with(it) || it.starts_with(folder));
        // What the image had there would still be.
        let is_new = || self.lower.iter().all(|it| matches!(open(it, inside), Err(Errno::NOENT)));
        !is_covered && is_new() && open(&self.upper, inside).is_ok_and(|it| is_empty(&it))
    }
}

/// A folder of a layer. What a job has made on the way to it can be a link to anywhere, and is not followed.
fn open(layer: &Path, inside: &Path) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let layer = openat2(CWD, layer, flags, Mode::empty(), ResolveFlags::empty())?;
    let beneath = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    openat2(layer, inside, flags, Mode::empty(), beneath)
}

fn is_empty(folder: &OwnedFd) -> bool {
    let Ok(mut entries) = Dir::read_from(folder) else { return false };
    entries.all(|it| it.is_ok_and(|it| matches!(it.file_name().to_bytes(), b"." | b"..")))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    const FOLDER: &str = "/var/tmp/attachments";

    /// A container whose job has made the folder, with an image that has none.
    fn container(at: &Path) -> Layers {
        let (upper, lower) = (at.join("upper"), at.join("lower"));
        fs::create_dir_all(upper.join("var/tmp/attachments")).unwrap();
        fs::create_dir_all(lower.join("var")).unwrap();
        Layers { upper, lower: vec![lower], mounts: vec!["/run/secrets".into()] }
    }

    #[test]
    fn only_an_empty_folder_of_the_containers_own_is_known_to_be_empty() {
        let at = tempfile::tempdir().unwrap();
        let mut layers = container(at.path());
        let folder = Path::new(FOLDER);
        assert!(layers.is_known_empty(folder));
        for covered in ["/var/tmp", "/var/tmp/attachments", "/var/tmp/attachments/more"] {
            layers.mounts.push(covered.into());
            assert!(!layers.is_known_empty(folder), "{covered}");
            layers.mounts.pop();
        }
        let file = layers.upper.join("var/tmp/attachments/.hidden");
        fs::write(&file, "").unwrap();
        assert!(!layers.is_known_empty(folder));
        fs::remove_file(file).unwrap();
        fs::create_dir_all(at.path().join("lower/var/tmp/attachments")).unwrap();
        assert!(!layers.is_known_empty(folder), "what the image has there is not seen");
    }

    #[test]
    fn links_and_what_is_missing_are_not_known() {
        let at = tempfile::tempdir().unwrap();
        let layers = container(at.path());
        let folder = Path::new(FOLDER);
        let tmp = layers.upper.join("var/tmp");
        fs::remove_dir(tmp.join("attachments")).unwrap();
        assert!(!layers.is_known_empty(folder));
        let empty = at.path().join("empty");
        fs::create_dir_all(empty.join("attachments")).unwrap();
        symlink(empty.join("attachments"), tmp.join("attachments")).unwrap();
        assert!(!layers.is_known_empty(folder));
        fs::remove_dir_all(&tmp).unwrap();
        symlink(&empty, &tmp).unwrap();
        assert!(!layers.is_known_empty(folder));
        fs::remove_file(&tmp).unwrap();
        fs::create_dir_all(tmp.join("attachments")).unwrap();
        assert!(layers.is_known_empty(folder));
        let lower = at.path().join("lower");
        fs::remove_dir(lower.join("var")).unwrap();
        symlink("elsewhere", lower.join("var")).unwrap();
        assert!(!layers.is_known_empty(folder), "the image's folder may be anywhere");
    }

    #[test]
    fn other_drivers_are_not_looked_into() {
        let overlay = "overlay\n/s/up\n/s/a:/s/b\n/run/x\n";
        let expected = Layers {
            upper: "/s/up".into(),
            lower: vec!["/s/a".into(), "/s/b".into()],
            mounts: vec!["/run/x".into()],
        };
        assert_eq!(layers(overlay), Some(expected));
        assert_eq!(layers("vfs\n<no value>\n<no value>"), None);
        assert_eq!(layers(""), None);
    }
}
