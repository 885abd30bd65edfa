//! A sender of events that costs next to nothing: the cores are for the receiver. What it sends is signed before the clock runs.

use std::net::SocketAddr;

use ::tests::forge;
use ::tests::secrets::WEBHOOK_TOKEN;
use anyhow::{Context, Result, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use uuid::Uuid;

use super::load::Client;

/// A kept-alive connection, and the request that it sends over and over, with another delivery id each time.
pub(crate) struct Sender {
    stream: TcpStream,
    request: Vec<u8>,
    /// Where in the request the delivery id is.
    id: usize,
    answer: Vec<u8>,
}

impl Sender {
    pub(crate) async fn connect(address: SocketAddr, event: &str, body: &str) -> Result<Self> {
        let stream = TcpStream::connect(address).await.context("the receiver")?;
        stream.set_nodelay(true)?;
        let before = format!("POST / HTTP/1.1\r\nhost: {address}\r\nx-github-delivery: ");
        let after = format!(
            "{}\r\nuser-agent: GitHub-Hookshot/0000000\r\naccept: */*\r\ncontent-type: application/json\r\n\
             x-github-event: {event}\r\nx-github-hook-id: 1\r\nx-hub-signature-256: {}\r\ncontent-length: {}\r\n\r\n{body}",
            Uuid::nil(),
            forge::sign(WEBHOOK_TOKEN, body.as_bytes()),
            body.len(),
        );
        let id = before.len();
        Ok(Self { stream, request: (before + &after).into_bytes(), id, answer: Vec::with_capacity(1024) })
    }

    /// Reads one whole answer.
    async fn read(&mut self) -> Result<()> {
        self.answer.clear();
        loop {
            let read = self.stream.read_buf(&mut self.answer).await?;
            ensure!(read > 0, "the receiver closed the connection");
            if is_whole(&self.answer) {
                return Ok(());
            }
        }
    }
}

impl Client for Sender {
    async fn once(&mut self) -> Result<()> {
        let id = &mut self.request[self.id..][..36];
        Uuid::now_v7().hyphenated().encode_lower(id);
        self.stream.write_all(&self.request).await?;
        self.read().await?;
        let answer = || String::from_utf8_lossy(&self.answer).into_owned();
        ensure!(self.answer.starts_with(b"HTTP/1.1 200 "), "the receiver answered {}", answer());
        Ok(())
    }
}

/// Whether it has all of the body that its head announces.
fn is_whole(answer: &[u8]) -> bool {
    let Some(end) = answer.windows(4).position(|it| it == b"\r\n\r\n") else { return false };
    let (head, body) = answer.split_at(end + 4);
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    let length = head.lines().find_map(|it| it.strip_prefix("content-length: ")?.trim().parse().ok());
    body.len() >= length.unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_end_where_they_say() {
        let whole = b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nqueued\n";
        assert!(is_whole(whole));
        for end in 0..whole.len() {
            assert!(!is_whole(&whole[..end]), "{end}");
        }
    }
}
