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
                tracing::warn!(delivery.id = %delivery.id, event = %delivery.event, %error, "malformed");
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
