//! How a forge is reached, and what is refused before the first request.

use std::net::IpAddr;
use std::time::Duration;

use reqwest::Url;
use reqwest::header::HeaderValue;
use secrecy::SecretString;

use super::error::ForgeError;
use crate::http::{Timeouts, Trust};
use crate::id::ForgeName;

/// How a forge is reached. Its `Debug` is safe to print.
#[derive(Clone, Debug)]
pub struct ForgeSettings {
    /// What the configuration calls it.
    pub name: ForgeName,
    /// Where its API is, such as `https://api.github.com` or `https://git.example.com/api/v1`; a slash at the end is one too
    /// many, but does no harm.
    pub api_url: Url,
    /// What a repository's name is appended to for `git clone`, such as `https://github.com/`.
    pub clone_url: Url,
    /// Whom we say we are; GitHub refuses requests without it.
    pub user_agent: String,
    /// The credential; without one, only what is public can be read.
    pub token: Option<SecretString>,
    /// Whether it is written to.
    pub writes: Writes,
    /// Authorities to trust beside the machine's: one or more certificates in PEM.
    pub ca: Option<String>,
}

/// What happens to statuses and issues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writes {
    /// They are posted.
    Post,
    /// They are logged, and nothing is sent (`post = false`).
    Say,
}

/// The bounds of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How long an exchange may take.
    pub timeouts: Timeouts,
    /// For how long reading is tried again: no new try begins later than this after the first.
    pub retry_for: Duration,
    /// The longest answer that is read, in bytes.
    pub answer: usize,
}

impl Default for Limits {
    /// 15 s outlast a restart of a proxy and keep a scanner from waiting on a forge that is down. GitHub's longest answers
    /// (a page of 100 pulls) have 2 to 3 MB.
    fn default() -> Self {
        Self { timeouts: Timeouts::default(), retry_for: Duration::from_secs(15), answer: 16 * 1024 * 1024 }
    }
}

impl ForgeSettings {
    /// Refuses an address that is no API's, or that would show the token to the network.
    pub(super) fn check(&self) -> Result<(), ForgeError> {
        let api = &self.api_url;
        if !matches!(api.scheme(), "https" | "http") || !api.has_host() {
            return Err(self.refuse("api-url", "expected https://HOST[/PATH]".to_owned()));
        }
        let extra = api.query().is_some() || api.fragment().is_some();
        if extra || !api.username().is_empty() || api.password().is_some() {
            let problem = "expected no user, password, query or fragment in it".to_owned();
            return Err(self.refuse("api-url", problem));
        }
        if api.scheme() == "http" && self.token.is_some() && !is_loopback(api) {
            let problem =
                format!("{api} would send the token in clear text: expected https, or a loopback address");
            return Err(self.refuse("api-url", problem));
        }
        if HeaderValue::from_str(&self.user_agent).is_err() {
            return Err(self.refuse("user-agent", "expected one line of text".to_owned()));
        }
        Ok(())
    }

    pub(super) fn refuse(&self, key: &'static str, problem: String) -> ForgeError {
        ForgeError::Settings { forge: self.name.clone(), key, problem }
    }

    /// What is reached in the clear needs no authorities (a machine without any can still use it).
    pub(super) fn trust(&self) -> Trust<'_> {
        match &self.ca {
            Some(pem) => Trust::SystemAnd(pem),
            None if self.api_url.scheme() == "http" => Trust::Nobody,
            None => Trust::System,
        }
    }
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address: Option<IpAddr> = host.trim_matches(['[', ']']).parse().ok();
    address.map_or_else(|| host == "localhost" || host.ends_with(".localhost"), |it| it.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(api_url: &str, token: Option<&str>) -> Result<(), String> {
        let settings = ForgeSettings {
            name: ForgeName::new("hub").unwrap(),
            api_url: Url::parse(api_url).unwrap(),
            clone_url: Url::parse("https://example.com/").unwrap(),
            user_agent: "test".to_owned(),
            token: token.map(Into::into),
            writes: Writes::Say,
            ca: None,
        };
        settings.check().map_err(|it| it.to_string())
    }

    #[test]
    fn a_token_travels_encrypted_or_stays_on_the_machine() {
        for good in [
            "https://api.github.com",
            "https://git.example.com/api/v1/",
            "http://127.0.0.1:1/",
            "http://127.9.9.9",
            "http://[::1]:8080/api/v3",
            "http://localhost:3000",
        ] {
            assert_eq!(check(good, Some("secret")), Ok(()), "{good}");
        }
        for bad in [
            "http://api.github.com",
            "http://10.88.0.1:3000",
            "http://localhost.example.com",
            "http://[fd00::1]",
        ] {
            let problem = check(bad, Some("secret")).unwrap_err();
            assert!(problem.contains("would send the token in clear text"), "{problem}");
            assert!(!problem.contains("secret"));
            assert_eq!(check(bad, None), Ok(()), "{bad}");
        }
    }

    #[test]
    fn an_api_is_at_a_plain_address() {
        for bad in
            ["ftp://x/", "data:x", "https://user@x/", "https://:pass@x/", "https://x/?a=b", "https://x/#a"]
        {
            assert!(check(bad, None).is_err(), "{bad}");
        }
    }
}
