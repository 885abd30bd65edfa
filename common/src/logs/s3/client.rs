//! Requests to a bucket: signed, sent, and sent again.

use std::borrow::Cow;
use std::net::Ipv4Addr;
use std::time::Duration;

use backon::ExponentialBackoff;
use bytes::Bytes;
use reqwest::header::{CONTENT_LENGTH, ETAG, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Body, ClientBuilder, Method, Response, StatusCode, Url};
use rusty_s3::S3Action;
use tokio::time::Instant;

use super::super::content_type::content_type;
use super::super::spool::Section;
use super::place::{Place, below};
use super::problem::{Problem, Refusal, S3Error};
use super::settings::{Acl, S3Key, S3Limits, S3Settings};
use crate::http::{HttpError, Timeouts, Trust, builder};
use crate::{Chain, Clock, pauses};

/// For how long a signature is good, counted by the clock of the other side, which may be wrong as well: the time that S3 allows.
const SIGNED_FOR: Duration = Duration::from_mins(15);
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LAST_PAUSE: Duration = Duration::from_secs(30);
/// The longest answer that is read, in bytes: a list of 1000 names of 1024 bytes, each escaped.
const ANSWER_LENGTH: usize = 4 * 1024 * 1024;
const ACL: &str = "x-amz-acl";

/// What an object is sent with.
#[derive(Debug)]
pub(super) enum Content {
    /// There is no body.
    Nothing,
    /// A small one.
    Bytes(Bytes),
    /// One of any size; only a little of it is in memory at a time.
    Section(Section),
}

impl Content {
    fn length(&self) -> u64 {
        match self {
            Self::Nothing => 0,
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Section(section) => section.bytes(),
        }
    }

    fn body(&self) -> Body {
        match self {
            Self::Nothing => Body::default(),
            Self::Bytes(bytes) => Body::from(bytes.clone()),
            Self::Section(section) => Body::wrap_stream(section.stream()),
        }
    }
}

/// What came back.
#[derive(Debug)]
pub(super) struct Answer {
    headers: HeaderMap,
    pub(super) status: StatusCode,
    pub(super) body: Bytes,
}

impl Answer {
    fn header(&self, name: &HeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// A document.
    pub(super) fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.body)
    }

    pub(super) fn etag(&self) -> Option<&str> {
        self.header(&ETAG)
    }

    pub(super) fn length(&self) -> Option<u64> {
        self.header(&CONTENT_LENGTH)?.parse().ok()
    }
}

/// One bucket.
#[derive(Debug)]
pub(super) struct Client {
    http: reqwest::Client,
    pub(super) place: Place,
    pub(super) key: S3Key,
    pub(super) limits: S3Limits,
    acl: Option<Acl>,
    url: Url,
    clock: Clock,
}

impl Client {
    pub(super) fn new(settings: &S3Settings, place: Place, clock: Clock) -> Result<Self, HttpError> {
        let trust = match &settings.ca {
            Some(pem) => Trust::SystemAnd(pem),
            None if settings.url.scheme() == "http" => Trust::Nobody,
            None => Trust::System,
        };
        let limits = settings.limits;
        let timeouts = Timeouts { connect: limits.connect, request: limits.exchange };
        let http = at_home(builder(&settings.user_agent, trust, timeouts)?, place.bucket.base_url());
        let http = http.build().map_err(HttpError::Client)?;
        let (key, acl, url) = (settings.key.clone(), settings.acl.clone(), settings.url.clone());
        Ok(Self { http, place, key, limits, acl, url, clock })
    }

