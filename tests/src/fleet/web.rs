//! The logs' folder on the web, as a bucket or a web server would serve it.

use std::path::{Path, PathBuf};

use anyhow::Result;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use common::service::{bind, serve};
use tokio_util::sync::{CancellationToken, DropGuard};

/// Serves a folder on loopback until it is dropped.
pub(super) struct LogServer {
    url: String,
    _stop: DropGuard,
}

impl LogServer {
    pub(super) async fn start(folder: &Path) -> Result<Self> {
        std::fs::create_dir_all(folder)?;
        let listener =
            bind(([127, 0, 0, 1], 0).into(), "logs", "the harness").await.map_err(anyhow::Error::msg)?;
        let url = format!("http://{}", listener.local_addr()?);
        let router = Router::new().fallback(file).with_state(folder.to_owned());
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        tokio::spawn(async move { serve(listener, router, &stopped).await });
        Ok(Self { url, _stop: stop.drop_guard() })
    }

    /// Without a slash at the end.
    pub(super) fn url(&self) -> &str {
        &self.url
    }
}

async fn file(State(folder): State<PathBuf>, uri: Uri) -> Response {
    let Ok(path) = percent_encoding::percent_decode_str(uri.path()).decode_utf8() else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    if path.split('/').any(|part| part == "..") {
        return StatusCode::BAD_REQUEST.into_response();
    }
    let file = folder.join(path.trim_start_matches('/'));
    let name = file.file_name().and_then(|it| it.to_str()).unwrap_or_default();
    let (kind, _) = common::logs::content_type(name);
    match tokio::fs::read(&file).await {
        Ok(content) => ([(header::CONTENT_TYPE, kind)], content).into_response(),
        Err(_) => StatusCode::NOT_FOUND.into_response(),
    }
}
