//! The credential: a text, or a file that is read again when it changes.

use std::fmt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::header::HeaderValue;
use secrecy::{ExposeSecret, SecretString};
use tokio::time::Instant;

/// How often a file is looked at.
const GLANCE: Duration = Duration::from_secs(1);

/// The token of a forge. Its `Debug` does not show it.
#[derive(Clone, Debug)]
pub struct Token {
    text: SecretString,
    file: Option<PathBuf>,
}

impl Token {
    /// What is in a file, white space at both ends removed; it is read again when it changes.
    pub fn from_file(path: PathBuf) -> std::io::Result<Self> {
        let text = std::fs::read_to_string(&path)?;
        Ok(Self { text: text.trim().into(), file: Some(path) })
    }
}

impl<T: Into<SecretString>> From<T> for Token {
    /// One that stays the same.
    fn from(text: T) -> Self {
        Self { text: text.into(), file: None }
    }
}

/// Why a token can't be used.
#[derive(Debug, thiserror::Error)]
#[error("expected one line of visible ASCII characters")]
pub(super) struct BadToken;

/// Whether a look at the file found something new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    New,
    Same,
}

/// The header that shows a token, as new as the file. Clones are the same one.
#[derive(Clone)]
pub(super) struct Authorization(Arc<Mutex<State>>);

struct State {
    header: HeaderValue,
    /// Counts changes.
    version: u64,
    file: Option<Watched>,
}

/// A file and how it was when it was read.
struct Watched {
    path: PathBuf,
    stamp: Option<Stamp>,
    looked: Instant,
    /// Whether it was said that it can't be used.
    said: bool,
}

/// Changes whenever a file is replaced or written to (within the resolution of the file system's clock).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    size: u64,
    modified: (i64, i64),
}

impl Stamp {
    fn of(path: &Path) -> std::io::Result<Self> {
        let found = std::fs::metadata(path)?;
        Ok(Self { inode: found.ino(), size: found.size(), modified: (found.mtime(), found.mtime_nsec()) })
    }
}

impl fmt::Debug for Authorization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Authorization(…)")
    }
}

impl Authorization {
    pub(super) fn new(token: &Token) -> Result<Self, BadToken> {
        // Read before it was looked at here: the first look may find it new, which does no harm.
        let file = token.file.clone();
        let watched = file.map(|path| Watched { path, stamp: None, looked: Instant::now(), said: false });
        Ok(Self(Arc::new(Mutex::new(State {
            header: header(token.text.expose_secret())?,
            version: 0,
            file: watched,
        }))))
    }

    /// What to send now. A file is looked at if that was not done within a second.
    pub(super) fn header(&self) -> (HeaderValue, Look) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let due = state.file.as_ref().is_some_and(|it| it.looked.elapsed() >= GLANCE);
        let look = if due { state.look() } else { Look::Same };
        (state.header.clone(), look)
    }

    /// How often the token has changed.
    pub(super) fn version(&self) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).version
    }

    /// Looks at once: the forge refused the token of that version. Another may be there already, if it refused others too.
    pub(super) fn refresh(&self, refused: u64) -> Look {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.version == refused { state.look() } else { Look::New }
    }
}

impl State {
    /// A look is one system call a second, so it is made where it is needed, without a thread of its own.
    fn look(&mut self) -> Look {
        let Some(file) = &mut self.file else { return Look::Same };
        file.looked = Instant::now();
        let stamp = Stamp::of(&file.path);
        if let Ok(stamp) = &stamp
            && file.stamp == Some(*stamp)
        {
            return Look::Same;
        }
        let read = stamp.map_err(|it| it.to_string()).and_then(|stamp| Ok((stamp, read(&file.path)?)));
        match read {
            Ok((stamp, header)) => {
                (file.stamp, file.said) = (Some(stamp), false);
                if header == self.header {
                    return Look::Same;
                }
                (self.header, self.version) = (header, self.version + 1);
                Look::New
            }
            Err(problem) => {
                if !std::mem::replace(&mut file.said, true) {
                    let file = file.path.display();
                    tracing::error!(%file, problem, "the forge's token cannot be read again: the old one is kept");
                }
                Look::Same
            }
        }
    }
}

fn read(path: &Path) -> Result<HeaderValue, String> {
    let text: SecretString = std::fs::read_to_string(path).map_err(|it| it.to_string())?.into();
    header(text.expose_secret().trim()).map_err(|it| it.to_string())
}

/// `token TEXT` is what every forge takes ("Bearer" is not Gitea's).
fn header(text: &str) -> Result<HeaderValue, BadToken> {
    if text.is_empty() || !text.bytes().all(|it| it.is_ascii_graphic()) {
        return Err(BadToken);
    }
    let mut value = HeaderValue::from_str(&format!("token {text}")).map_err(|_| BadToken)?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_token_is_one_word() {
        for bad in ["", "abc\n", "a b", "é"] {
            let error = Authorization::new(&bad.into()).unwrap_err();
            assert_eq!(error.to_string(), "expected one line of visible ASCII characters");
        }
        assert!(!format!("{:?}", Token::from("s3cret")).contains("s3cret"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_file_is_read_again_when_it_changes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        fs::write(&path, "one\n").unwrap();
        let authorization = Authorization::new(&Token::from_file(path.clone()).unwrap()).unwrap();
        let after = async |pause| {
            tokio::time::sleep(pause).await;
            let (header, look) = authorization.header();
            (header.to_str().unwrap().to_owned(), look)
        };
        assert_eq!(after(GLANCE).await, ("token one".to_owned(), Look::Same));
        let replace = |text: &str| {
            fs::write(folder.path().join("new"), text).unwrap();
            fs::rename(folder.path().join("new"), &path).unwrap();
        };
        replace("two");
        assert_eq!(after(Duration::ZERO).await, ("token one".to_owned(), Look::Same), "a look a second");
        assert_eq!(after(GLANCE).await, ("token two".to_owned(), Look::New));
        for bad in ["", "  \n", "a b"] {
            replace(bad);
            assert_eq!(after(GLANCE).await, ("token two".to_owned(), Look::Same), "{bad:?}");
        }
        fs::remove_file(&path).unwrap();
        assert_eq!(after(GLANCE).await, ("token two".to_owned(), Look::Same));
        fs::write(&path, "three").unwrap();
        let refused = authorization.version();
        for _ in 0..2 {
            assert_eq!(authorization.refresh(refused), Look::New, "each of those that were refused");
        }
        assert_eq!(authorization.refresh(refused + 1), Look::Same);
        assert_eq!(after(Duration::ZERO).await.0, "token three");
    }
}
