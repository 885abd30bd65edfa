//! Where a broker is (wire facts, section 1).

use std::fmt;
use std::str::FromStr;

/// `HOST:PORT` means TLS with a client certificate; `localhost` alone means plain AMQP as `guest`, for hacking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// Plain AMQP to localhost:5672 as `guest`/`guest`.
    Localhost,
    /// AMQP over TLS, SASL EXTERNAL.
    Tls {
        /// A name or an address; IPv6 without its brackets.
        host: String,
        /// 1 to 65535.
        port: u16,
    },
}

/// An address of another form.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "broker address {0:?}: expected `host:port` (TLS with the certificates of the secrets directory), or `localhost` for plain AMQP as guest"
)]
pub struct InvalidAddress(String);

impl FromStr for Address {
    type Err = InvalidAddress;

    fn from_str(text: &str) -> Result<Self, InvalidAddress> {
        if text == "localhost" {
            return Ok(Self::Localhost);
        }
        let invalid = || InvalidAddress(text.chars().take(100).collect());
        let (host, port) = text.rsplit_once(':').ok_or_else(invalid)?;
        let host = match host.strip_prefix('[') {
            Some(inner) => inner.strip_suffix(']').ok_or_else(invalid)?,
            None if host.contains(':') => return Err(invalid()),
            None => host,
        };
        let harmless =
            !host.is_empty() && host.chars().all(|c| c.is_ascii_alphanumeric() || "-._:".contains(c));
        match port.parse() {
            Ok(port) if port > 0 && harmless => Ok(Self::Tls { host: host.to_owned(), port }),
            _ => Err(invalid()),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Localhost => f.write_str("localhost"),
            Self::Tls { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tls { host, port } => write!(f, "{host}:{port}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_as_the_wire_facts_say() {
        assert_eq!("localhost".parse(), Ok(Address::Localhost));
        for text in ["localhost:5671", "amqp.example:5671", "127.0.0.1:1", "[::1]:5671"] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
        for bad in [
            "",
            "example",
            "example:",
            ":5671",
            "example:0",
            "example:99999",
            "::1:5671",
            "a b:1",
            "amqps://x:1",
        ] {
            let error = bad.parse::<Address>().unwrap_err().to_string();
            assert!(error.contains("host:port"), "{error}");
        }
    }
}
