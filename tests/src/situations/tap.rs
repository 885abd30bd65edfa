//! Between a program and the forge: hands everything on, and keeps a copy.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use common::http::{Timeouts, Trust};
use reqwest::Client;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

/// No request and no answer is longer, in bytes.
const MAX_BODY: usize = 16 * 1024 * 1024;

/// A request and its answer.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// `GET`, `POST`, …
    pub method: String,
    /// The path and the query, as they came.
    pub path: String,
    /// The body of the request; null where there is none or it is not JSON.
    pub sent: Value,
    /// The status of the answer.
    pub status: u16,
    /// The body of the answer; null where there is none or it is not JSON.
    pub answered: Value,
}

/// A server in front of a forge, until it is dropped.
pub struct Tap {
    shared: Arc<Shared>,
    _stop: DropGuard,
}

struct Shared {
    own: String,
    forge: String,
    client: Client,
    refused: Vec<String>,
    exchanges: Mutex<Vec<Exchange>>,
}

impl Tap {
    /// In front of the forge at this address. Statuses of `refused` contexts don't get through: 422.
    pub async fn start(forge: &str, refused: &[String]) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.context("the tap gets no port")?;
        let shared = Arc::new(Shared {
            own: format!("http://{}", listener.local_addr()?),
            forge: forge.to_owned(),
            client: common::http::client("tap", Trust::Nobody, Timeouts::default())?,
            refused: refused.to_owned(),
            exchanges: Mutex::default(),
        });
        let stop = CancellationToken::new();
        let router = Router::new().fallback(hand_on).with_state(Arc::clone(&shared));
        let serve = axum::serve(listener, router).with_graceful_shutdown(stop.clone().cancelled_owned());
        tokio::spawn(async move { serve.await });
        Ok(Self { shared, _stop: stop.drop_guard() })
    }

    /// Its address, which programs take for the forge's.
    pub fn url(&self) -> &str {
        &self.shared.own
    }

    /// What went through, oldest first.
    pub fn exchanges(&self) -> Vec<Exchange> {
        self.shared.exchanges.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn hand_on(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    shared.exchange(request).await.unwrap_or_else(|error| {
        let mut response = Response::new(Body::from(format!("{error:#}")));
        *response.status_mut() = StatusCode::BAD_GATEWAY;
        response
    })
}

impl Shared {
    async fn exchange(&self, request: Request) -> Result<Response> {
        let (head, body) = request.into_parts();
        let sent = to_bytes(body, MAX_BODY).await?;
        let path = head.uri.path_and_query().map_or("/", |it| it.as_str()).to_owned();
        let (status, headers, answered) = match self.refusal(&head.method, &sent) {
            Some(refusal) => {
                (StatusCode::UNPROCESSABLE_ENTITY, json_only(), Bytes::from(refusal.to_string()))
            }
            None => self.ask(head.method.clone(), &path, head.headers, sent.clone()).await?,
        };
        let json = |body: &[u8]| serde_json::from_slice(body).unwrap_or_default();
        let exchange = Exchange {
            method: head.method.to_string(),
            path,
            sent: json(&sent),
            status: status.as_u16(),
            answered: json(&answered),
        };
        self.exchanges.lock().unwrap_or_else(PoisonError::into_inner).push(exchange);
        let mut response = Response::new(Body::from(answered));
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        Ok(response)
    }

    /// What GitHub says of a commit that has its thousand statuses of a context already.
    fn refusal(&self, method: &axum::http::Method, sent: &[u8]) -> Option<Value> {
        let sent: Value = serde_json::from_slice(sent).ok()?;
        let refused = method == "POST" && self.refused.iter().any(|it| sent["context"] == **it);
        let message = "This SHA and context has reached the maximum number of statuses.";
        refused.then(|| {
            json!({
                "message": "Validation Failed",
                "errors": [{"resource": "Status", "code": "custom", "message": message}],
                "documentation_url": "https://docs.github.com/rest/commits/statuses#create-a-commit-status",
                "status": "422",
            })
        })
    }

    async fn ask(
        &self,
        method: axum::http::Method,
        path: &str,
        mut headers: HeaderMap,
        body: Bytes,
    ) -> Result<(StatusCode, HeaderMap, Bytes)> {
        headers.remove(header::HOST);
        headers.remove(header::CONTENT_LENGTH);
        // The forge compresses nothing; a copy is to be readable in any case.
        headers.remove(header::ACCEPT_ENCODING);
        let request =
            self.client.request(method, format!("{}{path}", self.forge)).headers(headers).body(body);
        let answer = request.send().await?;
        let (status, mut headers) = (answer.status(), answer.headers().clone());
        headers.remove(header::TRANSFER_ENCODING);
        headers.remove(header::CONTENT_LENGTH);
        // Or the next page would be asked for behind our back.
        if let Some(links) = headers.get(header::LINK).and_then(|it| it.to_str().ok()) {
            let links = links.replace(&self.forge, &self.own).parse()?;
            headers.insert(header::LINK, links);
        }
        Ok((status, headers, answer.bytes().await?))
    }
}

fn json_only() -> HeaderMap {
    HeaderMap::from_iter([(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"))])
}
