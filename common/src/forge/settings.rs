//! How a forge is reached, and what is refused before the first request.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use reqwest::Url;
use reqwest::header::HeaderValue;

use super::error::ForgeError;
use super::token::Token;
use crate::http::{Timeouts, Trust};
use crate::id::ForgeName;

/// The most that GitHub gives on a page.
const GITHUB_PAGE: (&str, &str) = ("per_page", "100");
/// The most that Forgejo and Gitea give on a page, unless they are configured otherwise.
const GITEA_PAGE: (&str, &str) = ("limit", "50");

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
    pub token: Option<Token>,
    /// Whether it is written to.
    pub writes: Writes,
    /// Authorities to trust beside the machine's: one or more certificates in PEM.
    pub ca: Option<String>,
    /// The folder in which answers outlive the process; it is made where it is not there. Without one they are kept in memory.
    pub cache_dir: Option<PathBuf>,
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
    /// For how long something is tried again: no new try begins later than this after the first. A wait for a rate limit that
    /// would be longer is an error at once, except for [`super::Forge::background`].
    pub retry_for: Duration,
    /// The longest answer that is read, in bytes.
    pub answer: usize,
    /// How many requests there are at a time.
    pub requests: usize,
    /// How much is kept in memory of what was read, in bytes, so that a forge need only say that it is still true.
    pub cache: usize,
}

impl Default for Limits {
    /// GitHub gives an answer up after 10 s; 25 s are time for another try after one that took 20, outlast a restart of a proxy, and
    /// keep a scanner from waiting on a forge that is down. GitHub's longest answers (a page of 100 pulls) have 2 to 3 MB; it allows
    /// a hundred requests at a time for everything that uses the same token. What a sweep of 20 repositories with 30 open pulls
    /// each reads has about 30 MB.
    fn default() -> Self {
        Self {
            timeouts: Timeouts { request: Duration::from_secs(20), ..Timeouts::default() },
            retry_for: Duration::from_secs(25),
            answer: 16 * 1024 * 1024,
            requests: 16,
            cache: 64 * 1024 * 1024,
        }
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

    /// How its pages are asked for. Forgejo and Gitea answer below `/api/v1`, GitHub Enterprise below `/api/v3`.
    pub(super) fn page_length(&self) -> (&'static str, &'static str) {
        if self.api_url.path().trim_end_matches('/').ends_with("/api/v1") { GITEA_PAGE } else { GITHUB_PAGE }
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

    fn settings(api_url: &str, token: Option<&str>) -> ForgeSettings {
        ForgeSettings {
            name: ForgeName::new("hub").unwrap(),
            api_url: Url::parse(api_url).unwrap(),
            clone_url: Url::parse("https://example.com/").unwrap(),
            user_agent: "test".to_owned(),
            token: token.map(Into::into),
            writes: Writes::Say,
            ca: None,
            cache_dir: None,
        }
    }

    fn check(api_url: &str, token: Option<&str>) -> Result<(), String> {
        settings(api_url, token).check().map_err(|it| it.to_string())
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
    fn a_page_is_asked_for_in_the_words_of_the_forge() {
        for (api, parameter) in [
            ("https://api.github.com", "per_page"),
            ("https://git.example.com/api/v3", "per_page"),
            ("https://git.example.com/api/v1", "limit"),
            ("https://example.com/git/api/v1/", "limit"),
        ] {
            assert_eq!(settings(api, None).page_length().0, parameter, "{api}");
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
