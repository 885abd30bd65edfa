//! An answer of a forge, and what it means when it is not success.

use std::time::Duration;

use jiff::Timestamp;
use jiff::fmt::rfc2822;
use reqwest::StatusCode;
use reqwest::header::{DATE, HeaderMap, HeaderName, RETRY_AFTER};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::error::{ForgeError, Request};

const REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");
/// How much of a forge's words goes into an error, in characters: two lines of a log.
const MESSAGE_LENGTH: usize = 200;

/// What a forge answered, body and all.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) request: Request,
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

impl Answer {
    /// Reads the JSON that the API promises.
    pub(super) fn json<T: DeserializeOwned>(&self) -> Result<T, ForgeError> {
        let mut json = serde_json::Deserializer::from_slice(&self.body);
        serde_path_to_error::deserialize(&mut json).map_err(|error| self.unexpected(error.to_string()))
    }

    /// For an answer that is not what the API promises: where, and what was expected.
    pub(super) fn unexpected(&self, problem: String) -> ForgeError {
        ForgeError::Answer { request: Box::new(self.request.clone()), problem }
    }

    /// Turns what is not success into its error.
    pub(super) fn success(self) -> Result<Self, ForgeError> {
        if self.status.is_success() { Ok(self) } else { Err(self.into_error()) }
    }

    fn into_error(self) -> ForgeError {
        let Self { request, status, headers, body } = self;
        let request = Box::new(request);
        match status {
            _ if is_rate_limit(status, &headers) => {
                ForgeError::RateLimited { request, retry_after: retry_after(&headers) }
            }
            StatusCode::NOT_FOUND => ForgeError::NotFound { request },
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                ForgeError::Unauthorized { request, status, message: message(&body) }
            }
            StatusCode::UNPROCESSABLE_ENTITY => {
                ForgeError::Unprocessable { request, message: message(&body) }
            }
            _ if status.is_server_error() => ForgeError::Server { request, status, message: message(&body) },
            _ => ForgeError::Refused { request, status, message: message(&body) },
        }
    }
}

/// GitHub says 429, or 403 with one of two headers ("Rate limits for the REST API").
fn is_rate_limit(status: StatusCode, headers: &HeaderMap) -> bool {
    let used_up = headers.contains_key(RETRY_AFTER) || number(headers, &REMAINING) == Some(0);
    status == StatusCode::TOO_MANY_REQUESTS || (status == StatusCode::FORBIDDEN && used_up)
}

/// Until when to wait: `retry-after` in seconds, else `x-ratelimit-reset` (seconds since 1970) by the forge's own clock.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    if let Some(seconds) = number(headers, &RETRY_AFTER) {
        return Some(Duration::from_secs(seconds));
    }
    let reset = number(headers, &RESET)?;
    let date = rfc2822::parse(headers.get(DATE)?.to_str().ok()?).ok()?;
    let now = u64::try_from(Timestamp::from(date).as_second()).ok()?;
    Some(Duration::from_secs(reset.saturating_sub(now)))
}

fn number(headers: &HeaderMap, name: &HeaderName) -> Option<u64> {
    headers.get(name)?.to_str().ok()?.trim().parse().ok()
}

/// The forge's words in an answer that is not success: one line, cut short.
fn message(body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Problem {
        message: String,
        #[serde(default)]
        errors: Vec<Detail>,
    }
    #[derive(Deserialize)]
    struct Detail {
        message: Option<String>,
    }
    let Ok(Problem { message, errors }) = serde_json::from_slice(body) else {
        return "no message".to_owned();
    };
    let details = errors.into_iter().filter_map(|it| it.message);
    let all: Vec<_> = std::iter::once(message).chain(details).collect();
    one_line(&all.join(": "))
}

fn one_line(text: &str) -> String {
    let plain = text.chars().map(|it| if it.is_control() { ' ' } else { it });
    plain.take(MESSAGE_LENGTH).collect()
}

#[cfg(test)]
mod tests {
    use reqwest::Method;

    use super::*;
    use crate::id::ForgeName;

    fn error(status: u16, headers: &[(&'static str, &str)], body: &str) -> ForgeError {
        let forge = ForgeName::new("hub").unwrap();
        let headers =
            headers.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()));
        let answer = Answer {
            request: Request { forge, method: Method::GET, path: "repos/o/r".to_owned() },
            status: StatusCode::from_u16(status).unwrap(),
            headers: headers.collect(),
            body: body.as_bytes().to_owned(),
        };
        answer.success().unwrap_err()
    }

    #[test]
    fn errors_are_told_apart() {
        let body = r#"{"message": "no\nway"}"#;
        for (status, text, transient) in [
            (400, "GET repos/o/r of forge `hub`: 400 Bad Request: no way", false),
            (401, "GET repos/o/r of forge `hub`: 401 Unauthorized: no way", false),
            (403, "GET repos/o/r of forge `hub`: 403 Forbidden: no way", false),
            (404, "GET repos/o/r of forge `hub`: not found", false),
            (422, "GET repos/o/r of forge `hub`: refused: no way", false),
            (429, "GET repos/o/r of forge `hub`: rate limit reached", true),
            (502, "GET repos/o/r of forge `hub`: 502 Bad Gateway: no way", true),
        ] {
            let error = error(status, &[], body);
            assert_eq!((error.to_string().as_str(), error.is_transient()), (text, transient));
        }
    }

    #[test]
    fn rate_limits_say_when_to_come_back() {
        let date = ("date", "Sun, 06 Nov 1994 08:49:37 GMT");
        for (status, headers, seconds) in [
            (429, vec![("retry-after", "7")], Some(7)),
            (403, vec![("retry-after", "60"), ("x-ratelimit-remaining", "9")], Some(60)),
            (403, vec![("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "784111837"), date], Some(60)),
            (403, vec![("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1"), date], Some(0)),
            (403, vec![("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "784111837")], None),
            (429, vec![("retry-after", "soon")], None),
        ] {
            let ForgeError::RateLimited { retry_after, .. } = error(status, &headers, "") else {
                panic!("{headers:?} is a rate limit");
            };
            assert_eq!(retry_after, seconds.map(Duration::from_secs), "{headers:?}");
        }
    }

    #[test]
    fn a_message_is_short_and_has_its_details() {
        let body =
            r#"{"message": "Validation Failed", "errors": [{"code": "custom", "message": "too long"}, {}]}"#;
        assert_eq!(message(body.as_bytes()), "Validation Failed: too long");
        assert_eq!(message(b"<html>"), "no message");
        assert_eq!(
            message(format!(r#"{{"message": "{}"}}"#, "é".repeat(1000)).as_bytes()).chars().count(),
            200
        );
    }
}
