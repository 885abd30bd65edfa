//! One request and its answer: credentials, redirects, bounds, and another try for what is only read.

use std::time::{Duration, Instant};

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderMap, HeaderName, HeaderValue, LOCATION};
use reqwest::{Client, Method, Response, Url};
use secrecy::ExposeSecret;
use serde::Serialize;

use super::answer::Answer;
use super::error::{ForgeError, Request};
use super::settings::{ForgeSettings, Limits};
use crate::id::ForgeName;
use crate::{Chain, http};

const JSON: HeaderValue = HeaderValue::from_static("application/vnd.github+json");
/// A file as it is, instead of JSON with base64 in it.
pub(super) const RAW: HeaderValue = HeaderValue::from_static("application/vnd.github.raw+json");
const VERSION: (HeaderName, HeaderValue) =
    (HeaderName::from_static("x-github-api-version"), HeaderValue::from_static("2022-11-28"));

/// A renamed repository takes one, a renamed owner another.
const MAX_REDIRECTS: usize = 5;
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LAST_PAUSE: Duration = Duration::from_secs(4);
/// How much is read of an answer that is not success, in bytes: enough for its message.
const ERROR_LENGTH: usize = 64 * 1024;

/// What to read.
#[derive(Debug)]
pub(super) struct Read<'a> {
    /// The parts of the path below the API's address; they are escaped here.
    pub(super) path: Vec<&'a str>,
    pub(super) query: Vec<(&'a str, String)>,
    pub(super) accept: HeaderValue,
    /// The longest answer, in bytes.
    pub(super) limit: usize,
}

/// The API of one forge.
pub(super) struct Api {
    client: Client,
    forge: ForgeName,
    url: Url,
    authorization: Option<HeaderValue>,
    limits: Limits,
}

impl Api {
    pub(super) fn new(settings: &ForgeSettings, limits: Limits) -> Result<Self, ForgeError> {
        settings.check()?;
        let client = http::client(&settings.user_agent, settings.trust(), limits.timeouts)
            .map_err(|error| settings.refuse("ca", Chain(&error).to_string()))?;
        Ok(Self {
            client,
            forge: settings.name.clone(),
            url: settings.api_url.clone(),
            authorization: authorization(settings)?,
            limits,
        })
    }

    pub(super) const fn limits(&self) -> &Limits {
        &self.limits
    }

    pub(super) const fn url(&self) -> &Url {
        &self.url
    }

    /// Reads, and tries again for [`Limits::retry_for`] where the forge or the network has a bad moment.
    pub(super) async fn read(&self, what: &Read<'_>) -> Result<Answer, ForgeError> {
        let started = Instant::now();
        let mut pauses = pauses();
        loop {
            let error = match self.read_once(what).await {
                Err(error) if error.is_brief() => error,
                done => return done,
            };
            let left = self.limits.retry_for.saturating_sub(started.elapsed());
            let Some(pause) = pauses.next().filter(|it| *it < left) else { return Err(error) };
            tracing::debug!(error = %Chain(&error), retry_ms = pause.as_millis(), "reading from the forge again");
            tokio::time::sleep(pause).await;
        }
    }

    /// Sends JSON, once.
    pub(super) async fn post(&self, path: &[&str], body: &impl Serialize) -> Result<Answer, ForgeError> {
        let url = self.address(path, &[]);
        let request = self.request(Method::POST, path);
        let sent = self.client.post(url.clone()).headers(self.headers(&url, JSON)).json(body).send();
        let response = sent.await.map_err(|error| self.failed(&request, error))?;
        if response.status().is_redirection() {
            return Err(not_followed(request, &response));
        }
        self.finish(request, response, self.limits.answer).await
    }

    async fn read_once(&self, what: &Read<'_>) -> Result<Answer, ForgeError> {
        let request = self.request(Method::GET, &what.path);
        let mut url = self.address(&what.path, &what.query);
        for _ in 0..=MAX_REDIRECTS {
            let sent = self.client.get(url.clone()).headers(self.headers(&url, what.accept.clone())).send();
            let response = sent.await.map_err(|error| self.failed(&request, error))?;
            if !response.status().is_redirection() {
                return self.finish(request, response, what.limit).await;
            }
            let Some(next) = target(&response) else { return Err(not_followed(request, &response)) };
            url = next;
        }
        let problem = format!("more than {MAX_REDIRECTS} redirects");
        Err(ForgeError::Answer { request: Box::new(request), problem })
    }

    async fn finish(&self, request: Request, response: Response, limit: usize) -> Result<Answer, ForgeError> {
        let status = response.status();
        tracing::debug!(%request, status = status.as_u16(), "the forge answered");
        let headers = response.headers().clone();
        let body = if status.is_success() {
            self.body(&request, response, limit).await?
        } else {
            // Its status is what counts; a message that is too long, or breaks off, is none.
            self.body(&request, response, ERROR_LENGTH).await.unwrap_or_default()
        };
        Answer { request, status, headers, body }.success()
    }

