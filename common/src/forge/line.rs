//! One request to a forge and its answer: credentials, redirects, bounds, and what is kept.

use std::sync::Arc;

use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, LOCATION};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode, Url};
use tokio::time::Instant;

use super::answer::Answer;
use super::cache::{Cache, Entry};
use super::error::{ForgeError, Request, Stage};
use super::exchange::{Read, Write};
use super::gate::Gate;
use super::metrics::{CacheResult, ForgeMetrics, Meter};
use super::pace;
use super::route::route;
use super::settings::{ForgeSettings, Limits};
use super::token::{Authorization, Look};
use crate::id::ForgeName;
use crate::{Chain, Clock, http};

pub(super) const JSON: HeaderValue = HeaderValue::from_static("application/vnd.github+json");
const JSON_BODY: HeaderValue = HeaderValue::from_static("application/json");
/// A file as it is, instead of JSON with base64 in it.
pub(super) const RAW: HeaderValue = HeaderValue::from_static("application/vnd.github.raw+json");
const VERSION: (HeaderName, HeaderValue) =
    (HeaderName::from_static("x-github-api-version"), HeaderValue::from_static("2022-11-28"));
/// What a forge calls a request: GitHub's word, and that of others.
const REQUEST_IDS: [HeaderName; 2] =
    [HeaderName::from_static("x-github-request-id"), HeaderName::from_static("x-request-id")];
/// No forge calls a request longer than that, in bytes.
const ID_LENGTH: usize = 100;

/// A renamed repository takes one, a renamed owner another.
const MAX_REDIRECTS: usize = 5;
/// How much is read of an answer that is not success, in bytes: enough for its message.
const ERROR_LENGTH: usize = 64 * 1024;

/// What all who ask a forge share.
pub(super) struct Line {
    client: Client,
    forge: ForgeName,
    url: Url,
    authorization: Option<Authorization>,
    limits: Limits,
    gate: Gate,
    cache: Cache,
    meter: Meter,
}

impl Line {
    pub(super) fn new(
        settings: &ForgeSettings,
        limits: Limits,
        metrics: &ForgeMetrics,
    ) -> Result<Self, ForgeError> {
        settings.check()?;
        let client = http::client(&settings.user_agent, settings.trust(), limits.timeouts)
            .map_err(|error| settings.refuse("ca", Chain(&error).to_string()))?;
        let authorization = settings.token.as_ref().map(Authorization::new).transpose();
        let (forge, folder) = (settings.name.clone(), settings.cache_dir.clone());
        Ok(Self {
            client,
            url: settings.api_url.clone(),
            authorization: authorization.map_err(|it| settings.refuse("token", it.to_string()))?,
            limits,
            gate: Gate::new(limits.requests),
            cache: Cache::new(forge.clone(), limits.cache, folder, Clock::system()),
            meter: metrics.of(forge.as_str()),
            forge,
        })
    }

    pub(super) const fn limits(&self) -> &Limits {
        &self.limits
    }

    pub(super) const fn url(&self) -> &Url {
        &self.url
    }

    pub(super) const fn gate(&self) -> &Gate {
        &self.gate
    }

    pub(super) async fn write_once(&self, what: &Write<'_>) -> Result<Answer, ForgeError> {
        let request = self.request(Method::POST, what.path);
        let url = self.address(what.path, &[]);
        let sent = self.client.post(url.clone()).headers(self.headers(&url, JSON));
        let sent = sent.header(CONTENT_TYPE, JSON_BODY).body(what.body.clone());
        let response = self.send(&request, sent, route(what.path)).await?;
        if response.status().is_redirection() {
            return Err(not_followed(request, &response));
        }
        self.finish(request, response, self.limits.answer).await
    }

    pub(super) async fn read_once(&self, what: &Read<'_>) -> Result<Answer, ForgeError> {
        let request = self.request(Method::GET, &what.path);
        let mut url = self.address(&what.path, &what.query);
        for _ in 0..=MAX_REDIRECTS {
            let kept = self.kept(&url, what).await;
            let mut headers = self.headers(&url, what.accept.clone());
            headers.extend(kept.as_ref().and_then(|it| it.validator()));
            let response =
                self.send(&request, self.client.get(url.clone()).headers(headers), route(&what.path)).await?;
            match (response.status(), kept) {
                (StatusCode::NOT_MODIFIED, Some(kept)) => {
                    let request = named(request, response.headers());
                    tracing::debug!(%request, request.id = request.id, "the forge has nothing new");
                    self.meter.looked(CacheResult::Hit);
                    return Ok(kept.answer(request, response.headers()));
                }
                (status, _) if status.is_redirection() => {
                    let Some(next) = target(&response) else { return Err(not_followed(request, &response)) };
                    url = next;
                }
                (_, kept) => return self.read_anew(request, response, &url, what, kept.is_some()).await,
            }
        }
        let problem = format!("more than {MAX_REDIRECTS} redirects");
        Err(ForgeError::Answer { request: Box::new(request), problem })
    }

    /// Reads an answer that is not the one we have, and keeps it.
    async fn read_anew(
        &self,
        request: Request,
        response: Response,
        url: &Url,
        what: &Read<'_>,
        had: bool,
    ) -> Result<Answer, ForgeError> {
        let answer = self.finish(request, response, what.limit).await?;
        if what.accept == JSON {
            self.meter.looked(if had { CacheResult::Stale } else { CacheResult::Miss });
            self.cache.keep(url, &what.accept, &answer).await;
        }
        Ok(answer)
    }

    /// Files are small and read at a commit, once: only JSON is kept.
    async fn kept(&self, url: &Url, what: &Read<'_>) -> Option<Arc<Entry>> {
        if what.accept == JSON { self.cache.find(url, &what.accept).await } else { None }
    }

