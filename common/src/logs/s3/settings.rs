//! How a bucket is reached.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use reqwest::Url;
use reqwest::header::HeaderValue;
use rusty_s3::Credentials;

use super::place::Style;

/// The settings of `logs.s3`. Their `Debug` is safe to print.
#[derive(Clone, Debug)]
pub struct S3Settings {
    /// Where the objects go: the bucket's URL, of either [`Style`], and a prefix if that is wanted.
    pub url: Url,
    /// How `url` names the bucket, where that cannot be told from it.
    pub style: Option<Style>,
    /// The region that requests are signed for; none: from Amazon's host names, else `us-east-1`.
    pub region: Option<String>,
    /// Where people find the objects, if that is not `url`: a proxy in front of a private bucket.
    pub links: Option<Url>,
    /// The right to write.
    pub key: S3Key,
    /// The header `x-amz-acl` of every object; none: it is not sent.
    pub acl: Option<Acl>,
    /// Authorities to trust beside the machine's: one or more certificates in PEM.
    pub ca: Option<String>,
    /// Whom we say we are.
    pub user_agent: String,
    /// A folder on a disk for what has to be measured before it is sent.
    pub scratch: PathBuf,
    /// The bounds.
    pub limits: S3Limits,
}

/// The bounds of a bucket's client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct S3Limits {
    /// For a connection, TLS included.
    pub connect: Duration,
    /// For an exchange, beside the time that its body takes at [`S3Limits::slowest`].
    pub exchange: Duration,
    /// The slowest network that a body is sent over, in bytes per second.
    pub slowest: u64,
    /// For how long a request is tried again where the network or the other side has a bad moment.
    pub retry_for: Duration,
    /// What has more bytes than this goes in parts.
    pub multipart_from: u64,
    /// Bytes of such a part. S3 wants 5 MiB at least.
    pub part: u64,
}

impl Default for S3Limits {
    /// 15 min outlast a restart or a small outage of a bucket, and a status does not have to come sooner. A part of 16 MiB is
    /// what is sent again when a connection breaks.
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            exchange: Duration::from_secs(30),
            slowest: 256 * 1024,
            retry_for: Duration::from_mins(15),
            multipart_from: 64 * 1024 * 1024,
            part: 16 * 1024 * 1024,
        }
    }
}

/// The right to write to a bucket. `Debug` shows the name of the key only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct S3Key(Credentials);

/// A text that is no key. It is not repeated: part of it may be a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected ACCESS SECRET [TOKEN]: two or three words of visible ASCII characters")]
pub struct InvalidKey;

impl S3Key {
    /// Of its parts; the token comes with temporary keys.
    pub fn new(access: &str, secret: &str, token: Option<&str>) -> Result<Self, InvalidKey> {
        let visible = |it: &str| !it.is_empty() && it.bytes().all(|it| it.is_ascii_graphic());
        if ![Some(access), Some(secret), token].into_iter().flatten().all(visible) {
            return Err(InvalidKey);
        }
        Ok(Self(match token {
            Some(token) => Credentials::new_with_token(access, secret, token),
            None => Credentials::new(access, secret),
        }))
    }

    pub(super) const fn credentials(&self) -> &Credentials {
        &self.0
    }
}

impl FromStr for S3Key {
    type Err = InvalidKey;

    fn from_str(text: &str) -> Result<Self, InvalidKey> {
        match *text.split_whitespace().collect::<Vec<_>>() {
            [access, secret] => Self::new(access, secret, None),
            [access, secret, token] => Self::new(access, secret, Some(token)),
            _ => Err(InvalidKey),
        }
    }
}

/// The name of a canned ACL, such as `public-read`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acl(HeaderValue);

/// A text that is the name of no canned ACL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected the name of a canned ACL, such as \"public-read\"")]
pub struct InvalidAcl;

impl Acl {
    pub(super) fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }
}

impl FromStr for Acl {
    type Err = InvalidAcl;

    fn from_str(text: &str) -> Result<Self, InvalidAcl> {
        let fits = !text.is_empty() && text.bytes().all(|it| it.is_ascii_lowercase() || it == b'-');
        if fits { HeaderValue::from_str(text).map(Self).map_err(|_| InvalidAcl) } else { Err(InvalidAcl) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_two_or_three_words() {
        assert_eq!("a s".parse(), S3Key::new("a", "s", None));
        assert_eq!(" a\ts \n t\n".parse(), S3Key::new("a", "s", Some("t")));
        for bad in ["", "a", "a s t x", "a s\u{e9}"] {
            assert_eq!(bad.parse::<S3Key>(), Err(InvalidKey), "{bad:?}");
        }
        assert_eq!(S3Key::new("a", "", None), Err(InvalidKey));
        assert_eq!(S3Key::new("a", "s s", None), Err(InvalidKey));
    }

    #[test]
    fn secrets_are_not_shown() {
        let key = S3Key::new("name", "s3cret", Some("t0ken")).unwrap();
        let shown = format!("{key:?} {key:#?}");
        assert!(shown.contains("name") && !shown.contains("s3cret") && !shown.contains("t0ken"), "{shown}");
    }

    #[test]
    fn an_acl_has_a_name() {
        assert_eq!("bucket-owner-full-control".parse::<Acl>().unwrap().as_str(), "bucket-owner-full-control");
        for bad in ["", "Public", "public read", "a\nb"] {
            assert!(bad.parse::<Acl>().is_err(), "{bad:?}");
        }
    }
}