    async fn body(
        &self,
        request: &Request,
        mut response: Response,
        limit: usize,
    ) -> Result<Vec<u8>, ForgeError> {
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.failed(request, error))? {
            if body.len() + chunk.len() > limit {
                return Err(ForgeError::TooLong { request: Box::new(request.clone()), limit });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    fn request(&self, method: Method, path: &[&str]) -> Request {
        Request { forge: self.forge.clone(), method, path: path.join("/") }
    }

    /// Every part of the path is escaped, a `/` in it too.
    fn address(&self, path: &[&str], query: &[(&str, String)]) -> Url {
        let mut url = self.url.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        url
    }

    /// The token goes to the forge's API and nowhere else, wherever a redirect leads.
    fn headers(&self, url: &Url, accept: HeaderValue) -> HeaderMap {
        let mut headers = HeaderMap::from_iter([(ACCEPT, accept), VERSION]);
        if let Some(token) = self.authorization.as_ref().filter(|_| url.origin() == self.url.origin()) {
            headers.insert(AUTHORIZATION, token.clone());
        }
        headers
    }

    fn failed(&self, request: &Request, error: reqwest::Error) -> ForgeError {
        let request = Box::new(request.clone());
        let Limits { timeouts, .. } = self.limits;
        if error.is_timeout() {
            let limit = if error.is_connect() { timeouts.connect } else { timeouts.request };
            return ForgeError::TimedOut { request, limit };
        }
        ForgeError::Network { request, source: error.without_url() }
    }
}

/// `token TEXT` is what every forge takes ("Bearer" is not Gitea's).
fn authorization(settings: &ForgeSettings) -> Result<Option<HeaderValue>, ForgeError> {
    let Some(token) = &settings.token else { return Ok(None) };
    let wrong = || settings.refuse("token", "expected one line of visible ASCII characters".to_owned());
    let text = token.expose_secret();
    if text.is_empty() || !text.bytes().all(|it| it.is_ascii_graphic()) {
        return Err(wrong());
    }
    let mut value = HeaderValue::from_str(&format!("token {text}")).map_err(|_| wrong())?;
    value.set_sensitive(true);
    Ok(Some(value))
}

/// Where a redirect leads; none if that is nowhere, or out of TLS.
fn target(response: &Response) -> Option<Url> {
    let from = response.url();
    let to = from.join(response.headers().get(LOCATION)?.to_str().ok()?).ok()?;
    let fit = to.scheme() == "https" || (to.scheme() == "http" && from.scheme() == "http");
    fit.then_some(to)
}

fn not_followed(request: Request, response: &Response) -> ForgeError {
    let to = response.headers().get(LOCATION).and_then(|it| response.url().join(it.to_str().ok()?).ok());
    let host = to.map_or_else(|| "nowhere".to_owned(), |it| it.origin().ascii_serialization());
    ForgeError::Redirected { request: Box::new(request), status: response.status(), to: host }
}

fn pauses() -> ExponentialBackoff {
    ExponentialBuilder::new()
        .with_min_delay(FIRST_PAUSE)
        .with_max_delay(LAST_PAUSE)
        .without_max_times()
        .with_jitter()
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forge::Writes;

    fn api(url: &str, token: Option<&str>) -> Result<Api, ForgeError> {
        let settings = ForgeSettings {
            name: ForgeName::new("hub").unwrap(),
            api_url: Url::parse(url).unwrap(),
            clone_url: Url::parse("https://example.com/").unwrap(),
            user_agent: "test".to_owned(),
            token: token.map(Into::into),
            writes: Writes::Say,
            ca: None,
        };
        Api::new(&settings, Limits::default())
    }

    #[test]
    fn every_part_of_a_path_is_escaped() {
        for (base, address) in [
            ("http://localhost", "http://localhost/repos/o/r/branches/a%2Fb%23c%25d%3F%C3%A9"),
            ("http://localhost/api/v3/", "http://localhost/api/v3/repos/o/r/branches/a%2Fb%23c%25d%3F%C3%A9"),
        ] {
            let url = api(base, None).unwrap().address(&["repos", "o", "r", "branches", "a/b#c%d?é"], &[]);
            assert_eq!(url.as_str(), address);
        }
    }

    #[test]
    fn the_token_is_for_the_api_alone() {
        let api = api("http://127.0.0.1:8080/api", Some("abc")).unwrap();
        let sent = |url| api.headers(&Url::parse(url).unwrap(), JSON).get(AUTHORIZATION).cloned();
        let token = sent("http://127.0.0.1:8080/elsewhere").unwrap();
        assert!(token.is_sensitive());
        assert_eq!(token, "token abc");
        for other in ["http://127.0.0.1:8081/api", "https://127.0.0.1:8080/api", "http://localhost:8080/api"]
        {
            assert_eq!(sent(other), None, "{other}");
        }
    }

    #[test]
    fn a_token_is_one_word() {
        for bad in ["", "abc\n", "a b", "é"] {
            let error = api("http://localhost", Some(bad)).err().unwrap();
            assert_eq!(
                error.to_string(),
                "forge `hub`: token: expected one line of visible ASCII characters"
            );
        }
    }

    #[test]
    fn pauses_grow_to_their_bound() {
        let pauses: Vec<_> = pauses().take(20).collect();
        assert!(pauses.iter().all(|it| (FIRST_PAUSE..=LAST_PAUSE * 2).contains(it)), "{pauses:?}");
        assert!(pauses[0] < LAST_PAUSE);
    }
}
