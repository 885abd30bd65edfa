//! Logs in a directory of this machine, usually one that a web server serves.

mod clear;
mod read;
mod staged;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use reqwest::Url;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};

use self::staged::Staged;
use super::chunks::Span;
use super::error::{LogError, blocking};
use super::name::{Folder, ObjectName, percent_encoded};
use super::spool::Section;

/// How many bytes of a stream are in memory at a time (tokio holds a second such piece).
const PIECE_BYTES: usize = 64 * 1024;

/// A directory, and the URL under which it is served. Folders get the mode 0755 and files 0644, less the
/// umask. Symbolic links below the directory are never followed.
#[derive(Clone, Debug)]
pub struct LocalStore {
    root: Arc<Path>,
    link: Option<Url>,
}

impl LocalStore {
    /// In `dir` (the setting `logs.local.dir`), which is made when it is first needed. Without `link`
    /// (`logs.local.link`), URLs are of the form `file:///…`.
    pub fn new(dir: &Path, link: Option<Url>) -> Result<Self, LogError> {
        let root = std::path::absolute(dir).map_err(LogError::file("use the folder", dir))?;
        Ok(Self { root: root.into(), link })
    }

    /// The path of an object, for people.
    #[must_use]
    pub fn path(&self, name: &ObjectName) -> std::path::PathBuf {
        self.root.join(name.as_path())
    }

    pub(super) fn url(&self, name: &ObjectName) -> String {
        let root = match &self.link {
            Some(link) => link.as_str().trim_end_matches('/').to_owned(),
            None => format!("file://{}", percent_encoded(&self.root.to_string_lossy())),
        };
        format!("{root}/{}", percent_encoded(name.as_str()))
    }

    pub(super) async fn put(&self, name: &ObjectName, content: Bytes) -> Result<(), LogError> {
        self.put_with(name, move |mut file| file.write_all(&content)).await
    }

    pub(super) async fn put_section(&self, name: &ObjectName, content: Section) -> Result<(), LogError> {
        self.put_with(name, move |file| content.copy_to(file)).await
    }

    async fn put_with(
        &self,
        name: &ObjectName,
        fill: impl FnOnce(&File) -> io::Result<()> + Send + 'static,
    ) -> Result<(), LogError> {
        let (root, name) = (Arc::clone(&self.root), name.clone());
        blocking(move || {
            let staged = Staged::create(&root, name.as_path())?;
            fill(staged.file()).map_err(LogError::file("write", staged.path()))?;
            staged.commit()
        })
        .await
    }

    pub(super) async fn put_stream(
        &self,
        name: &ObjectName,
        content: impl AsyncRead + Unpin,
    ) -> Result<u64, LogError> {
        let (root, owned) = (Arc::clone(&self.root), name.clone());
        let (staged, file) = blocking(move || {
            let staged = Staged::create(&root, owned.as_path())?;
            let file = staged.file().try_clone().map_err(LogError::file("write", staged.path()))?;
            Ok((staged, file))
        })
        .await?;
        let bytes = copy(content, name, tokio::fs::File::from_std(file), staged.path()).await?;
        blocking(move || staged.commit()).await?;
        Ok(bytes)
    }

    pub(super) async fn get(&self, name: &ObjectName, span: Span) -> Result<Option<Bytes>, LogError> {
        let path = self.path(name);
        blocking(move || read::part(&path, span)).await
    }

    pub(super) async fn chunks(&self, folder: &Folder) -> Result<BTreeMap<Span, u64>, LogError> {
        let (root, folder) = (Arc::clone(&self.root), folder.clone());
        blocking(move || read::chunks(&root, Path::new(folder.as_str()))).await
    }

    pub(super) async fn delete(&self, name: &ObjectName) -> Result<(), LogError> {
        let path = self.path(name);
        blocking(move || match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(LogError::file("delete", &path)(error))
            }
            _ => Ok(()),
        })
        .await
    }

    pub(super) async fn clear(&self, folder: &Folder) -> Result<(), LogError> {
        let dir = self.root.join(folder.as_str());
        blocking(move || clear::clear(&dir)).await
    }

    pub(super) async fn sync(&self, names: Vec<ObjectName>) -> Result<(), LogError> {
        let root = Arc::clone(&self.root);
        blocking(move || {
            let paths: Vec<_> = names.iter().map(|it| root.join(it.as_path())).collect();
            let folders: BTreeSet<&Path> = paths
                .iter()
                .flat_map(|it| it.ancestors().skip(1).take_while(|it| it.starts_with(&root)))
                .collect();
            paths.iter().map(AsRef::as_ref).chain(folders).try_for_each(sync)
        })
        .await
    }
}

/// Copies to the end, a piece at a time.
async fn copy(
    mut content: impl AsyncRead + Unpin,
    name: &ObjectName,
    mut file: tokio::fs::File,
    path: &Path,
) -> Result<u64, LogError> {
    let mut piece = Vec::with_capacity(PIECE_BYTES);
    let mut bytes = 0;
    while content.read_buf(&mut piece).await.map_err(LogError::read(name.as_str()))? > 0 {
        file.write_all(&piece).await.map_err(LogError::file("write", path))?;
        bytes += piece.len() as u64;
        piece.clear();
    }
    file.flush().await.map_err(LogError::file("write", path))?;
    Ok(bytes)
}

/// Makes a file's content, or a folder's list of names, durable.
fn sync(path: &Path) -> Result<(), LogError> {
    File::open(path).and_then(|it| it.sync_all()).map_err(LogError::file("flush to disk", path))
}
