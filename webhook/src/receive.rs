//! One request, from its first byte to its answer.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{Request, State};
use axum::http::HeaderMap;

use crate::answer::Answer;
use crate::body::{self, Budget, Reserved, Unread};
use crate::filter::{self, Decision};
use crate::metrics::Metrics;
use crate::outlet::Outlet;
use crate::signature::{Keys, Refused, VerifiedDelivery};

/// What requests need.
pub(crate) struct Receiver {
    pub(crate) keys: Keys,
    pub(crate) budget: Budget,
    pub(crate) outlet: Outlet,
    pub(crate) confirm: Duration,
    pub(crate) metrics: Metrics,
}

/// `POST /`.
pub(crate) async fn receive(State(receiver): State<Arc<Receiver>>, request: Request) -> Answer {
    let (head, body) = request.into_parts();
    let answer = match body::read(body, &receiver.budget).await {
        Ok(read) => receiver.answer(&head.headers, read).await,
        Err(unread) => not_read(unread),
    };
    receiver.metrics.count(answer);
    answer
}

impl Receiver {
    async fn answer(&self, headers: &HeaderMap, read: body::Read) -> Answer {
        let size = read.bytes.len();
        let delivery = match VerifiedDelivery::check(&self.keys, headers, read.bytes) {
            Ok(delivery) => delivery,
            Err(Refused::Signature) => {
                tracing::warn!(bytes = size, "refused: the signature is missing or wrong");
                return Answer::Forbidden;
            }
            Err(Refused::Event) => return Answer::Malformed,
        };
        match filter::decide(&delivery.event, delivery.body()) {
            Ok(Decision::Queue) => self.queue(&delivery, read.reserved).await,
            Ok(Decision::Ping) => Answer::Ping,
            Ok(Decision::Ignore) => Answer::Ignored,
            Ok(Decision::NotWanted) => Answer::NotWanted,
            Err(error) => {
                let (id, event) = (&delivery.id, &delivery.event);
                tracing::warn!(delivery.id = %id, %event, error = error.outline(), "malformed");
                Answer::Malformed
            }
        }
    }

    /// 200 only after the broker's confirm.
    async fn queue(&self, delivery: &VerifiedDelivery, reserved: Reserved) -> Answer {
        let begun = Instant::now();
        let message = delivery.message();
        let trace = message.headers.trace.clone();
        let published = self.outlet.publish(message, reserved, self.confirm).await;
        let took = begun.elapsed();
        let (id, trace) = (&delivery.id, trace.id());
        match published {
            Ok(()) => {
                self.metrics.confirmed(took);
                tracing::info!(
                    delivery.id = %id, trace.id = trace, event = %delivery.event,
                    bytes = delivery.body().len(), duration_ms = took.as_millis(), "queued"
                );
                Answer::Queued
            }
            Err(error) => {
                tracing::error!(delivery.id = %id, trace.id = trace, event = %delivery.event, %error, "not queued");
                Answer::Unavailable
            }
        }
    }
}

fn not_read(unread: Unread) -> Answer {
    tracing::warn!(reason = ?unread, "a body was not read");
    match unread {
        Unread::TooLarge => Answer::TooLarge,
        Unread::TooSlow => Answer::TooSlow,
        Unread::Busy => Answer::Busy,
        Unread::Gone => Answer::Malformed,
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::Mutex;

    use axum::body::Body;
    use common::service::Readiness;
    use prometheus_client::registry::Registry;
    use secrecy::SecretString;

    use super::*;
    use crate::metrics::LinkGauges;
    use crate::outlet::outlet;
    use crate::settings::Sha1;

    /// A log in memory.
    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn receiver(secret: &str) -> Receiver {
        let mut registry = Registry::default();
        let gauges = LinkGauges::register(&mut registry);
        Receiver {
            keys: Keys::new(&[SecretString::from(secret)], Sha1::Refuse),
            budget: Budget::default(),
            outlet: outlet(Readiness::default().part(), gauges).1,
            confirm: Duration::from_secs(1),
            metrics: Metrics::register(&mut registry),
        }
    }

    fn signed(secret: &str, body: &'static str) -> Request {
        use aws_lc_rs::hmac;
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
        let signature = format!("sha256={}", hex::encode(hmac::sign(&key, body.as_bytes())));
        Request::post("/")
            .header("x-hub-signature-256", signature)
            .header("x-github-event", "issues")
            .body(Body::from(body))
            .unwrap()
    }

    #[tokio::test]
    async fn a_malformed_payload_leaves_no_value_in_the_log() {
        let lines = Lines::default();
        let writer = lines.clone();
        let log = tracing_subscriber::fmt().with_writer(move || writer.clone()).finish();
        let _guard = tracing::subscriber::set_default(log);
        let request = signed("secret", r#"{"action": 7355608}"#);
        let answer = receive(State(Arc::new(receiver("secret"))), request).await;
        assert_eq!(answer, Answer::Malformed);
        let request = signed("secret", r#"{"action": {"hunter2": 1}}"#);
        receive(State(Arc::new(receiver("secret"))), request).await;
        let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        assert!(text.contains("malformed") && text.contains("expected a string"), "{text}");
        assert!(!text.contains("7355608") && !text.contains("hunter2"), "{text}");
    }
}
