//! A mail server that keeps what it is given: SMTP as far as senders need it, with STARTTLS, and troubles on demand.
//!
//! It is as strict as the strictest that mail may pass: ASCII only, lines of 998 bytes at most, no bare newlines.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use common::Clock;
use credentials::FleetOptions;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

use crate::steps::Steps;

/// Lines of a mail are no longer (RFC 5322), without their end.
const LONGEST_LINE: usize = 998;

/// What goes wrong in one conversation.
#[derive(Clone, Debug)]
pub enum Trouble {
    /// The answer to this command is this line.
    Answer(&'static str, &'static str),
    /// The connection ends at this command.
    Close(&'static str),
    /// This command gets no answer.
    Hang(&'static str),
}

/// A mail that was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mail {
    /// Whom it is from, on the envelope.
    pub from: String,
    /// Whom it is for, on the envelope.
    pub to: Vec<String>,
    /// Its headers.
    pub headers: Vec<(String, String)>,
    /// Its text.
    pub text: String,
    /// Whether it came over TLS.
    pub encrypted: bool,
}

impl Mail {
    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|it| it.0.eq_ignore_ascii_case(name)).map(|it| it.1.as_str())
    }
}

#[derive(Default)]
struct State {
    mails: Vec<Mail>,
    conversations: usize,
    troubles: VecDeque<Trouble>,
    always: Option<Trouble>,
    /// Who is told of each mail.
    steps: Steps,
}

struct Shared {
    state: Mutex<State>,
    changes: watch::Sender<()>,
    tls: TlsAcceptor,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A server on the loopback interface, until it is dropped.
pub struct MailServer {
    shared: Arc<Shared>,
    port: u16,
    ca: String,
    serving: JoinHandle<()>,
}

impl Drop for MailServer {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl MailServer {
    /// Starts one that takes everything.
    pub async fn start() -> Result<Self> {
        common::crypto::install();
        let folder = TempDir::new()?;
        credentials::fleet(folder.path(), &FleetOptions::default(), Clock::system().now())?;
        let read = |name: &str| {
            std::fs::read_to_string(folder.path().join(name)).with_context(|| format!("cannot read {name}"))
        };
        let (chain, key) = (read(credentials::SERVER_CERTIFICATE)?, read(credentials::SERVER_KEY)?);
        let chain: Vec<_> = CertificateDer::pem_slice_iter(chain.as_bytes()).collect::<Result<_, _>>()?;
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes())?;
        let config = ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key)?;
        let tls = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let port = listener.local_addr()?.port();
        let shared = Arc::new(Shared { state: Mutex::default(), changes: watch::Sender::new(()), tls });
        let serving = tokio::spawn(serve(listener, Arc::clone(&shared)));
        Ok(Self { shared, port, ca: read(credentials::CA_CERTIFICATE)?, serving })
    }

    /// `localhost:PORT`.
    pub fn address(&self) -> String {
        format!("localhost:{}", self.port)
    }

    /// The authority of its certificate, in PEM.
    pub fn ca(&self) -> &str {
        &self.ca
    }

    /// The next conversations have these troubles, one each.
    pub fn trouble(&self, troubles: &[Trouble]) {
        self.shared.state().troubles.extend(troubles.iter().cloned());
    }

    /// Each mail from now on is one of these steps.
    pub fn watch(&self, steps: &Steps) {
        self.shared.state().steps = steps.clone();
    }

    /// From now on all have this one.
    pub fn trouble_always(&self, trouble: Trouble) {
        self.shared.state().always = Some(trouble);
    }

    /// How many conversations there were.
    pub fn conversations(&self) -> usize {
        self.shared.state().conversations
    }

    /// What it was given.
    pub fn mails(&self) -> Vec<Mail> {
        self.shared.state().mails.clone()
    }

