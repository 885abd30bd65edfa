//! Chrome's `DevTools` protocol over pipes: JSON messages, each with a NUL after it.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, PipeReader, PipeWriter, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use tokio::sync::oneshot;

/// A command that takes longer is stuck.
const DEADLINE: Duration = Duration::from_secs(30);

/// The connection to a browser.
pub(super) struct Protocol {
    state: Mutex<State>,
}

struct State {
    writer: PipeWriter,
    last: u64,
    waiting: HashMap<u64, oneshot::Sender<Value>>,
    /// What pages reported of themselves, with their session.
    events: Vec<(String, Value)>,
}

impl Protocol {
    pub(super) fn start(reader: PipeReader, writer: PipeWriter) -> Arc<Self> {
        let state = State { writer, last: 0, waiting: HashMap::new(), events: Vec::new() };
        let protocol = Arc::new(Self { state: Mutex::new(state) });
        let ours = Arc::clone(&protocol);
        // A thread: there is no asynchronous anonymous pipe, and this one ends with the browser.
        thread::spawn(move || ours.read(reader));
        protocol
    }

    /// Says something to the browser, or to the page of a session, and returns the result.
    pub(super) async fn call(&self, session: Option<&str>, method: &str, parameters: Value) -> Result<Value> {
        let answer = self.send(session, method, &parameters)?;
        let answer = tokio::time::timeout(DEADLINE, answer).await;
        let answer = answer.with_context(|| format!("{method} is not answered"))?;
        let answer = answer.with_context(|| format!("{method}: the browser has ended"))?;
        if let Some(error) = answer.get("error") {
            bail!("{method}: {error}");
        }
        Ok(answer["result"].clone())
    }

    /// The events of a session since the last call.
    pub(super) fn take_events(&self, session: &str) -> Vec<Value> {
        let mut state = self.lock();
        let (ours, others) = std::mem::take(&mut state.events).into_iter().partition(|(of, _)| of == session);
        state.events = others;
        ours.into_iter().map(|(_, event)| event).collect()
    }

    fn send(
        &self,
        session: Option<&str>,
        method: &str,
        parameters: &Value,
    ) -> Result<oneshot::Receiver<Value>> {
        let mut state = self.lock();
        state.last += 1;
        let mut message = json!({"id": state.last, "method": method, "params": parameters});
        if let Some(session) = session {
            message["sessionId"] = session.into();
        }
        let (sender, answer) = oneshot::channel();
        let id = state.last;
        state.waiting.insert(id, sender);
        let bytes = [message.to_string().as_bytes(), b"\0"].concat();
        state.writer.write_all(&bytes).context("the browser does not listen")?;
        Ok(answer)
    }

    fn read(&self, reader: PipeReader) {
        let messages = BufReader::new(reader).split(0).map_while(Result::ok);
        for message in messages {
            let Ok(mut message) = serde_json::from_slice::<Value>(&message) else { continue };
            let mut state = self.lock();
            if let Some(sender) = message["id"].as_u64().and_then(|id| state.waiting.remove(&id)) {
                let _ = sender.send(message); // who asked may have given up
            } else if let Some(session) = message["sessionId"].as_str().map(str::to_owned) {
                state.events.push((session, message.take()));
            }
        }
        self.lock().waiting.clear(); // whoever waits learns that it is over
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
