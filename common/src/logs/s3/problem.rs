//! What a bucket, or the way to it, says instead of doing what it was asked.

use std::error::Error;
use std::fmt;
use std::io;
use std::time::Duration;

use reqwest::StatusCode;

/// Why an object of a bucket could not be written, read or deleted.
#[derive(Debug, thiserror::Error)]
#[error("cannot {doing} {url}: {problem}")]
pub struct S3Error {
    /// What was tried, as in "cannot … URL".
    pub(super) doing: &'static str,
    /// With what; never with a signature in it.
    pub(super) url: String,
    pub(super) problem: Problem,
    /// How often it was tried.
    pub(super) tries: u32,
    /// The network's words.
    #[source]
    pub(super) network: Option<reqwest::Error>,
}

/// One answer that is not the wanted one, or none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Problem {
    /// It said no.
    Refused(Refusal),
    /// It said something else than S3 does.
    Unreadable(String),
    /// It didn't say anything in that time.
    Silent(Duration),
    /// It is not who it should be.
    Distrusted,
    /// It was not reached, or broke off.
    Unreachable,
    /// What was to be sent could not be read.
    Unsent(String),
}

/// An answer in S3's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    /// Such as `AccessDenied`; empty where the other side isn't an S3.
    pub(super) code: String,
    message: String,
}

impl Problem {
    /// What is wrong with an exchange that has no answer.
    pub(super) fn of(error: &reqwest::Error, limit: Duration) -> Self {
        if error.is_timeout() {
            Self::Silent(limit)
        } else if is_distrust(error) {
            Self::Distrusted
        } else {
            Self::Unreachable
        }
    }

    /// Whether another try may well do better: 4xx are final, but for those that say that it is the moment that is bad.
    pub(super) fn is_brief(&self) -> bool {
        match self {
            Self::Refused(Refusal { status, code, .. }) => {
                status.is_server_error()
                    || matches!(*status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS)
                    || matches!(code.as_str(), "RequestTimeout" | "SlowDown")
            }
            Self::Silent(_) | Self::Unreachable | Self::Unreadable(_) => true,
            Self::Distrusted | Self::Unsent(_) => false,
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refusal) => refusal.fmt(f),
            Self::Unreadable(what) => write!(f, "the answer is not that of an S3 server ({what})"),
            Self::Silent(limit) => write!(f, "no answer within {} s", limit.as_secs_f32()),
            Self::Distrusted => {
                f.write_str("its certificate is not accepted; an authority of your own goes into logs.s3.ca")
            }
            Self::Unreachable => f.write_str("the connection failed"),
            Self::Unsent(why) => write!(f, "what was to be sent cannot be read: {why}"),
        }
    }
}

impl Refusal {
    /// From an answer's status and body.
    pub(super) fn read(status: StatusCode, body: &[u8]) -> Self {
        let body = String::from_utf8_lossy(body);
        Self { status, code: element(&body, "Code"), message: element(&body, "Message") }
    }

    /// What to do about it.
    fn advice(&self) -> &'static str {
        match (self.code.as_str(), self.status.as_u16()) {
            ("SignatureDoesNotMatch", _) => "; expected another secret in logs.s3.key",
            ("InvalidAccessKeyId", _) => "; this key is not known there: expected another one in logs.s3.key",
            ("InvalidToken" | "ExpiredToken", _) => "; expected a token in logs.s3.key that is still valid",
            ("RequestTimeTooSkewed" | "RequestExpired", _) => {
                "; the clock of this machine or of that one is wrong"
            }
            ("AccessControlListNotSupported", _) => "; this bucket takes no ACLs: leave logs.s3.acl out",
            ("NoSuchBucket", _) => "; expected the URL of a bucket in logs.s3.url",
            ("NoSuchKey", _) => {
                "; if the bucket's name is in the host name of logs.s3.url, set logs.s3.style = \"virtual-host\""
            }
            ("AuthorizationHeaderMalformed" | "AuthorizationQueryParametersError", _)
            | (_, 301 | 307 | 308) => {
                "; expected the URL of the bucket's own region in logs.s3.url, or its name in logs.s3.region"
            }
            (_, 401 | 403) => {
                "; the key in logs.s3.key needs the right to do that, and to set logs.s3.acl where that is set"
            }
            _ => "",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { status, code, message } = self;
        write!(f, "{}", status.as_u16())?;
        for part in [code, message].into_iter().filter(|it| !it.is_empty()) {
            write!(f, " {part}")?;
        }
        f.write_str(self.advice())
    }
}

/// The text of the first element of that name, fit for a log. The documents are small and flat.
fn element(xml: &str, name: &str) -> String {
    let inner = xml.split_once(&format!("<{name}>")).and_then(|(_, rest)| rest.split_once("</"));
    let text = inner.map_or("", |(text, _)| text);
    text.chars().filter(|it| !it.is_control()).take(300).collect()
}

/// Whether the certificate is what TLS did not like. An I/O error hides what it wraps from `source`.
fn is_distrust(error: &(dyn Error + 'static)) -> bool {
    if let Some(tls) = error.downcast_ref::<rustls::Error>() {
        return matches!(tls, rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented);
    }
    let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    inner.is_some_and(|it| is_distrust(it)) || error.source().is_some_and(is_distrust)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(status: u16, code: &str) -> Problem {
        let body = format!(
            "<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>so\u{1b}[31m</Message></Error>"
        );
        Problem::Refused(Refusal::read(StatusCode::from_u16(status).unwrap(), body.as_bytes()))
    }

    #[test]
    fn what_is_tried_again() {
        for (status, code, brief) in [
            (500, "InternalError", true),
            (503, "SlowDown", true),
            (503, "", true),
            (429, "TooManyRequests", true),
            (400, "RequestTimeout", true),
            (408, "", true),
            (400, "BadDigest", false),
            (403, "AccessDenied", false),
            (404, "NoSuchBucket", false),
            (301, "PermanentRedirect", false),
        ] {
            assert_eq!(refusal(status, code).is_brief(), brief, "{status} {code}");
        }
        assert!(Problem::Silent(Duration::from_secs(1)).is_brief() && Problem::Unreachable.is_brief());
        assert!(!Problem::Distrusted.is_brief());
    }

    #[test]
    fn a_refusal_says_what_to_do() {
        for (status, code, text) in [
            (
                403,
                "SignatureDoesNotMatch",
                "403 SignatureDoesNotMatch so[31m; expected another secret in logs.s3.key",
            ),
            (500, "InternalError", "500 InternalError so[31m"),
            (
                404,
                "NoSuchKey",
                "404 NoSuchKey so[31m; if the bucket's name is in the host name of logs.s3.url, set logs.s3.style = \"virtual-host\"",
            ),
            (
                400,
                "AccessControlListNotSupported",
                "400 AccessControlListNotSupported so[31m; this bucket takes no ACLs: leave logs.s3.acl out",
            ),
        ] {
            assert_eq!(refusal(status, code).to_string(), text);
        }
        let other = Refusal::read(StatusCode::BAD_GATEWAY, b"<html>bad gateway</html>");
        assert_eq!(Problem::Refused(other).to_string(), "502");
    }
}
