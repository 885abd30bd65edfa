//! A web server with the folder of one log, which grows, merges its chunks, ends, and fails as it is told.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Result;
use axum::Router;
use axum::body::Body;
use axum::extract::State as AxumState;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use common::logs::{PAGE, content_type};
use common::service::{bind, serve};
use futures_util::stream;
use tokio_util::sync::{CancellationToken, DropGuard};

/// How the server answers a request for a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ranges {
    /// With the part: 206.
    Known,
    /// With everything: 200.
    Ignored,
}

/// What goes wrong, once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// This answer instead.
    Status(u16),
    /// The connection is cut after so many bytes of the answer.
    Cut(usize),
}

/// A request that the server got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    pub name: String,
    pub status: u16,
    /// Bytes of the answer, if it was not cut.
    pub bytes: usize,
}

/// The server. It ends when it is dropped.
pub struct Site {
    url: String,
    shared: Shared,
    _stop: DropGuard,
}

type Shared = Arc<Mutex<State>>;

struct State {
    files: BTreeMap<String, Bytes>,
    ranges: Ranges,
    faults: Vec<(String, Fault)>,
    requests: Vec<Request>,
    log: Vec<u8>,
    sizes: Vec<usize>,
}

impl Site {
    /// Starts with `log.html` and an empty log that runs.
    pub async fn start(ranges: Ranges) -> Result<Self> {
        let listener =
            bind(([127, 0, 0, 1], 0).into(), "logs", "the harness").await.map_err(anyhow::Error::msg)?;
        let url = format!("http://{}/ci/o-r-1/", listener.local_addr()?);
        let state = State {
            files: BTreeMap::from([("log.html".to_owned(), Bytes::from_static(PAGE.as_bytes()))]),
            ranges,
            faults: Vec::new(),
            requests: Vec::new(),
            log: Vec::new(),
            sizes: Vec::new(),
        };
        let shared = Arc::new(Mutex::new(state));
        let router = Router::new().fallback(answer).with_state(Arc::clone(&shared));
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        tokio::spawn(async move { serve(listener, router, &stopped).await });
        let site = Self { url, shared, _stop: stop.drop_guard() };
        site.lock().list();
        Ok(site)
    }

    /// The address of a file.
    pub fn url(&self, name: &str) -> String {
        format!("{}{name}", self.url)
    }

    /// Adds a file.
    pub fn put(&self, name: &str, content: impl Into<Bytes>) {
        self.lock().files.insert(name.to_owned(), content.into());
    }

    /// Adds to the log, as a chunk of its own.
    pub fn print(&self, text: impl AsRef<[u8]>) {
        let mut state = self.lock();
        state.log.extend_from_slice(text.as_ref());
        let start: usize = state.sizes.iter().sum();
        let end = state.log.len();
        let content = Bytes::copy_from_slice(&state.log[start..]);
        state.files.insert(format!("log.{start}-{end}"), content);
        state.sizes.push(end - start);
        state.list();
    }

    /// Makes one chunk of all, and leaves the list as it is, as a reader may find it who reads it just before.
    pub fn merge_behind_the_list(&self) {
        let mut state = self.lock();
        state.drop_chunks();
        let (content, end) = (Bytes::copy_from_slice(&state.log), state.log.len());
        state.files.insert(format!("log.0-{end}"), content);
        state.sizes = vec![end];
    }

    /// Writes the list of the chunks that there are.
    pub fn list(&self) {
        self.lock().list();
    }

    /// Ends the log with these last words: `log` is there, the list and the chunks are not.
    pub fn end(&self, text: impl AsRef<[u8]>) {
        let mut state = self.lock();
        let mut log = std::mem::take(&mut state.log);
        log.extend_from_slice(text.as_ref());
        state.files.insert("log".to_owned(), Bytes::from(log));
        state.drop_chunks();
        state.files.remove("log.chunks");
    }

    /// Another attempt: nothing is left of the log.
    pub fn begin_again(&self) {
        let mut state = self.lock();
        state.drop_chunks();
        state.log.clear();
        state.sizes.clear();
        state.list();
    }

