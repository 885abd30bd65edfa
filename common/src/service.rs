//! HTTP that we serve: one loop for the webhook and for the operator's endpoints `/healthz`, `/readyz`, `/metrics`.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use prometheus_client::registry::Registry;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

/// A client that sends no complete head within this is closed; an idle kept-alive connection too.
const HEAD_LIMIT: Duration = Duration::from_secs(30);
/// How long connections may take to end in good order.
const GRACE: Duration = Duration::from_secs(10);
/// After an error of `accept` that is not the client's, such as too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Opens the port for `what`, and says where it is; an error says what to do.
pub async fn bind(address: SocketAddr, what: &str, option: &str) -> Result<TcpListener, String> {
    let explain = |error| format!("cannot listen on {address} for {what}: {error}; {option} says where to");
    let listener = TcpListener::bind(address).await.map_err(explain)?;
    let address = listener.local_addr().map_err(explain)?;
    tracing::info!(%address, "listening for {what}");
    Ok(listener)
}

/// Serves until `stop`, then lets requests that have begun end. One slow client holds nobody else up: each connection is a
/// task of its own.
pub async fn serve(listener: TcpListener, router: Router, stop: &CancellationToken) {
    let connections = GracefulShutdown::new();
    while let Some(accepted) = stop.run_until_cancelled(listener.accept()).await {
        match accepted {
            Ok((stream, _)) => connect(stream, &router, &connections),
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    if tokio::time::timeout(GRACE, connections.shutdown()).await.is_err() {
        tracing::warn!("connections that did not end in time were cut");
    }
}

/// Serves as long as `work` goes on, and gives what came of it.
pub async fn serve_during<T>(listener: TcpListener, router: Router, work: impl Future<Output = T>) -> T {
    let ended = CancellationToken::new();
    let work = async {
        let done = work.await;
        ended.cancel();
        done
    };
    let (done, ()) = tokio::join!(work, serve(listener, router, &ended));
    done
}

fn connect(stream: TcpStream, router: &Router, connections: &GracefulShutdown) {
    // Without this, Nagle's algorithm and delayed acknowledgements cost a keep-alive client 40 ms a request.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY");
    }
    let service = TowerToHyperService::new(router.clone());
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_LIMIT)
        .serve_connection(TokioIo::new(stream), service);
    let connection = connections.watch(connection);
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a connection ended badly");
        }
    });
}

/// Whether the program would do its work now: all of its parts have to be ready, and there has to be one.
#[derive(Clone, Debug, Default)]
pub struct Readiness(Arc<Mutex<Vec<ReadyPart>>>);

/// Says of one part whether it is ready, or else why not; it is not until it says so.
#[derive(Clone, Debug)]
pub struct ReadyPart(Arc<Mutex<Result<(), &'static str>>>);

impl Default for ReadyPart {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Err("no connection to the broker"))))
    }
}

impl Readiness {
    /// One more part that has to be ready.
    #[must_use]
    pub fn part(&self) -> ReadyPart {
        let part = ReadyPart::default();
        self.parts().push(part.clone());
        part
    }

