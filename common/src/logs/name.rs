//! Names of what is in a log's folder. None can leave it, whatever a job calls its files.

use std::fmt;
use std::path::Path;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::chunks::Span;
use crate::id::Slug;

/// The folder of one log below a destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folder(String);

impl From<&Slug> for Folder {
    /// `//` becomes `--` and `:` becomes `-` (wire facts).
    fn from(slug: &Slug) -> Self {
        Self(slug.as_str().replace("//", "--").replace(':', "-"))
    }
}

impl Folder {
    /// One of our own objects in it.
    #[must_use]
    pub fn own(&self, own: Own) -> ObjectName {
        ObjectName(format!("{}/{own}", self.0))
    }

    /// An attachment in it.
    #[must_use]
    pub fn attachment(&self, name: &AttachmentName) -> ObjectName {
        ObjectName(format!("{}/{}", self.0, name.0))
    }

    /// Its path from the destination's root.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The objects that we put into a log's folder ourselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Own {
    /// `log.html`, the page that people open.
    Page,
    /// `log.chunks`, the list of chunks; it is there as long as the log grows.
    List,
    /// `log.<start>-<end>`, a part of the log.
    Chunk(Span),
    /// `log`, the whole log; it is there when the log has ended.
    Whole,
    /// `index.html`, the list of all files.
    Index,
}

impl Own {
    /// Which object a name in the folder is, if it is one of ours.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "log.html" => Some(Self::Page),
            "log.chunks" => Some(Self::List),
            "log" => Some(Self::Whole),
            "index.html" => Some(Self::Index),
            other => other.strip_prefix("log.").and_then(Span::parse).map(Self::Chunk),
        }
    }
}

impl fmt::Display for Own {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Page => f.write_str("log.html"),
            Self::List => f.write_str("log.chunks"),
            Self::Chunk(span) => write!(f, "log.{span}"),
            Self::Whole => f.write_str("log"),
            Self::Index => f.write_str("index.html"),
        }
    }
}

/// The name of an attachment: a relative path that stays below the log's folder and is not, or below, one of
/// our own objects there. So a job's own `index.html` is left out, while its `report/index.html` is kept.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AttachmentName(String);

impl AttachmentName {
    /// With a slug of at most 512 bytes, an object's name stays within the 1024 bytes of S3.
    const MAX_BYTES: usize = 500;
    /// What file systems take (`NAME_MAX`).
    const MAX_PART_BYTES: usize = 255;

    /// Checks a path as a job or an archive names it (a leading `./` is dropped).
    pub fn new(path: impl AsRef<[u8]>) -> Result<Self, InvalidName> {
        let path = path.as_ref();
        let check = || {
            let text = std::str::from_utf8(path).map_err(|_| "it is not UTF-8")?;
            let text = text.strip_prefix("./").unwrap_or(text);
            Self::check(text).map(|()| Self(text.to_owned()))
        };
        check().map_err(|reason| InvalidName::new(path, reason))
    }

    fn check(text: &str) -> Result<(), &'static str> {
        let mut parts = text.split('/');
        if text.len() > Self::MAX_BYTES || parts.clone().any(|it| it.len() > Self::MAX_PART_BYTES) {
            Err("it is longer than 500 bytes, or a part of it is longer than 255")
        } else if text.chars().any(char::is_control) {
            Err("it has control characters")
        } else if parts.clone().any(|it| matches!(it, "" | "." | "..")) {
            Err("it is not a plain relative path")
        } else if parts.next().and_then(Own::parse).is_some() {
            Err("the log's own files are called that")
        } else {
            Ok(())
        }
    }

    /// The path below the log's folder.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A file of a job that cannot be an attachment.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("attachment {found:?} is left out: {reason}")]
pub struct InvalidName {
    found: String,
    reason: &'static str,
}

impl InvalidName {
    /// In words, for a list of what is left out.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        self.reason
    }

    fn new(found: &[u8], reason: &'static str) -> Self {
        Self { found: String::from_utf8_lossy(found).chars().take(100).collect(), reason }
    }
}

/// The name of an object from the destination's root: made of a [`Folder`] and what may be in one, so
/// relative, without `..`, empty parts or control characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectName(String);

impl ObjectName {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(super) fn as_path(&self) -> &Path {
        Path::new(&self.0)
    }
}

/// All but RFC 3986's unreserved characters, and the slash between the parts.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// A path as it is written in a URL; what comes out is harmless in an HTML attribute too.
pub(super) fn percent_encoded(path: &str) -> String {
    utf8_percent_encode(path, ENCODED).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(slug: &str) -> Folder {
        Folder::from(&Slug::new(slug).unwrap())
    }

    #[test]
    fn a_slug_becomes_a_folder() {
        let folder = folder("o/r/fedora-40@forge:x/y/0123");
        assert_eq!(folder.as_str(), "o/r/fedora-40@forge-x/y/0123");
        assert_eq!(folder.own(Own::Whole).as_str(), "o/r/fedora-40@forge-x/y/0123/log");
    }

    #[test]
    fn our_own_names_read_back() {
        let chunk = Own::Chunk(Span { start: 0, end: 7 });
        for own in [Own::Page, Own::List, chunk, Own::Whole, Own::Index] {
            assert_eq!(Own::parse(&own.to_string()), Some(own));
        }
        for other in ["", "Log", "log.", "log.txt", "log.1", "log.1-", "log.01-2", "index.htm"] {
            assert_eq!(Own::parse(other), None, "{other}");
        }
    }

    #[test]
    fn attachments_keep_their_folders() {
        for name in
            ["a", "a/b/c.png", "r/index.html", "x/log", ".hidden", "with space", "ö\"<>'&", "a\\b", "..."]
        {
            assert_eq!(AttachmentName::new(name).unwrap().as_str(), name);
        }
        assert_eq!(AttachmentName::new("./a/b").unwrap().as_str(), "a/b");
        assert_eq!(folder("s").attachment(&AttachmentName::new("a/b").unwrap()).as_str(), "s/a/b");
    }

    #[test]
    fn hostile_attachments_are_refused() {
        let long = "x/".repeat(250) + "x";
        let long_part = "x".repeat(256);
        for bad in
            ["", ".", "..", "../x", "a/../../x", "/etc/shadow", "a//b", "a/", "./", "././a", "a\nb", "a\0b"]
        {
            assert!(AttachmentName::new(bad).is_err(), "{bad:?}");
        }
        for own in ["log", "log/x", "log.html", "log.chunks", "log.0-5", "log.0-5/x", "index.html", "./log"] {
            assert!(AttachmentName::new(own).is_err(), "{own}");
        }
        for bad in [long.as_bytes(), long_part.as_bytes(), b"a\xff"] {
            assert!(AttachmentName::new(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_refusal_is_fit_for_a_log() {
        let refused = AttachmentName::new("../\u{1b}[31m").unwrap_err();
        assert_eq!(
            refused.to_string(),
            r#"attachment "../\u{1b}[31m" is left out: it has control characters"#
        );
    }

    #[test]
    fn urls_take_any_name() {
        assert_eq!(percent_encoded("a b/ö?#%:\"'<&>"), "a%20b/%C3%B6%3F%23%25%3A%22%27%3C%26%3E");
        assert_eq!(percent_encoded("log.0-5_~"), "log.0-5_~");
    }
}
