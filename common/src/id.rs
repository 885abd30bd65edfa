//! Names that cross a function, each a type of its own: parsed once at the edge, with a grammar
//! that keeps them harmless in a URL, a path and a command line. None can begin with `-`, so none can
//! become an option of `podman` or `git`.

mod image;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A text that is not what it should be: what it was to be, and what was found.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{found:?} is not {expected}")]
pub struct InvalidId {
    /// The grammar in words.
    pub expected: &'static str,
    /// The offending text, cut to a length that is fit for a log line.
    pub found: String,
}

impl InvalidId {
    fn new(expected: &'static str, found: &str) -> Self {
        Self { expected, found: found.chars().take(100).collect() }
    }
}

/// Defines a newtype over `String` with a private field that only its grammar can fill.
macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $expected:literal, $valid:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Checks the grammar.
            pub fn new(text: impl Into<String>) -> Result<Self, InvalidId> {
                let text = text.into();
                let valid: fn(&str) -> bool = $valid;
                if valid(&text) { Ok(Self(text)) } else { Err(InvalidId::new($expected, &text)) }
            }

            /// The text as it was given.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                Self::new(text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;
            fn try_from(text: String) -> Result<Self, InvalidId> {
                Self::new(text)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }
    };
}

text_id! {
    /// A repository on a forge, `owner/name`.
    RepoName, "a repository `owner/name` of letters, digits, `-`, `_` and `.`", |text| {
        text.split_once('/').is_some_and(|(owner, name)| is_name_part(owner) && is_repo_part(name))
    }
}

impl RepoName {
    /// The part before the slash.
    #[must_use]
    pub fn owner(&self) -> &str {
        self.0.split_once('/').map_or("", |(owner, _)| owner)
    }

    /// The part after the slash.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.split_once('/').map_or("", |(_, name)| name)
    }
}

text_id! {
    /// A commit by its full SHA-1 or SHA-256 name, or an abbreviation of at least six digits (operators
    /// and older programs abbreviate).
    CommitSha, "a commit of 6 to 64 lower-case hexadecimal digits", |text| {
        (6..=64).contains(&text.len()) && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    }
}

impl CommitSha {
    /// The first `digits` digits, or all where there are fewer.
    #[must_use]
    pub fn short(&self, digits: usize) -> &str {
        self.0.get(..digits).unwrap_or(&self.0)
    }
}

text_id! {
    /// A branch, by the rules of git-check-ref-format(1).
    BranchName, "a branch name that git accepts", |text| {
        !text.is_empty()
            && text.len() <= 255
            && !text.starts_with(['-', '/'])
            && !text.ends_with(['/', '.'])
            && text.split('/').all(|part| {
                !part.is_empty()
                    && !part.starts_with('.')
                    && std::path::Path::new(part).extension().is_none_or(|it| it != "lock")
            })
            && !["..", "@{"].iter().any(|bad| text.contains(bad))
            && text != "@"
            && !text.chars().any(|c| c.is_control() || " ~^:?*[\\".contains(c))
    }
}

text_id! {
    /// What a commit status is filed under: `IMAGE[/SCENARIO][@bots#PULL][@[FORGE:]OWNER/REPO[/BRANCH]]`
    /// for tests (wire facts, section 3), free text without control characters in general.
    Context, "a status context of 1 to 255 characters without control characters", |text| {
        !text.trim().is_empty() && text.chars().count() <= 255 && !text.chars().any(char::is_control)
    }
}

text_id! {
    /// The name of a forge in the configuration.
    ForgeName, "a forge's name of letters, digits, `-`, `_` and `.`", is_name_part
}

text_id! {
    /// The delivery id of an event (`X-GitHub-Delivery`): the thread through messages, logs and statuses.
    DeliveryId, "a delivery id of 1 to 128 letters, digits, `-`, `_` and `.`", |text| {
        text.len() <= 128 && is_name_part(text)
    }
}

impl From<uuid::Uuid> for DeliveryId {
    fn from(uuid: uuid::Uuid) -> Self {
        Self(uuid.to_string())
    }
}

text_id! {
    /// The kind of an event as the forge names it (`X-GitHub-Event`).
    EventName, "an event name of 1 to 64 letters, digits, `-` and `_`", |text| {
        text.len() <= 64 && !text.contains('.') && is_name_part(text)
    }
}

text_id! {
    /// One task, whatever number of deliveries it takes: the `message_id` of its message (a version 7 UUID), or a digest of the
    /// body for messages of older programs.
    TaskId, "a task id of 1 to 128 letters, digits, `-`, `_` and `.`", |text| {
        text.len() <= 128 && is_name_part(text)
    }
}