    /// What an object called `name` is stored with (wire facts).
    pub(super) fn describe<'a>(&self, action: &mut impl S3Action<'a>, name: &str) {
        let (mime, encoding) = content_type(name);
        let headers = action.headers_mut();
        headers.insert("content-type", mime);
        if let Some(encoding) = encoding {
            headers.insert("content-encoding", encoding);
        }
        if let Some(acl) = &self.acl {
            headers.insert(ACL, acl.as_str().to_owned());
        }
    }

    /// Sends until it is taken, refused, or the time of [`S3Limits::retry_for`] is over. `name` is for people.
    pub(super) async fn send<'a, A: S3Action<'a>>(
        &self,
        doing: &'static str,
        name: &str,
        action: A,
        content: Content,
    ) -> Result<Answer, S3Error> {
        let bytes = content.length();
        self.send_for(doing, name, action, content, bytes).await
    }

    /// The same where the other side has so many bytes to handle.
    pub(super) async fn send_for<'a, A: S3Action<'a>>(
        &self,
        doing: &'static str,
        name: &str,
        mut action: A,
        content: Content,
        bytes: u64,
    ) -> Result<Answer, S3Error> {
        let limit = self.limits.exchange + Duration::from_secs(bytes / self.limits.slowest.max(1));
        let started = Instant::now();
        let mut pauses = pauses();
        let mut tries = 0;
        loop {
            tries += 1;
            let (problem, network) = match self.send_once(&mut action, &content, limit).await {
                Ok(answer) => return Ok(answer),
                Err(failed) => failed,
            };
            let error = S3Error { doing, url: below(&self.url, name), problem, tries, network };
            let pause = pauses.next().unwrap_or(LAST_PAUSE).min(LAST_PAUSE);
            if !error.problem.is_brief() || started.elapsed() + pause > self.limits.retry_for {
                return Err(error);
            }
            tracing::warn!(error = %Chain(&error), retry_ms = pause.as_millis(), "the bucket is tried again");
            tokio::time::sleep(pause).await;
        }
    }

    /// Signed anew each time: a signature has an age.
    async fn send_once<'a, A: S3Action<'a>>(
        &self,
        action: &mut A,
        content: &Content,
        limit: Duration,
    ) -> Result<Answer, (Problem, Option<reqwest::Error>)> {
        let method = Method::from_bytes(A::METHOD.to_str().as_bytes())
            .map_err(|it| (Problem::Unsent(it.to_string()), None))?;
        let url = action.sign_with_time(SIGNED_FOR, &self.clock.now());
        let mut headers = HeaderMap::new();
        for (name, value) in action.headers_mut().iter() {
            if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::from_str(value)) {
                headers.insert(name, value);
            }
        }
        if matches!(method, Method::PUT | Method::POST) {
            headers.insert(CONTENT_LENGTH, HeaderValue::from(content.length()));
        }
        let failed = |error: reqwest::Error| (Problem::of(&error, limit), Some(error.without_url()));
        let request = self.http.request(method, url).headers(headers).body(content.body()).timeout(limit);
        let mut response = request.send().await.map_err(failed)?;
        let body = read(&mut response).await.map_err(failed)?;
        let status = match response.status() {
            // 200 is sent before some work is done, and may have an error in its body. (A part of an object comes with 206.)
            it if it == StatusCode::OK && is_error(&body) => StatusCode::INTERNAL_SERVER_ERROR,
            it => it,
        };
        if !status.is_success() {
            return Err((Problem::Refused(Refusal::read(status, &body)), None));
        }
        Ok(Answer { headers: response.headers().clone(), status, body: body.into() })
    }

    /// An error for an answer that says success and is none.
    pub(super) fn unreadable(&self, doing: &'static str, name: &str, why: &dyn std::fmt::Display) -> S3Error {
        let problem = Problem::Unreadable(why.to_string());
        S3Error { doing, url: below(&self.url, name), problem, tries: 1, network: None }
    }
}

/// Names below `localhost` are this machine's (RFC 6761), also where its resolver does not know: a bucket's name can be one.
fn at_home(http: ClientBuilder, url: &Url) -> ClientBuilder {
    match url.host_str() {
        Some(host) if host.ends_with(".localhost") => http.resolve(host, (Ipv4Addr::LOCALHOST, 0).into()),
        _ => http,
    }
}

/// What is too long is cut off: it is then unreadable, or an error whose beginning says enough.
async fn read(response: &mut Response) -> Result<Vec<u8>, reqwest::Error> {
    let mut body = Vec::new();
    while body.len() < ANSWER_LENGTH
        && let Some(chunk) = response.chunk().await?
    {
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn is_error(body: &[u8]) -> bool {
    let text = body.trim_ascii_start();
    let declaration =
        text.strip_prefix(b"<?xml").and_then(|it| Some(&it[it.iter().position(|it| *it == b'>')? + 1..]));
    declaration.unwrap_or(text).trim_ascii_start().starts_with(b"<Error")
}

fn pauses() -> ExponentialBackoff {
    pauses::growing(FIRST_PAUSE, LAST_PAUSE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_may_come_with_success() {
        for error in ["<Error><Code>x</Code></Error>", "  \n<?xml version=\"1.0\"?>\n<Error/>"] {
            assert!(is_error(error.as_bytes()), "{error}");
        }
        for other in ["", "<?xml", "<?xml?>", "<Result><Error/></Result>", "text"] {
            assert!(!is_error(other.as_bytes()), "{other}");
        }
    }
}
