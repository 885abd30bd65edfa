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
use super::fault::{Fault, Reply, broken_connection};
use super::journal::{Recorded, Route};
use super::rate::Budget;
use super::routes;

/// No request of ours is longer, in bytes.
const MAX_BODY: usize = 1024 * 1024;

/// A request, taken apart.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) method: String,
    /// As it came, with the query.
    pub(super) path: String,
    /// The parts of the path below the API's address, unescaped; none where it is not below it.
    pub(super) parts: Vec<String>,
    pub(super) query: Vec<(String, String)>,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Call {
    async fn read(request: Request, prefix: &str) -> Result<Self> {
        let (head, body) = request.into_parts();
        let path = head.uri.path_and_query().map_or("/", |it| it.as_str()).to_owned();
        let url = Url::parse("http://forge")?.join(&path)?;
        let place = head.uri.path().strip_prefix(prefix).unwrap_or_default().trim_matches('/');
        let parts = place.split('/');
        Ok(Self {
            method: head.method.to_string(),
            parts: parts.map(|it| percent_decode_str(it).decode_utf8_lossy().into_owned()).collect(),
            query: url.query_pairs().into_owned().collect(),
            headers: head.headers,
            body: to_bytes(body, MAX_BODY).await.context("the body of a request")?,
            path,
        })
    }

    /// What it is as a step: its method and what it is about.
    fn step(&self) -> String {
        let about = self.parts.get(3).map_or("repository", String::as_str);
        format!("forge {} {about}", self.method)
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
    let call = match Call::read(request, shared.dialect.prefix()).await {
        Ok(call) => call,
        Err(error) => return Reply::problem(400, &format!("{error:#}")).into_response(),
    };
    let _here = shared.arrive();
    let (fault, delay, steps) = {
        let mut state = shared.state();
        (state.take_fault(&format!("{} {}", call.method, call.path)), state.delay, state.steps.clone())
    };
    let Ok(step) = steps.before(&call.step()).await else { return broken_connection() };
    tokio::time::sleep(delay).await;
    match fault {
        Some(Fault::Answer(reply)) => record(&shared, &call, reply, 1, Route::Known).into_response(),
        Some(Fault::Hang) => hang(&shared, &call).await,
        Some(Fault::Reset) => {
            silence(&shared, &call);
            broken_connection()
        }
        Some(Fault::Lost) => {
            routes::answer(&shared, &call).await;
            silence(&shared, &call);
            broken_connection()
        }
        None => {
            let reply = serve(&shared, &call).await;
            if step.after().await.is_ok() { reply.into_response() } else { broken_connection() }
        }
    }
}

/// The answer of a forge that is well, within what the caller has left.
async fn serve(shared: &Arc<Shared>, call: &Call) -> Reply {
    if !shared.dialect.counts() {
        return match routes::answer(shared, call).await {
            Some(reply) => record(shared, call, reply, 0, Route::Known),
            None => refuse(shared, call),
        };
    }
    let now = shared.clock.now();
    shared.state().budget.renew(now);
    let limited = shared.state().budget.is_used_up();
    let reply = if limited {
        Budget::refusal()
    } else {
        let Some(reply) = routes::answer(shared, call).await else { return refuse(shared, call) };
        shared.state().versions.validate(call, reply, now)
    };
    let cost = u32::from(reply.status != 304 && !limited);
    let reply = {
        let mut state = shared.state();
        state.budget.spend(cost);
        state.budget.headers(reply)
    };
    record(shared, call, reply, cost, Route::Known)
}

async fn hang(shared: &Shared, call: &Call) -> Response {
    silence(shared, call);
    shared.stop.cancelled().await;
    Reply::problem(503, "the forge is stopped").into_response()
}

fn refuse(shared: &Shared, call: &Call) -> Reply {
    let message = format!("the stand-in for a forge does not model {} {}", call.method, call.path);
    record(shared, call, Reply::problem(501, &message), 0, Route::Unknown)
}

fn silence(shared: &Shared, call: &Call) {
    note(shared, call, None, 0, Route::Known);
}

/// Records an answer, and gives it the id under which it is recorded.
fn record(shared: &Shared, call: &Call, reply: Reply, cost: u32, route: Route) -> Reply {
    let id = note(shared, call, Some(reply.status), cost, route);
    if shared.dialect.counts() { reply.with_header("x-github-request-id", &id) } else { reply }
}

fn note(shared: &Shared, call: &Call, status: Option<u16>, cost: u32, route: Route) -> String {
    let Call { method, path, .. } = call;
    let (at, method, path) = (shared.clock.now(), method.clone(), path.clone());
    shared.change(|state| {
        let id = format!("F0A6:{:06X}", state.requests.len() + 1);
        state.requests.push(Recorded { at, id: id.clone(), method, path, status, cost, route });
        id
    })
}
