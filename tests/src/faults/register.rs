//! The register that containers sign: when they begin, after each part of what they do, and at their end. So it is known what ran,
//! whatever statuses say of it.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::get;
use common::service::{bind, serve};
use jiff::Timestamp;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::diary::now;

/// One run of a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Signed {
    pub(super) run: String,
    pub(super) sha: String,
    pub(super) context: String,
    pub(super) begin: Timestamp,
    /// The last that was heard of it.
    pub(super) last: Timestamp,
}

type Book = Arc<Mutex<Vec<Signed>>>;

/// A server for them, until it is dropped.
pub(super) struct Register {
    address: SocketAddr,
    book: Book,
    _stop: DropGuard,
}

impl Register {
    pub(super) async fn open() -> Result<Self> {
        let listener = bind(([127, 0, 0, 1], 0).into(), "containers", "the harness").await;
        let listener = listener.map_err(anyhow::Error::msg)?;
        let address = listener.local_addr()?;
        let book = Book::default();
        let router = Router::new().route("/{sha}/{context}/{run}", get(sign)).with_state(Arc::clone(&book));
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        tokio::spawn(async move { serve(listener, router, &stopped).await });
        Ok(Self { address, book, _stop: stop.drop_guard() })
    }

    /// Whom containers ask, over HTTP, for `/COMMIT/CONTEXT/RUN`.
    pub(super) fn address(&self) -> (IpAddr, u16) {
        (self.address.ip(), self.address.port())
    }

    /// All runs, in the order in which they began.
    pub(super) fn runs(&self) -> Vec<Signed> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn sign(
    State(book): State<Book>,
    Path((sha, context, run)): Path<(String, String, String)>,
) -> StatusCode {
    let at = now();
    let mut book = book.lock().unwrap_or_else(PoisonError::into_inner);
    match book.iter_mut().find(|it| it.run == run) {
        Some(signed) => signed.last = at,
        None => book.push(Signed { run, sha, context, begin: at, last: at }),
    }
    StatusCode::OK
}
