//! The listening side: TLS, journal, faults, and behind them the S3 server.

use std::io;
use std::sync::Arc;

use anyhow::{Context, Result};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use s3s::Body;
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s_fs::FileSystem;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

use super::access::{Names, Public};
use super::{ACCESS, Fault, Recorded, SECRET, Shared, listing};

/// What it shows to prove who it is.
#[derive(Clone)]
pub(super) struct Certificates(TlsAcceptor);

impl Certificates {
    pub(super) fn new(chain: &str, key: &str) -> Result<Self> {
        let chain: Vec<_> = CertificateDer::pem_slice_iter(chain.as_bytes()).collect::<Result<_, _>>()?;
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes())?;
        let config = ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key)?;
        Ok(Self(TlsAcceptor::from(Arc::new(config))))
    }
}

/// Any free port is 0.
pub(super) async fn listen(port: u16) -> Result<TcpListener> {
    TcpListener::bind(("127.0.0.1", port))
        .await
        .with_context(|| format!("the bucket cannot listen on port {port}"))
}

/// A server that listens; its connections end with it.
pub(super) struct Running(JoinHandle<()>);

impl Running {
    pub(super) fn start(
        listener: TcpListener,
        certificates: &Certificates,
        shared: &Arc<Shared>,
    ) -> Result<Self> {
        let files = FileSystem::new(shared.folder.path()).map_err(|it| anyhow::anyhow!("{it:?}"))?;
        let mut builder = S3ServiceBuilder::new(files);
        builder.set_auth(SimpleAuth::from_single(ACCESS, SECRET));
        builder.set_access(Public);
        builder.set_host(Names);
        let front = Front { shared: Arc::clone(shared), service: builder.build() };
        Ok(Self(tokio::spawn(serve(listener, certificates.clone(), front))))
    }

    /// Returns when the port is free and all connections are cut.
    pub(super) async fn stop(mut self) {
        self.0.abort();
        (&mut self.0).await.ok();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn serve(listener: TcpListener, certificates: Certificates, front: Front) {
    let mut connections = JoinSet::new();
    while let Ok((connection, _)) = listener.accept().await {
        connections.spawn(serve_one(connection, certificates.clone(), front.clone()));
        while connections.try_join_next().is_some() {}
    }
}

/// A connection whose request broke ends without a word.
async fn serve_one(connection: TcpStream, certificates: Certificates, front: Front) {
    let Ok(connection) = certificates.0.accept(connection).await else { return };
    let service = service_fn(move |request| {
        let front = front.clone();
        async move { front.answer(request).await }
    });
    let served =
        hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(connection), service);
    if let Err(error) = served.await {
        tracing::debug!(%error, "a connection to the bucket broke");
    }
}

/// What every request passes.
#[derive(Clone)]
struct Front {
    shared: Arc<Shared>,
    service: S3Service,
}

impl Front {
    async fn answer(&self, request: Request<Incoming>) -> io::Result<Response<Body>> {
        let recorded = Recorded::new(&request);
        let (is_ours, name) = (recorded.signed, recorded.step());
        let (number, fault, steps) = self.shared.change(|state| {
            let fault = state.schedule.meet(&recorded);
            state.requests.push(recorded);
            (state.requests.len() - 1, fault, state.steps.clone())
        });
        let answer = if is_ours {
            let step = steps.before(&name).await.map_err(|_| io::ErrorKind::ConnectionReset)?;
            let answer = self.meet(request, fault).await;
            step.after().await.map_err(|_| io::ErrorKind::ConnectionReset)?;
            answer
        } else {
            self.meet(request, fault).await
        };
        let status = answer.as_ref().ok().map(|it| it.status().as_u16());
        self.shared.change(|state| state.requests[number].status = status);
        answer
    }

    async fn meet(&self, request: Request<Incoming>, fault: Option<Fault>) -> io::Result<Response<Body>> {
        match fault {
            None => self.serve(request).await,
            Some(Fault::Status(status, code)) => refuse(request, status, code).await,
            Some(Fault::LateError) => refuse(request, 200, "InternalError").await,
            Some(Fault::Reset) => Err(io::ErrorKind::ConnectionReset.into()),
            Some(Fault::Hang) => {
                self.shared.stop.cancelled().await;
                Err(io::ErrorKind::ConnectionReset.into())
            }
            Some(Fault::LoseAnswer) => {
                self.serve(request).await?;
                Err(io::ErrorKind::ConnectionReset.into())
            }
            Some(Fault::Slow(time)) => {
                tokio::time::sleep(time).await;
                self.serve(request).await
            }
        }
    }

    async fn serve(&self, request: Request<Incoming>) -> io::Result<Response<Body>> {
        let is_list = request.uri().query().is_some_and(|it| it.contains("encoding-type=url"));
        let answer = self.service.call(request.map(Body::from)).await;
        let answer = answer.map_err(|it| io::Error::other(format!("{it:?}")))?;
        if is_list { listing::encoded(answer).await } else { Ok(answer) }
    }
}

/// Reads what was sent, so that the sender gets the answer rather than a broken connection.
async fn refuse(request: Request<Incoming>, status: u16, code: &str) -> io::Result<Response<Body>> {
    let mut body = request.into_body();
    while let Some(frame) = body.frame().await {
        frame.map_err(io::Error::other)?;
    }
    let text = format!(
        "<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>a fault of the test</Message></Error>"
    );
    Response::builder().status(status).body(Body::from(text)).map_err(io::Error::other)
}
