//! An answer of a forge, and what it means when it is not success.

use bytes::Bytes;
use reqwest::StatusCode;
use reqwest::header::HeaderMap;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::error::{ForgeError, Request};
use super::pace::limited;

/// How much of a forge's words goes into an error, in characters: two lines of a log.
const MESSAGE_LENGTH: usize = 200;

/// What a forge answered, body and all.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) request: Request,
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
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
        let (request, message) = (Box::new(request), message(&body));
        if let Some(wait) = limited(status, &headers, &message) {
            return ForgeError::RateLimited { request, retry_after: Some(wait) };
        }
        match status {
            StatusCode::NOT_FOUND => ForgeError::NotFound { request },
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                ForgeError::Unauthorized { request, status, message }
            }
            StatusCode::UNPROCESSABLE_ENTITY => ForgeError::Unprocessable { request, message },
            _ if status.is_server_error() => ForgeError::Server { request, status, message },
            _ => ForgeError::Refused { request, status, message },
        }
    }
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

    fn error(status: u16, body: &str) -> ForgeError {
        let forge = ForgeName::new("hub").unwrap();
        let answer = Answer {
            request: Request { forge, method: Method::GET, path: "repos/o/r".to_owned(), id: None },
            status: StatusCode::from_u16(status).unwrap(),
            headers: HeaderMap::new(),
            body: body.to_owned().into(),
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
            (429, "GET repos/o/r of forge `hub`: rate limit reached, to be asked again in 60 s", true),
            (502, "GET repos/o/r of forge `hub`: 502 Bad Gateway: no way", true),
        ] {
            let error = error(status, body);
            assert_eq!((error.to_string().as_str(), error.is_transient()), (text, transient));
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
