//! The one place that makes HTTP clients, so that each has deadlines, a name and its own trust.

use std::time::Duration;

use reqwest::{Certificate, Client, ClientBuilder, redirect, retry};

/// How long a client waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// For a connection, TLS included.
    pub connect: Duration,
    /// For a whole exchange: from the connection to the last byte of the answer.
    pub request: Duration,
}

impl Default for Timeouts {
    /// A host that is up takes a connection at once; the slowest answers of GitHub take some ten seconds.
    fn default() -> Self {
        Self { connect: Duration::from_secs(5), request: Duration::from_secs(30) }
    }
}

/// Whose certificates a client accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust<'a> {
    /// The machine's authorities; there must be some.
    System,
    /// The machine's, and these (PEM, one or more).
    SystemAnd(&'a str),
    /// None: for servers that are reached in the clear. Loads nothing.
    Nobody,
}

/// Why a client could not be made.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The authorities given are none.
    #[error("expected one or more certificates in PEM")]
    Authority(#[source] reqwest::Error),
    /// They hold no certificate at all.
    #[error("expected one or more certificates in PEM, found none")]
    NoAuthority,
    /// TLS could not be set up, or the user agent is no header.
    #[error("cannot make an HTTP client")]
    Client(#[source] reqwest::Error),
}

/// A client with deadlines. It follows no redirect (where a token may go is the caller's business) and repeats nothing.
pub fn client(user_agent: &str, trust: Trust<'_>, timeouts: Timeouts) -> Result<Client, HttpError> {
    builder(user_agent, trust, timeouts)?.build().map_err(HttpError::Client)
}

/// What [`client`] makes one of, for those who have more to set.
pub(crate) fn builder(
    user_agent: &str,
    trust: Trust<'_>,
    timeouts: Timeouts,
) -> Result<ClientBuilder, HttpError> {
    let builder = Client::builder()
        .user_agent(user_agent)
        .connect_timeout(timeouts.connect)
        .timeout(timeouts.request)
        .redirect(redirect::Policy::none())
        .retry(retry::never());
    Ok(match trust {
        Trust::System => builder,
        Trust::SystemAnd(pem) => builder.tls_certs_merge(authorities(pem)?),
        Trust::Nobody => builder.tls_certs_only([]),
    })
}

fn authorities(pem: &str) -> Result<Vec<Certificate>, HttpError> {
    let found = Certificate::from_pem_bundle(pem.as_bytes()).map_err(HttpError::Authority)?;
    if found.is_empty() { Err(HttpError::NoAuthority) } else { Ok(found) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Chain;

    fn refused(user_agent: &str, trust: Trust<'_>) -> String {
        Chain(&client(user_agent, trust, Timeouts::default()).unwrap_err()).to_string()
    }

    #[test]
    fn a_client_in_the_clear_needs_no_authorities() {
        client("test", Trust::Nobody, Timeouts::default()).unwrap();
    }

    #[test]
    fn an_authority_is_a_certificate() {
        let none = refused("test", Trust::SystemAnd(""));
        assert_eq!(none, "expected one or more certificates in PEM, found none");
        let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let broken = refused("test", Trust::SystemAnd(broken));
        assert!(broken.starts_with("cannot make an HTTP client: builder error: "), "{broken}");
    }

    #[test]
    fn a_user_agent_is_a_header() {
        let error = refused("a\nb", Trust::Nobody);
        assert_eq!(error, "cannot make an HTTP client: builder error: failed to parse header value");
    }
}
