//! Names in certificates: of a broker's user, and of a server.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use crate::error::InvalidValue;

/// The longest common name in characters (RFC 5280 appendix A.1, `ub-common-name`).
const LONGEST_COMMON_NAME: usize = 64;
/// The longest DNS name and the longest part of one in bytes (RFC 1035 section 2.3.4).
const LONGEST_DNS_NAME: usize = 253;
const LONGEST_LABEL: usize = 63;

/// The subject of a client certificate, which is the broker's name for the user: 1 to 64
/// characters, none of them a control character, no white space at the ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommonName(String);

impl CommonName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for CommonName {
    /// `cockpit-amqp`, the user of existing deployments.
    fn default() -> Self {
        Self("cockpit-amqp".to_owned())
    }
}

impl fmt::Display for CommonName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for CommonName {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        let length = text.chars().count();
        let good = (1..=LONGEST_COMMON_NAME).contains(&length)
            && text.trim() == text
            && !text.contains(char::is_control);
        if good {
            return Ok(Self(text.to_owned()));
        }
        Err(InvalidValue {
            what: "a user name",
            value: text.to_owned(),
            expected: "1 to 64 characters without line breaks and without white space at the ends",
        })
    }
}

/// A name by which clients call a server: a DNS name, a wildcard for one level of one
/// (`*.ci.example.org`), or an IP address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerName(Kind);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    /// In lower case.
    Dns(String),
    Ip(IpAddr),
}

impl ServerName {
    /// `localhost`, by name and by both addresses.
    pub fn localhost() -> Vec<Self> {
        vec![
            Self(Kind::Dns("localhost".to_owned())),
            Self(Kind::Ip(std::net::Ipv4Addr::LOCALHOST.into())),
            Self(Kind::Ip(std::net::Ipv6Addr::LOCALHOST.into())),
        ]
    }

    /// The entry of a certificate's subject alternative names.
    pub(crate) fn to_san(&self) -> Result<rcgen::SanType, rcgen::Error> {
        Ok(match &self.0 {
            Kind::Dns(name) => rcgen::SanType::DnsName(name.as_str().try_into()?),
            Kind::Ip(address) => rcgen::SanType::IpAddress(*address),
        })
    }

    /// The name, when it is short enough for a common name.
    pub(crate) fn as_common_name(&self) -> Option<String> {
        Some(self.to_string()).filter(|name| name.len() <= LONGEST_COMMON_NAME)
    }
}

impl fmt::Display for ServerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Dns(name) => f.write_str(name),
            Kind::Ip(address) => address.fmt(f),
        }
    }
}

impl FromStr for ServerName {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        if let Ok(address) = text.parse() {
            return Ok(Self(Kind::Ip(address)));
        }
        if is_dns_name(text) {
            return Ok(Self(Kind::Dns(text.to_ascii_lowercase())));
        }
        Err(InvalidValue {
            what: "a server name",
            value: text.to_owned(),
            expected: "a DNS name (host.example.org; other alphabets as xn--…), a wildcard for the \
                       first part of three or more (*.example.org), or an IP address; no port",
        })
    }
}

/// The rule of rustls-webpki for names in certificates, which is the strictest of those that
/// will read ours; a name it refuses would be ignored or spoil the whole certificate.
fn is_dns_name(text: &str) -> bool {
    let (name, least) = text.strip_prefix("*.").map_or((text, 1), |rest| (rest, 2));
    let labels: Vec<&str> = name.split('.').collect();
    let number = labels.last().is_some_and(|label| label.bytes().all(|byte| byte.is_ascii_digit()));
    text.len() <= LONGEST_DNS_NAME && labels.len() >= least && !number && labels.into_iter().all(is_label)
}

fn is_label(label: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    (1..=LONGEST_LABEL).contains(&label.len())
        && label.bytes().all(legal)
        && !label.starts_with('-')
        && !label.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn server_names_are_dns_names_wildcards_and_addresses() {
        for good in [
            "localhost",
            "host.example.org",
            "*.ci.example.org",
            "a_b",
            "127.0.0.1",
            "::1",
            "xn--bcher-kva.example",
        ] {
            assert_eq!(good.parse::<ServerName>().unwrap().to_string(), good);
        }
        assert_eq!("Host.Example.ORG".parse::<ServerName>().unwrap().to_string(), "host.example.org");
    }

    #[test]
    fn other_texts_are_no_server_names() {
        let long = format!("{}.example.org", "a".repeat(64));
        for bad in [
            "",
            ".",
            "*",
            "*.org",
            "a.*.example.org",
            "f*.example.org",
            "host:5671",
            "[::1]",
            "1.2.3",
            "300.1.1.1",
            "-a.org",
            "a-.org",
            "a..org",
            "a.org.",
            "bücher.example",
            "a b",
            "a\n.org",
            "amqps://host",
            long.as_str(),
        ] {
            let error = bad.parse::<ServerName>().unwrap_err().to_string();
            assert!(error.contains("is not a server name: expected a DNS name"), "{bad}: {error}");
        }
    }

    #[test]
    fn common_names_have_a_length_and_no_line_breaks() {
        let longest = "ü".repeat(64);
        for good in ["cockpit-amqp", "a user", longest.as_str()] {
            assert_eq!(good.parse::<CommonName>().unwrap().as_str(), good);
        }
        let long = "a".repeat(65);
        for bad in ["", " a", "a\n", "a\0b", "\u{1b}[31m", long.as_str()] {
            bad.parse::<CommonName>().unwrap_err();
        }
    }
}
