//! The HTTP side: every request is recorded, may meet a fault, and is answered by a route or not at all.

use std::sync::Arc;

use anyhow::{Context, Result};
use axum::Router;
use axum::body::{Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::response::Response;
use percent_encoding::percent_decode_str;
use reqwest::Url;
use tokio::net::TcpListener;

use super::fake::Shared;
use super::fault::{Fault, Reply};
use super::journal::{Recorded, Route};
use super::routes;

/// No request of ours is longer, in bytes.
const MAX_BODY: usize = 1024 * 1024;

/// A request, taken apart.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) method: String,
    /// As it came, with the query.
    path: String,
    /// The parts of the path, unescaped.
    pub(super) parts: Vec<String>,
    query: Vec<(String, String)>,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Call {
    async fn read(request: Request) -> Result<Self> {
        let (head, body) = request.into_parts();
        let path = head.uri.path_and_query().map_or("/", |it| it.as_str()).to_owned();
        let url = Url::parse("http://forge")?.join(&path)?;
        let parts = head.uri.path().trim_matches('/').split('/');
        Ok(Self {
            method: head.method.to_string(),
            parts: parts.map(|it| percent_decode_str(it).decode_utf8_lossy().into_owned()).collect(),
            query: url.query_pairs().into_owned().collect(),
            headers: head.headers,
            body: to_bytes(body, MAX_BODY).await.context("the body of a request")?,
            path,
        })
    }

    /// A parameter of the query.
    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(it, _)| it == name).map(|(_, value)| value.as_str())
    }

    /// A header, where it is text.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// Answers until the forge is stopped.
pub(super) async fn run(listener: TcpListener, shared: Arc<Shared>) {
    let stop = shared.stop.clone().cancelled_owned();
    let router = Router::new().fallback(answer).with_state(shared);
    if let Err(error) = axum::serve(listener, router).with_graceful_shutdown(stop).await {
        tracing::error!(%error, "the forge's server ended");
    }
}

async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let call = match Call::read(request).await {
        Ok(call) => call,
        Err(error) => return Reply::problem(400, &format!("{error:#}")).into_response(),
    };
    let (fault, delay) = {
        let mut state = shared.state();
        (state.faults.pop_front(), state.delay)
    };
    tokio::time::sleep(delay).await;
    let reply = match fault {
        Some(Fault::Answer(reply)) => reply,
        Some(Fault::Hang) => return hang(&shared, &call).await,
        None => match routes::answer(&shared, &call).await {
            Some(reply) => reply,
            None => return refuse(&shared, &call),
        },
    };
    record(&shared, &call, Some(reply.status), Route::Known);
    reply.into_response()
}

async fn hang(shared: &Shared, call: &Call) -> Response {
    record(shared, call, None, Route::Known);
    shared.stop.cancelled().await;
    Reply::problem(503, "the forge is stopped").into_response()
}

fn refuse(shared: &Shared, call: &Call) -> Response {
    record(shared, call, Some(501), Route::Unknown);
    let message = format!("the stand-in for a forge does not model {} {}", call.method, call.path);
    Reply::problem(501, &message).into_response()
}

fn record(shared: &Shared, call: &Call, status: Option<u16>, route: Route) {
    let Call { method, path, .. } = call;
    let (at, method, path) = (shared.clock.now(), method.clone(), path.clone());
    shared.change(|state| state.requests.push(Recorded { at, method, path, status, route }));
}
