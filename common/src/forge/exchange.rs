//! What is asked of a forge, until there is an answer or no hope of one: limits are waited for, and what does no harm twice is
//! tried again.

use std::sync::Arc;

use bytes::Bytes;
use reqwest::header::HeaderValue;
use reqwest::{Method, Url};
use serde::Serialize;

use super::answer::Answer;
use super::error::{ForgeError, Request};
use super::line::Line;
use super::metrics::ForgeMetrics;
use super::pace::Urgency;
use super::settings::{ForgeSettings, Limits};
use super::tries::{Next, Tries};
use crate::Chain;

/// What to read.
#[derive(Debug)]
pub(super) struct Read<'a> {
    /// The parts of the path below the API's address; they are escaped here.
    pub(super) path: Vec<&'a str>,
    pub(super) query: Vec<(&'a str, String)>,
    pub(super) accept: HeaderValue,
    /// The longest answer, in bytes.
    pub(super) limit: usize,
}

/// What to write.
#[derive(Debug)]
pub(super) struct Write<'a> {
    pub(super) path: &'a [&'a str],
    pub(super) body: Bytes,
    /// Whether doing it twice does no harm.
    twice: Twice,
}

/// What happens when something is done twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Twice {
    Harmless,
    Harm,
}

/// One of both.
#[derive(Clone, Copy, Debug)]
enum Task<'a> {
    Read(&'a Read<'a>),
    Write(&'a Write<'a>),
}

/// The API of one forge, for callers of one urgency. Clones share all but that.
#[derive(Clone)]
pub(super) struct Api {
    line: Arc<Line>,
    urgency: Urgency,
}

impl Api {
    pub(super) fn new(
        settings: &ForgeSettings,
        limits: Limits,
        metrics: &ForgeMetrics,
    ) -> Result<Self, ForgeError> {
        let line = Line::new(settings, limits, metrics)?;
        Ok(Self { line: Arc::new(line), urgency: Urgency::Now })
    }

    /// The same for those who go after everybody else.
    pub(super) fn background(&self) -> Self {
        Self { urgency: Urgency::Background, ..self.clone() }
    }

    pub(super) fn limits(&self) -> &Limits {
        self.line.limits()
    }

    pub(super) fn url(&self) -> &Url {
        self.line.url()
    }

    /// Reads, and tries again for [`Limits::retry_for`] where the forge or the network has a bad moment.
    pub(super) async fn read(&self, what: &Read<'_>) -> Result<Answer, ForgeError> {
        self.exchange(Task::Read(what), self.urgency).await
    }

    /// Sends JSON; tries again only where the forge cannot have done it.
    pub(super) async fn post(&self, path: &[&str], body: &impl Serialize) -> Result<Answer, ForgeError> {
        self.write(path, body, Twice::Harm).await
    }

    /// Sends JSON, and tries again as for reading: for what may be done twice.
    pub(super) async fn post_twice(
        &self,
        path: &[&str],
        body: &impl Serialize,
    ) -> Result<Answer, ForgeError> {
        self.write(path, body, Twice::Harmless).await
    }

    async fn write(&self, path: &[&str], body: &impl Serialize, twice: Twice) -> Result<Answer, ForgeError> {
        let body = serde_json::to_vec(body).map_err(|error| {
            let request = Box::new(self.line.request(Method::POST, path));
            ForgeError::Unprocessable { request, message: format!("not sent: {error}") }
        })?;
        let what = Write { path, body: body.into(), twice };
        // Somebody waits to see it, whoever writes.
        self.exchange(Task::Write(&what), Urgency::Now).await
    }

    async fn exchange(&self, task: Task<'_>, urgency: Urgency) -> Result<Answer, ForgeError> {
        let line = &*self.line;
        let mut tries = Tries::new(line.limits(), urgency);
        loop {
            let permit = line.gate().enter(urgency, tries.patience()).await.map_err(|wait| {
                ForgeError::RateLimited { request: Box::new(task.request(line)), retry_after: Some(wait) }
            })?;
            let token = line.token();
            let done = match task {
                // Boxed, so that whoever asks a forge does not carry the room for it around.
                Task::Read(what) => Box::pin(line.read_once(what)).await,
                Task::Write(what) => Box::pin(line.write_once(what)).await,
            };
            drop(permit);
            let error = match done {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            let next = tries.next(&error, task.may_be_repeated(), || line.refresh(token));
            match next {
                Next::GiveUp => return Err(error),
                Next::WaitForLimit => {
                    tracing::debug!(error = %Chain(&error), "the forge wants to be left alone");
                }
                Next::After(pause) => {
                    tracing::debug!(error = %Chain(&error), retry_ms = pause.as_millis(), "asking the forge again");
                    tokio::time::sleep(pause).await;
                }
            }
        }
    }
}

impl Task<'_> {
    fn may_be_repeated(self) -> bool {
        match self {
            Self::Read(_) => true,
            Self::Write(what) => what.twice == Twice::Harmless,
        }
    }

    fn request(self, line: &Line) -> Request {
        match self {
            Self::Read(what) => line.request(Method::GET, &what.path),
            Self::Write(what) => line.request(Method::POST, what.path),
        }
    }
}