    /// The next request for a file whose name begins so goes wrong; faults of the same name come one after the other.
    pub fn fail_next(&self, name: &str, fault: Fault) {
        self.lock().faults.push((name.to_owned(), fault));
    }

    /// Whether all faults have happened.
    pub fn has_failed(&self) -> bool {
        self.lock().faults.is_empty()
    }

    /// The requests so far.
    pub fn requests(&self) -> Vec<Request> {
        self.lock().requests.clone()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn list(&mut self) {
        let list = format!("{:?}", self.sizes);
        self.files.insert("log.chunks".to_owned(), list.into());
    }

    fn drop_chunks(&mut self) {
        self.files.retain(|name, _| !name.starts_with("log.") || name == "log.html" || name == "log.chunks");
    }

    fn fault(&mut self, name: &str) -> Option<Fault> {
        let at = self.faults.iter().position(|(of, _)| name.starts_with(of.as_str()))?;
        Some(self.faults.remove(at).1)
    }

    fn find(&mut self, name: &str, headers: &HeaderMap) -> (Response, Request) {
        let fault = self.fault(name);
        let (status, content, range) = match (fault, self.files.get(name)) {
            (Some(Fault::Status(status)), _) => {
                (StatusCode::from_u16(status).unwrap_or(StatusCode::IM_A_TEAPOT), Bytes::new(), None)
            }
            (_, None) => (StatusCode::NOT_FOUND, Bytes::new(), None),
            (_, Some(content)) => part(content, headers, self.ranges),
        };
        let request = Request { name: name.to_owned(), status: status.as_u16(), bytes: content.len() };
        let mut response = match fault {
            Some(Fault::Cut(after)) => (status, cut(&content, after)).into_response(),
            _ => (status, content).into_response(),
        };
        let answer = response.headers_mut();
        answer.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type(name).0));
        if name == "log.html" {
            answer.insert(header::CONTENT_SECURITY_POLICY, policy());
        }
        if let Some(range) = range.and_then(|it| HeaderValue::from_str(&it).ok()) {
            answer.insert(header::CONTENT_RANGE, range);
        }
        (response, request)
    }
}

/// As strict as the page's own, and not to be framed.
fn policy() -> HeaderValue {
    let own =
        PAGE.split_once("Content-Security-Policy\" content=\"").and_then(|(_, rest)| rest.split_once('"'));
    let policy = own.map_or_else(String::new, |(own, _)| format!("{own}; frame-ancestors 'none'"));
    HeaderValue::from_str(&policy).unwrap_or(HeaderValue::from_static("default-src 'none'"))
}

async fn answer(AxumState(shared): AxumState<Shared>, uri: Uri, headers: HeaderMap) -> Response {
    let name = uri.path().strip_prefix("/ci/o-r-1/").unwrap_or_default();
    let mut state = shared.lock().unwrap_or_else(PoisonError::into_inner);
    let (response, request) = state.find(name, &headers);
    state.requests.push(request);
    response
}

/// The part of a file that a request wants, which is always one to the end.
fn part(content: &Bytes, headers: &HeaderMap, ranges: Ranges) -> (StatusCode, Bytes, Option<String>) {
    let range = headers.get(header::RANGE).and_then(|it| it.to_str().ok());
    let from = range.and_then(|it| it.strip_prefix("bytes=")?.strip_suffix('-')?.parse::<usize>().ok());
    let size = content.len();
    match (ranges, from) {
        (Ranges::Ignored, _) | (_, None) => (StatusCode::OK, content.clone(), None),
        (Ranges::Known, Some(from)) if from < size => {
            let range = format!("bytes {from}-{}/{size}", size - 1);
            (StatusCode::PARTIAL_CONTENT, content.slice(from..), Some(range))
        }
        _ => (StatusCode::RANGE_NOT_SATISFIABLE, Bytes::new(), Some(format!("bytes */{size}"))),
    }
}

/// The beginning of an answer, and then an error, for which the server cuts the connection.
fn cut(content: &Bytes, after: usize) -> Body {
    let start = content.slice(..after.min(content.len()));
    Body::from_stream(stream::iter([Ok(start), Err(std::io::Error::other("cut"))]))
}