impl From<uuid::Uuid> for TaskId {
    fn from(uuid: uuid::Uuid) -> Self {
        Self(uuid.to_string())
    }
}

impl TaskId {
    /// For a message that brings no id: equal bodies are the same task.
    #[must_use]
    pub fn from_digest(digest: &[u8]) -> Self {
        Self(hex::encode(digest).chars().take(32).collect())
    }
}

text_id! {
    /// A container image in a registry or on the engine's machine, `[domain[:port]/]path[:tag][@algorithm:hex]`. Never one
    /// of the other places that engines know, such as `dir:…` or `docker-archive:…`: those are files of the host.
    ImageRef, "an image reference such as `quay.io/owner/name:tag`", |text| {
        text.len() <= 512 && !image::names_transport(text) && image::is_reference(text)
    }
}

text_id! {
    /// The name of a secret in the configuration.
    SecretName, "a secret's name of letters, digits, `-`, `_` and `.`", is_name_part
}

text_id! {
    /// A log's folder: relative, of parts that stay inside the log destination. In the names of objects `//` becomes `--`.
    Slug, "a relative path without `..`, empty parts or control characters", |text| {
        (1..=512).contains(&text.len())
            && !text.chars().any(|c| c.is_control() || c == '\\')
            && text.replace("//", "--").split('/').all(|part| !matches!(part, "" | "." | ".."))
    }
}

/// Letters, digits, `-`, `_`, `.`; not empty, no leading `-` or `.`.
fn is_name_part(text: &str) -> bool {
    !text.is_empty()
        && !text.starts_with(['-', '.'])
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
}

/// GitHub allows more than an owner's name: a leading dot. `.git` at the end belongs to addresses.
fn is_repo_part(text: &str) -> bool {
    !matches!(text, "" | "." | "..")
        && !text.starts_with('-')
        && !text.to_ascii_lowercase().ends_with(".git")
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
}

/// The number of a pull request on its repository, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PullNumber(std::num::NonZeroU64);

impl PullNumber {
    /// None for 0, which older programs use for "no pull".
    #[must_use]
    pub fn new(number: u64) -> Option<Self> {
        std::num::NonZeroU64::new(number).map(Self)
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0.get()
    }
}

impl fmt::Display for PullNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One try at a task, numbered from 1 (header `x-flotilla-attempt`; absent means 1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Attempt(u32);

impl Attempt {
    /// The first try.
    pub const FIRST: Self = Self(1);

    /// From a message header; what is not a positive number counts as the first.
    #[must_use]
    pub fn from_wire(number: Option<i64>) -> Self {
        number.and_then(|it| u32::try_from(it).ok()).filter(|it| *it > 0).map_or(Self::FIRST, Self)
    }

    /// The number, from 1.
    #[must_use]
    pub const fn number(self) -> u32 {
        self.0
    }

    /// The try after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repositories_have_two_harmless_parts() {
        for good in ["o/r", "cockpit-project/bots", "a.b/c_d", "octo/.github", "octo/_.-", "o/.gitignore"] {
            assert_eq!(RepoName::new(good).unwrap().as_str(), good);
        }
        for bad in [
            "", "o", "o/", "/r", "o/r/x", "../r", "o/..", "o/.", "-o/r", "o/-r", "o/r;x", "ö/r", ".o/r",
            "o/.git", "o/r.git", "o/r.GIT",
        ] {
            assert!(RepoName::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn commits_are_lower_case_hex() {
        assert_eq!(CommitSha::new("0123456789abcdef").unwrap().short(8), "01234567");
        assert_eq!(CommitSha::new("abcdef").unwrap().short(8), "abcdef");
        for bad in ["", "abcde", "ABCDEF0", "--upload-pack=x", "main"] {
            assert!(CommitSha::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn branches_follow_git_check_ref_format() {
        for good in ["main", "rhel-9.6", "user/topic", "_manual"] {
            assert!(BranchName::new(good).is_ok(), "{good}");
        }
        for bad in ["", "-x", "a..b", "a b", "a/", "/a", "a//b", ".a", "a.lock", "a@{1}", "@", "a\n", "a:b"] {
            assert!(BranchName::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn slugs_stay_inside() {
        for good in ["o/r/c@x/0123", "a//b"] {
            assert!(Slug::new(good).is_ok(), "{good}");
        }
        for bad in ["", "/abs", "a/../b", "..", "a/", "a\\b", "a\0"] {
            assert!(Slug::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn attempts_from_the_wire_are_positive() {
        for (wire, attempt) in [(None, 1), (Some(0), 1), (Some(-3), 1), (Some(2), 2), (Some(i64::MAX), 1)] {
            assert_eq!(Attempt::from_wire(wire).number(), attempt);
        }
        assert_eq!(Attempt::FIRST.next().number(), 2);
    }
}
