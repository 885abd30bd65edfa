//! Webhooks: what a forge sends, signed as a forge signs it.

use std::time::Duration;

use anyhow::{Context, Result};
use aws_lc_rs::hmac;
use common::http::{Timeouts, Trust, client};
use common::id::{DeliveryId, EventName};
use uuid::Uuid;

/// How long GitHub waits for a receiver.
const PATIENCE: Duration = Duration::from_secs(10);

/// An event, ready to be sent.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// `X-GitHub-Event`.
    pub event: EventName,
    /// `X-GitHub-Delivery`.
    pub id: DeliveryId,
    /// The body: JSON.
    pub payload: String,
}

impl Delivery {
    /// With an id of its own.
    pub fn new(event: &str, payload: impl Into<String>) -> Result<Self> {
        Ok(Self { event: EventName::new(event)?, id: Uuid::now_v7().into(), payload: payload.into() })
    }
}

/// What a receiver answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivered {
    /// The status.
    pub status: u16,
    /// The body.
    pub text: String,
}

/// A webhook as it is configured on the forge.
#[derive(Clone, Debug)]
pub struct Hook {
    url: String,
    secret: String,
    client: reqwest::Client,
}

impl Hook {
    /// For a receiver at `url` (http) that shares `secret`.
    pub fn new(url: &str, secret: &str) -> Result<Self> {
        let timeouts = Timeouts { connect: PATIENCE, request: PATIENCE };
        let client = client("GitHub-Hookshot/0000000", Trust::Nobody, timeouts)?;
        Ok(Self { url: url.to_owned(), secret: secret.to_owned(), client })
    }

    /// Sends it once, as GitHub does. An answer of any status is an answer; none within 10 s is an error.
    pub async fn deliver(&self, delivery: &Delivery) -> Result<Delivered> {
        let Delivery { event, id, payload } = delivery;
        let request = self.client.post(&self.url).header("content-type", "application/json");
        let request = request
            .header("x-github-event", event.as_str())
            .header("x-github-delivery", id.as_str())
            .header("x-github-hook-id", "1")
            .header("x-hub-signature", sign_sha1(&self.secret, payload.as_bytes()))
            .header("x-hub-signature-256", sign(&self.secret, payload.as_bytes()))
            .body(payload.clone());
        let what = || format!("delivery {id} ({event}) to {}", self.url);
        let response = request.send().await.with_context(what)?;
        let status = response.status().as_u16();
        Ok(Delivered { status, text: response.text().await.with_context(what)? })
    }
}

/// The value of `X-Hub-Signature-256`.
pub fn sign(secret: &str, body: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    format!("sha256={}", hex::encode(hmac::sign(&key, body)))
}

/// The value of `X-Hub-Signature`, which GitHub still sends beside the other.
pub fn sign_sha1(secret: &str, body: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret.as_bytes());
    format!("sha1={}", hex::encode(hmac::sign(&key, body)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_are_those_of_the_documentation() {
        // docs.github.com, "Validating webhook deliveries", "Testing the webhook payload validation".
        let signature = sign("It's a Secret to Everybody", b"Hello, World!");
        assert_eq!(signature, "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17");
        assert_eq!(
            sign_sha1("key", b"The quick brown fox jumps over the lazy dog"),
            "sha1=de7c9b85b8b78aa6bc8a7a36f70a90701c9db4d9"
        );
    }
}