    /// Sends, counts, and reads what the answer says about limits.
    async fn send(
        &self,
        request: &Request,
        sent: RequestBuilder,
        route: &'static str,
    ) -> Result<Response, ForgeError> {
        let started = Instant::now();
        let method = if request.method == Method::GET { "GET" } else { "POST" };
        let sent = sent.send().await;
        let status = sent.as_ref().ok().map(|it| it.status().as_u16());
        self.meter.asked(method, route, status, started.elapsed());
        let response = sent.map_err(|error| self.failed(request, error))?;
        // What another host says, that a redirect led to, is not about this one.
        if response.url().origin() == self.url.origin() {
            self.gate.note(response.headers());
            if let Some(left) = pace::remaining(response.headers()) {
                self.meter.remaining(left);
            }
        }
        Ok(response)
    }

    async fn finish(&self, request: Request, response: Response, limit: usize) -> Result<Answer, ForgeError> {
        let (status, headers) = (response.status(), response.headers().clone());
        let request = named(request, &headers);
        let id = request.id.clone();
        if status.is_success() || matches!(status, StatusCode::NOT_FOUND | StatusCode::UNPROCESSABLE_ENTITY) {
            tracing::debug!(%request, status = status.as_u16(), request.id = id, "the forge answered");
        } else {
            tracing::info!(%request, status = status.as_u16(), request.id = id, "the forge refused");
        }
        let body = if status.is_success() {
            self.body(&request, response, limit).await?
        } else {
            // Its status is what counts; a message that is too long, or breaks off, is none.
            self.body(&request, response, ERROR_LENGTH).await.unwrap_or_default()
        };
        let answer = Answer { request, status, headers, body: body.into() }.success();
        if let Err(ForgeError::RateLimited { retry_after: Some(wait), .. }) = &answer {
            tracing::warn!(forge = %self.forge, wait_s = wait.as_secs(), request.id = id, "the forge limits us");
            self.gate.close(*wait);
        }
        answer
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

    pub(super) fn request(&self, method: Method, path: &[&str]) -> Request {
        Request { forge: self.forge.clone(), method, path: path.join("/"), id: None }
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
        if let Some(authorization) = self.authorization.as_ref().filter(|_| url.origin() == self.url.origin())
        {
            let (header, look) = authorization.header();
            self.renew(look);
            headers.insert(AUTHORIZATION, header);
        }
        headers
    }

    /// Which token is sent now; 0 where there is none.
    pub(super) fn token(&self) -> u64 {
        self.authorization.as_ref().map_or(0, Authorization::version)
    }

    /// Looks for another token, as the forge refused this one.
    pub(super) fn refresh(&self, refused: u64) -> Look {
        let before = self.token();
        let look = self.authorization.as_ref().map_or(Look::Same, |it| it.refresh(refused));
        if self.token() != before {
            self.renew(look);
        }
        look
    }

    /// Another credential has limits of its own.
    fn renew(&self, look: Look) {
        if look == Look::New {
            tracing::info!(forge = %self.forge, "the forge's token has changed");
            self.gate.forget();
        }
    }

    fn failed(&self, request: &Request, error: reqwest::Error) -> ForgeError {
        let request = Box::new(request.clone());
        let Limits { timeouts, .. } = self.limits;
        match (error.is_timeout(), error.is_connect()) {
            (true, true) => ForgeError::TimedOut { request, limit: timeouts.connect, at: Stage::Connect },
            (true, false) => ForgeError::TimedOut { request, limit: timeouts.request, at: Stage::Answer },
            (false, _) => ForgeError::Network { request, source: error.without_url() },
        }
    }
}

/// Under the name that the forge gave it.
fn named(request: Request, headers: &HeaderMap) -> Request {
    let id = REQUEST_IDS.iter().find_map(|name| headers.get(name)?.to_str().ok());
    Request { id: id.filter(|it| it.len() <= ID_LENGTH).map(str::to_owned), ..request }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forge::Writes;

    fn line(url: &str, token: Option<&str>) -> Result<Line, ForgeError> {
        let settings = ForgeSettings {
            name: ForgeName::new("hub").unwrap(),
            api_url: Url::parse(url).unwrap(),
            clone_url: Url::parse("https://example.com/").unwrap(),
            user_agent: "test".to_owned(),
            token: token.map(Into::into),
            writes: Writes::Say,
            ca: None,
            cache_dir: None,
        };
        Line::new(&settings, Limits::default(), &ForgeMetrics::default())
    }

    #[test]
    fn every_part_of_a_path_is_escaped() {
        for (base, address) in [
            ("http://localhost", "http://localhost/repos/o/r/branches/a%2Fb%23c%25d%3F%C3%A9"),
            ("http://localhost/api/v3/", "http://localhost/api/v3/repos/o/r/branches/a%2Fb%23c%25d%3F%C3%A9"),
        ] {
            let url = line(base, None).unwrap().address(&["repos", "o", "r", "branches", "a/b#c%d?é"], &[]);
            assert_eq!(url.as_str(), address);
        }
    }

    #[test]
    fn the_token_is_for_the_api_alone() {
        let line = line("http://127.0.0.1:8080/api", Some("abc")).unwrap();
        let sent = |url| line.headers(&Url::parse(url).unwrap(), JSON).get(AUTHORIZATION).cloned();
        let token = sent("http://127.0.0.1:8080/elsewhere").unwrap();
        assert!(token.is_sensitive());
        assert_eq!(token, "token abc");
        for other in ["http://127.0.0.1:8081/api", "https://127.0.0.1:8080/api", "http://localhost:8080/api"]
        {
            assert_eq!(sent(other), None, "{other}");
        }
    }
}
