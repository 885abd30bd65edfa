//! Who sent it: the HMAC that the forge signs a delivery with.

use aws_lc_rs::hmac::{self, HMAC_SHA1_FOR_LEGACY_USE_ONLY, HMAC_SHA256, Key};
use axum::http::HeaderMap;
use bytes::Bytes;
use common::broker::{Headers, Outgoing};
use common::event::Envelope;
use common::id::{DeliveryId, EventName};
use common::queue::Queue;
use secrecy::{ExposeSecret, SecretString};

use crate::settings::Sha1;

/// What a delivery can be signed with.
pub(crate) struct Keys {
    sha256: Vec<Key>,
    sha1: Vec<Key>,
}

impl Keys {
    pub(crate) fn new(secrets: &[SecretString], sha1: Sha1) -> Self {
        let keys = |algorithm| -> Vec<Key> {
            secrets.iter().map(|it| Key::new(algorithm, it.expose_secret().as_bytes())).collect()
        };
        let sha1 = if sha1 == Sha1::Accept { keys(HMAC_SHA1_FOR_LEGACY_USE_ONLY) } else { Vec::new() };
        Self { sha256: keys(HMAC_SHA256), sha1 }
    }

    /// Whether one of our secrets made the signature, in constant time. SHA-1 counts only where SHA-256 is not there at all.
    fn signed(&self, headers: &HeaderMap, body: &[u8]) -> bool {
        let header = |name| headers.get(name).map(axum::http::HeaderValue::as_bytes);
        let (keys, signature) = match (header("x-hub-signature-256"), header("x-hub-signature")) {
            (Some(sha256), _) => (&self.sha256, sha256.strip_prefix(b"sha256=")),
            (None, Some(sha1)) => (&self.sha1, sha1.strip_prefix(b"sha1=")),
            (None, None) => return false,
        };
        let Some(signature) = signature.and_then(|it| hex::decode(it).ok()) else { return false };
        keys.iter().any(|key| hmac::verify(key, body, &signature).is_ok())
    }
}

/// A body that a forge of ours has signed. Only [`VerifiedDelivery::check`] makes one, and only this reaches the broker.
#[derive(Debug)]
pub(crate) struct VerifiedDelivery {
    pub(crate) event: EventName,
    pub(crate) id: DeliveryId,
    body: Bytes,
}

/// Why a body did not become a [`VerifiedDelivery`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// The signature is missing or wrong.
    Signature,
    /// It does not say what event it is.
    Event,
}

impl VerifiedDelivery {
    pub(crate) fn check(keys: &Keys, headers: &HeaderMap, body: Bytes) -> Result<Self, Refused> {
        if !keys.signed(headers, &body) {
            return Err(Refused::Signature);
        }
        let text = |name| headers.get(name).and_then(|it| it.to_str().ok());
        let event = text("x-github-event").and_then(|it| EventName::new(it).ok()).ok_or(Refused::Event)?;
        let id = text("x-github-delivery").and_then(|it| DeliveryId::new(it).ok());
        Ok(Self { event, id: id.unwrap_or_else(new_id), body })
    }

    pub(crate) fn body(&self) -> &[u8] {
        &self.body
    }

    /// Its message: the payload's bytes as they came.
    pub(crate) fn message(&self) -> Outgoing {
        let mut headers = Headers::fresh();
        headers.delivery = Some(self.id.clone());
        Outgoing {
            queue: Queue::Webhook,
            body: Envelope::encode(&self.event, &self.body),
            priority: None,
            headers,
        }
    }
}

/// For a sender that names no delivery: older forges, and people with `curl`.
fn new_id() -> DeliveryId {
    uuid::Uuid::now_v7().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &[u8] = b"Hello, World!";
    // The example of GitHub's documentation, "Validating webhook deliveries".
    const SECRET: &str = "It's a Secret to Everybody";
    const SHA256: &str = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";

    fn check(sha1: Sha1, headers: &[(&'static str, &str)]) -> Result<VerifiedDelivery, Refused> {
        let keys = Keys::new(&[SecretString::from("older"), SecretString::from(SECRET)], sha1);
        let headers =
            headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
        VerifiedDelivery::check(&keys, &headers, Bytes::from_static(BODY))
    }

    fn sha1_of_body() -> String {
        let key = Key::new(HMAC_SHA1_FOR_LEGACY_USE_ONLY, SECRET.as_bytes());
        format!("sha1={}", hex::encode(hmac::sign(&key, BODY)))
    }

    #[test]
    fn the_documented_signature_is_right() {
        let verified = check(
            Sha1::Refuse,
            &[
                ("x-hub-signature-256", SHA256),
                ("x-github-event", "ping"),
                ("x-github-delivery", "72d3162e-cc78-11e3-81ab-4c9367dc0958"),
            ],
        )
        .unwrap();
        assert_eq!(verified.event.as_str(), "ping");
        assert_eq!(verified.id.as_str(), "72d3162e-cc78-11e3-81ab-4c9367dc0958");
    }

    #[test]
    fn anything_else_is_refused() {
        let other = SHA256.replace("757", "758");
        let bare = SHA256.replace("sha256=", "");
        for signature in ["", "sha256=", "sha256=zz", "sha1=00", &other, &bare, &SHA256[..60]] {
            let refused =
                check(Sha1::Accept, &[("x-hub-signature-256", signature), ("x-github-event", "ping")]);
            assert_eq!(refused.unwrap_err(), Refused::Signature, "{signature}");
        }
        assert_eq!(check(Sha1::Accept, &[("x-github-event", "ping")]).unwrap_err(), Refused::Signature);
    }

    #[test]
    fn sha1_alone_counts_only_where_a_setting_says_so() {
        let headers = [("x-hub-signature", sha1_of_body()), ("x-github-event", "ping".to_owned())];
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        assert_eq!(check(Sha1::Refuse, &headers).unwrap_err(), Refused::Signature);
        assert!(check(Sha1::Accept, &headers).is_ok());
    }

    #[test]
    fn a_right_sha1_does_not_help_a_wrong_sha256() {
        let sha1 = sha1_of_body();
        let wrong = SHA256.replace("757", "758");
        let headers =
            [("x-hub-signature", sha1.as_str()), ("x-hub-signature-256", &wrong), ("x-github-event", "ping")];
        assert_eq!(check(Sha1::Accept, &headers).unwrap_err(), Refused::Signature);
    }

    #[test]
    fn a_delivery_without_an_event_is_none_and_one_without_an_id_gets_one() {
        assert_eq!(check(Sha1::Refuse, &[("x-hub-signature-256", SHA256)]).unwrap_err(), Refused::Event);
        let verified =
            check(Sha1::Refuse, &[("x-hub-signature-256", SHA256), ("x-github-event", "ping")]).unwrap();
        assert_eq!(verified.id.as_str().len(), 36);
    }
}