    /// Asks; the answer is why one of them is not.
    pub fn get(&self) -> Result<(), &'static str> {
        let parts = self.parts();
        if parts.is_empty() {
            Err("there is nothing to do")
        } else {
            parts.iter().try_for_each(ReadyPart::get)
        }
    }

    /// No code panics while it holds the lock, so a poisoned one holds what it should.
    fn parts(&self) -> MutexGuard<'_, Vec<ReadyPart>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ReadyPart {
    /// Says so.
    pub fn set(&self, ready: Result<(), &'static str>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = ready;
    }

    fn get(&self) -> Result<(), &'static str> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The operator's endpoints, on a port of their own: `/healthz` (alive), `/readyz` (would do its work now: never once `stopping`
/// is cancelled), `/metrics` (`OpenMetrics` text). They are worth most while a process ends:
/// [`serve_during`] serves them until the rest has.
pub fn operator_endpoints(registry: Registry, readiness: Readiness, stopping: CancellationToken) -> Router {
    Router::new()
        .route("/healthz", get(async || "alive\n"))
        .route("/readyz", get(async move || ready(&readiness, &stopping)))
        .route("/metrics", get(metrics).with_state(Arc::new(registry)))
}

fn ready(readiness: &Readiness, stopping: &CancellationToken) -> (StatusCode, String) {
    let ready = if stopping.is_cancelled() { Err("ending") } else { readiness.get() };
    match ready {
        Ok(()) => (StatusCode::OK, "ready\n".to_owned()),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {why}\n")),
    }
}

async fn metrics(State(registry): State<Arc<Registry>>) -> Result<impl IntoResponse, Infallible> {
    let mut text = String::new();
    // Writing into a String does not fail.
    let encoded = prometheus_client::encoding::text::encode(&mut text, &registry);
    let status = if encoded.is_ok() { StatusCode::OK } else { StatusCode::INTERNAL_SERVER_ERROR };
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    Ok((status, [(header::CONTENT_TYPE, kind)], text))
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    async fn ask(address: SocketAddr, path: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn operators_see_life_readiness_and_metrics() {
        let listener = bind(([127, 0, 0, 1], 0).into(), "operators", "--service-listen").await.unwrap();
        let address = listener.local_addr().unwrap();
        let readiness = Readiness::default();
        let stop = CancellationToken::new();
        let stopping = CancellationToken::new();
        let router = operator_endpoints(Registry::default(), readiness.clone(), stopping.clone());
        let served = tokio::spawn({
            let stop = stop.clone();
            async move { serve(listener, router, &stop).await }
        });
        assert!(ask(address, "/healthz").await.starts_with("HTTP/1.1 200"));
        assert!(ask(address, "/readyz").await.starts_with("HTTP/1.1 503"));
        readiness.part().set(Ok(()));
        assert!(ask(address, "/readyz").await.starts_with("HTTP/1.1 200"));
        stopping.cancel();
        let answer = ask(address, "/readyz").await;
        assert!(answer.starts_with("HTTP/1.1 503") && answer.ends_with("not ready: ending\n"), "{answer}");
        assert!(ask(address, "/metrics").await.ends_with("# EOF\n"));
        assert!(ask(address, "/else").await.starts_with("HTTP/1.1 404"));
        let _idle = TcpStream::connect(address).await.unwrap();
        stop.cancel();
        served.await.unwrap();
    }

    #[tokio::test]
    async fn operators_can_look_until_the_work_has_ended() {
        let listener = bind(([127, 0, 0, 1], 0).into(), "operators", "--service-listen").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stopping = CancellationToken::new();
        let router = operator_endpoints(Registry::default(), Readiness::default(), stopping.clone());
        let draining = async {
            stopping.cancel();
            ask(address, "/metrics").await
        };
        assert!(serve_during(listener, router, draining).await.starts_with("HTTP/1.1 200"));
        assert!(TcpStream::connect(address).await.is_err());
    }

    #[test]
    fn every_part_has_to_be_ready() {
        let readiness = Readiness::default();
        assert!(readiness.get().is_err());
        let (scan, execute) = (readiness.part(), readiness.part());
        scan.set(Ok(()));
        assert_eq!(readiness.get(), Err("no connection to the broker"));
        execute.clone().set(Ok(()));
        assert_eq!(readiness.clone().get(), Ok(()));
        scan.set(Err("why"));
        assert_eq!(readiness.get(), Err("why"));
    }

    #[tokio::test]
    async fn a_port_that_is_taken_is_explained() {
        let first = bind(([127, 0, 0, 1], 0).into(), "events", "--listen").await.unwrap();
        let error = bind(first.local_addr().unwrap(), "events", "--listen").await.unwrap_err();
        assert!(error.contains("in use") && error.contains("--listen"), "{error}");
    }
}
