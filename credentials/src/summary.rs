//! What a certificate says, for people.

mod words;

use std::fmt;
use std::path::Path;

use jiff::Timestamp;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::error::Error;
use crate::pem;
use crate::validity::{Validity, date_time, whole_days};

/// What a certificate says. All texts are safe to print: control characters are escaped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Whom it is for, such as `CN=cockpit-amqp`.
    pub subject: String,
    /// Who vouches for it.
    pub issuer: String,
    /// Its subject alternative names: DNS names, IP addresses and others.
    pub names: Vec<String>,
    /// What it may be used for, in words; empty when it does not say, so for everything.
    pub purposes: Vec<String>,
    /// Whether it may vouch for other certificates.
    pub is_ca: bool,
    /// The kind of its key, such as `RSA, 2048 bits`.
    pub key: String,
    /// The first moment of its validity.
    pub valid_from: Timestamp,
    /// The last moment of its validity; 9999-12-30 for a certificate without a sensible end.
    pub valid_until: Timestamp,
}

impl Summary {
    /// Reads every certificate of a PEM file; there is at least one.
    ///
    /// # Errors
    ///
    /// [`Error::Read`] when the file cannot be read, [`Error::NotACertificate`] when it holds
    /// something else.
    pub fn read(path: &Path) -> Result<Vec<Self>, Error> {
        let content = pem::read(path)?;
        let certificates = pem::certificates(path, &content)?;
        let summaries = certificates.iter().map(|der| Self::from_der(der)).collect::<Result<Vec<_>, _>>();
        summaries.map_err(|problem| Error::NotACertificate { path: path.to_owned(), problem })
    }

    /// The whole days of validity that are left, rounded down; negative when it has expired.
    pub fn days_left(&self, now: Timestamp) -> i64 {
        whole_days(now, self.valid_until)
    }

    /// Several lines for a terminal, without a line break at the end.
    pub fn describe(&self, now: Timestamp) -> impl fmt::Display + '_ {
        Description { summary: self, now }
    }

    pub(crate) fn from_der(der: &[u8]) -> Result<Self, String> {
        let certificate = parse(der)?;
        let Validity { from, until } = validity(&certificate);
        Ok(Self {
            subject: words::name(certificate.subject()),
            issuer: words::name(certificate.issuer()),
            names: words::alternative_names(&certificate),
            purposes: words::purposes(&certificate),
            is_ca: certificate.is_ca(),
            key: words::key(certificate.public_key()),
            valid_from: from,
            valid_until: until,
        })
    }
}

/// Parses one certificate; the error says what is wrong with it.
pub(crate) fn parse(der: &[u8]) -> Result<X509Certificate<'_>, String> {
    let parsed = X509Certificate::from_der(der);
    parsed.map(|(_, certificate)| certificate).map_err(|error| format!("it is damaged ({error})"))
}

/// From when to when a certificate is valid, as far as we can count.
pub(crate) fn validity(certificate: &X509Certificate<'_>) -> Validity {
    let clamped = |seconds: i64| {
        let end = if seconds < 0 { Timestamp::MIN } else { Timestamp::MAX };
        Timestamp::from_second(seconds).unwrap_or(end)
    };
    let validity = certificate.validity();
    Validity {
        from: clamped(validity.not_before.timestamp()),
        until: clamped(validity.not_after.timestamp()),
    }
}

struct Description<'a> {
    summary: &'a Summary,
    now: Timestamp,
}

impl fmt::Display for Description<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Summary { subject, issuer, names, purposes, is_ca, key, valid_from, valid_until } = self.summary;
        writeln!(f, "subject      {subject}")?;
        writeln!(f, "issuer       {issuer}")?;
        writeln!(f, "names        {}", or(names, "none"))?;
        writeln!(f, "purposes     {}", or(purposes, "any (not restricted)"))?;
        writeln!(f, "CA           {}", if *is_ca { "yes" } else { "no" })?;
        writeln!(f, "key          {key}")?;
        writeln!(f, "valid from   {}{}", date_time(*valid_from), self.not_yet())?;
        write!(f, "valid until  {} ({})", date_time(*valid_until), self.left())
    }
}

impl Description<'_> {
    fn not_yet(&self) -> &'static str {
        if self.now < self.summary.valid_from { " (not yet)" } else { "" }
    }

    fn left(&self) -> String {
        if self.now <= self.summary.valid_until {
            return format!("{} left", days(self.summary.days_left(self.now)));
        }
        format!("expired {} ago", days(whole_days(self.summary.valid_until, self.now)))
    }
}

fn days(count: i64) -> String {
    match count {
        0 => "less than a day".to_owned(),
        1 => "1 day".to_owned(),
        _ => format!("{count} days"),
    }
}

fn or(list: &[String], none: &str) -> String {
    if list.is_empty() { none.to_owned() } else { list.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400;

    fn summary() -> Summary {
        let at = |seconds| Timestamp::from_second(seconds).unwrap();
        Summary {
            subject: "CN=x".to_owned(),
            issuer: "CN=ca".to_owned(),
            names: vec!["a.example".to_owned(), "::1".to_owned()],
            purposes: Vec::new(),
            is_ca: false,
            key: "Ed25519".to_owned(),
            valid_from: at(0),
            valid_until: at(10 * DAY),
        }
    }

    fn last_line(now: i64) -> String {
        let text = summary().describe(Timestamp::from_second(now).unwrap()).to_string();
        text.lines().last().unwrap().to_owned()
    }

    #[test]
    fn the_time_left_is_in_words() {
        assert_eq!(last_line(0), "valid until  1970-01-11 00:00:00 UTC (10 days left)");
        assert_eq!(last_line(9 * DAY), "valid until  1970-01-11 00:00:00 UTC (1 day left)");
        assert!(last_line(10 * DAY).ends_with("(less than a day left)"));
        assert!(last_line(10 * DAY + 1).ends_with("(expired less than a day ago)"));
        assert!(last_line(13 * DAY).ends_with("(expired 3 days ago)"));
        assert_eq!(summary().days_left(Timestamp::from_second(10 * DAY + 1).unwrap()), -1);
    }

    #[test]
    fn lists_and_a_future_start_are_told() {
        let text = summary().describe(Timestamp::from_second(-1).unwrap()).to_string();
        assert!(text.contains("names        a.example, ::1\n"), "{text}");
        assert!(text.contains("purposes     any (not restricted)\n"), "{text}");
        assert!(text.contains("valid from   1970-01-01 00:00:00 UTC (not yet)\n"), "{text}");
    }

    #[test]
    fn bytes_that_are_no_certificate_are_an_error() {
        for bytes in [&b""[..], b"\x30", b"\x30\x03\x02\x01\x01", &[0x30; 64], &[0xff; 64]] {
            assert!(Summary::from_der(bytes).unwrap_err().contains("damaged"));
        }
    }
}