    /// Waits until it has been given this many mails.
    pub async fn wait_for(&self, number: usize, deadline: Duration) -> Result<Vec<Mail>> {
        let mut changes = self.shared.changes.subscribe();
        let enough = async {
            while self.mails().len() < number {
                changes.changed().await?;
            }
            anyhow::Ok(self.mails())
        };
        let waited = tokio::time::timeout(deadline, enough).await;
        waited.with_context(|| format!("{} of {number} mails within {deadline:?}", self.mails().len()))?
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let mut conversations = JoinSet::new();
    while let Ok((connection, _)) = listener.accept().await {
        conversations.spawn(serve_one(connection, Arc::clone(&shared)));
        while conversations.try_join_next().is_some() {}
    }
}

async fn serve_one(connection: TcpStream, shared: Arc<Shared>) -> io::Result<()> {
    let trouble = {
        let mut state = shared.state();
        state.conversations += 1;
        state.troubles.pop_front().or_else(|| state.always.clone())
    };
    let mut plain = Conversation { stream: BufReader::new(connection), trouble, encrypted: false };
    plain.say("220 stand-in ESMTP").await?;
    if let Next::Encrypt = plain.talk(&shared).await? {
        let Conversation { stream, trouble, .. } = plain;
        let stream = BufReader::new(shared.tls.accept(stream.into_inner()).await?);
        Conversation { stream, trouble, encrypted: true }.talk(&shared).await?;
    }
    Ok(())
}

/// How a conversation goes on.
enum Next {
    Over,
    Encrypt,
}

struct Conversation<S> {
    stream: BufReader<S>,
    trouble: Option<Trouble>,
    encrypted: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Conversation<S> {
    async fn say(&mut self, line: &str) -> io::Result<()> {
        self.stream.get_mut().write_all(format!("{line}\r\n").as_bytes()).await?;
        self.stream.get_mut().flush().await
    }

    /// A line without its end; none at the end.
    async fn line(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut line = Vec::new();
        self.stream.read_until(b'\n', &mut line).await?;
        Ok(line.strip_suffix(b"\r\n").map(<[u8]>::to_vec))
    }

    async fn talk(&mut self, shared: &Shared) -> io::Result<Next> {
        let (mut from, mut to) = (String::new(), Vec::new());
        while let Some(line) = self.line().await? {
            let line = String::from_utf8_lossy(&line).into_owned();
            let verb = line.split([' ', ':']).next().unwrap_or_default().to_uppercase();
            let address = || line.split(['<', '>']).nth(1).unwrap_or_default().to_owned();
            match &self.trouble {
                Some(Trouble::Answer(at, answer)) if *at == verb => {
                    let answer = *answer;
                    self.say(answer).await?;
                    continue;
                }
                Some(Trouble::Close(at)) if *at == verb => return Ok(Next::Over),
                Some(Trouble::Hang(at)) if *at == verb => std::future::pending().await,
                _ => {}
            }
            match verb.as_str() {
                "EHLO" if self.encrypted => self.say("250 stand-in").await?,
                "EHLO" => self.say("250-stand-in\r\n250 STARTTLS").await?,
                "STARTTLS" if !self.encrypted => {
                    self.say("220 go on").await?;
                    return Ok(Next::Encrypt);
                }
                "MAIL" => {
                    from = address();
                    self.say("250 ok").await?;
                }
                "RCPT" => {
                    to.push(address());
                    self.say("250 ok").await?;
                }
                "DATA" => {
                    self.say("354 go on").await?;
                    let answer = match self.data().await? {
                        Err(refused) => refused,
                        Ok(data) => {
                            let steps = shared.state().steps.clone();
                            let Ok(step) = steps.before("mail").await else { return Ok(Next::Over) };
                            let mail = mail(&data, &from, std::mem::take(&mut to), self.encrypted);
                            shared.state().mails.push(mail);
                            shared.changes.send_replace(());
                            if step.after().await.is_err() {
                                return Ok(Next::Over);
                            }
                            "250 taken"
                        }
                    };
                    self.say(answer).await?;
                }
                "QUIT" => {
                    self.say("221 bye").await?;
                    return Ok(Next::Over);
                }
                _ => self.say("502 not here").await?,
            }
        }
        Ok(Next::Over)
    }

    /// A mail's lines to the one with a dot, or why it is refused.
    async fn data(&mut self) -> io::Result<Result<String, &'static str>> {
        let (mut data, mut answer) = (String::new(), None);
        while let Some(line) = self.line().await? {
            if line == b"." {
                break;
            }
            if line.len() > LONGEST_LINE {
                answer = Some("500 line too long");
            } else if !line.is_ascii() || line.contains(&0) || line.contains(&b'\r') || line.contains(&b'\n')
            {
                answer = Some("554 not text");
            }
            // A dot that a line began with was doubled.
            let line = line.strip_prefix(b".").unwrap_or(&line);
            data.push_str(&String::from_utf8_lossy(line));
            data.push_str("\r\n");
        }
        Ok(answer.map_or(Ok(data), Err))
    }
}

fn mail(data: &str, from: &str, to: Vec<String>, encrypted: bool) -> Mail {
    let (head, body) = data.split_once("\r\n\r\n").unwrap_or((data, ""));
    let mut headers: Vec<(String, String)> = Vec::new();
    for line in head.split("\r\n") {
        match (line.strip_prefix([' ', '\t']), line.split_once(": ")) {
            (Some(more), _) => {
                if let Some((_, value)) = headers.last_mut() {
                    value.extend([" ", more]);
                }
            }
            (None, Some((name, value))) => headers.push((name.to_owned(), value.to_owned())),
            (None, None) => headers.push((line.to_owned(), String::new())),
        }
    }
    Mail { from: from.to_owned(), to, headers, text: unquoted(body), encrypted }
}

/// What quoted-printable stands for (RFC 2045).
fn unquoted(body: &str) -> String {
    let body = body.replace("=\r\n", "").replace("\r\n", "\n");
    let mut bytes = Vec::new();
    let mut parts = body.split('=');
    bytes.extend(parts.next().unwrap_or_default().bytes());
    for part in parts {
        let (code, rest) = part.split_at_checked(2).unwrap_or((part, ""));
        bytes.extend(u8::from_str_radix(code, 16));
        bytes.extend(rest.bytes());
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
