//! AMQP 0-9-1 as it is on the wire, as far as steps are concerned.

use anyhow::{Context, Result, ensure};
use tokio::io::{AsyncRead, AsyncReadExt};

/// Longer frames are none of ours: a client and a broker agree on 128 KiB, and never on more than this.
const LONGEST: usize = 16 * 1024 * 1024;
const END: u8 = 0xCE;

/// A frame with all of its bytes.
pub(super) struct Frame {
    pub(super) channel: u16,
    pub(super) bytes: Vec<u8>,
}

/// What a method does, as far as others see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Method {
    /// A step that is answered.
    Asks(String),
    /// A message: its header and its body follow, and an answer.
    Publishes(String),
    /// A step without an answer.
    Tells(&'static str),
    /// What a server sends by itself.
    Delivers,
    /// Anything else.
    Other,
}

impl Frame {
    /// None at the end of the stream.
    pub(super) async fn read(from: &mut (impl AsyncRead + Unpin)) -> Result<Option<Self>> {
        let mut head = [0; 7];
        if from.read(head.get_mut(..1).unwrap_or_default()).await? == 0 {
            return Ok(None);
        }
        from.read_exact(head.get_mut(1..).unwrap_or_default()).await?;
        let [_, channel @ .., _, _, _, _] = head;
        let [_, _, _, size @ ..] = head;
        let size = usize::try_from(u32::from_be_bytes(size))?;
        ensure!(size <= LONGEST, "a frame of {size} bytes");
        let mut bytes = head.to_vec();
        bytes.resize(head.len() + size + 1, 0);
        from.read_exact(bytes.get_mut(head.len()..).unwrap_or_default()).await?;
        ensure!(bytes.last() == Some(&END), "a frame without an end");
        Ok(Some(Self { channel: u16::from_be_bytes(channel), bytes }))
    }

    fn payload(&self) -> &[u8] {
        self.bytes.get(7..self.bytes.len() - 1).unwrap_or_default()
    }

    /// None for what is no method.
    pub(super) fn method(&self) -> Option<Method> {
        const METHOD: u8 = 1;
        let (kind, payload) = (self.bytes.first()?, self.payload());
        if *kind != METHOD {
            return None;
        }
        let [_, class, _, method] = *payload.first_chunk()?;
        let rest = payload.get(4..)?;
        // After two reserved bytes a method has its names as short strings.
        let named =
            |verb: &str, at: usize| Some(format!("broker {verb} {}", kind_of(&name(rest.get(2..)?, at)?)));
        Some(match (class, method) {
            (50, 10) => Method::Asks(named("declare", 0)?),
            (50, 40) => Method::Asks(named("delete", 0)?),
            (60, 20) => Method::Asks(named("consume", 0)?),
            (60, 30) => Method::Asks("broker cancel".to_owned()),
            (60, 40) => Method::Publishes(named("publish", 1)?),
            (60, 50 | 60) => Method::Delivers,
            (60, 70) => Method::Asks(named("get", 0)?),
            (60, 80) => Method::Tells("broker ack"),
            (60, 90 | 120) => Method::Tells("broker nack"),
            _ => Method::Other,
        })
    }

    /// How long a body is, in the header of a message.
    pub(super) fn body_size(&self) -> Result<u64> {
        let size =
            self.payload().get(4..12).and_then(|it| it.first_chunk()).context("a header of a message")?;
        Ok(u64::from_be_bytes(*size))
    }

    /// How much of a body it is.
    pub(super) fn size(&self) -> u64 {
        self.payload().len() as u64
    }
}

/// The short string before which there are so many others.
fn name(mut bytes: &[u8], before: usize) -> Option<String> {
    for _ in 0..before {
        let (length, rest) = bytes.split_first()?;
        bytes = rest.get(usize::from(*length)..)?;
    }
    let (length, rest) = bytes.split_first()?;
    Some(String::from_utf8_lossy(rest.get(..usize::from(*length))?).into_owned())
}

/// `claim.DIGEST` and `retry.QUEUE.PAUSE` are called by their kind.
fn kind_of(queue: &str) -> &str {
    queue.split('.').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(payload: &[u8]) -> Frame {
        let mut bytes = vec![1, 0, 3];
        bytes.extend(u32::try_from(payload.len()).unwrap().to_be_bytes());
        bytes.extend(payload);
        bytes.push(END);
        Frame { channel: 3, bytes }
    }

    #[tokio::test]
    async fn frames_are_what_they_were() {
        let (one, other) = (frame(&[0, 60, 0, 80, 1]), frame(&[0, 10, 0, 40]));
        let both = [one.bytes.clone(), other.bytes.clone()].concat();
        let mut stream = both.as_slice();
        let read = Frame::read(&mut stream).await.unwrap().unwrap();
        assert_eq!((read.channel, read.method()), (3, Some(Method::Tells("broker ack"))));
        assert_eq!(read.bytes, one.bytes);
        assert_eq!(Frame::read(&mut stream).await.unwrap().unwrap().method(), Some(Method::Other));
        assert!(Frame::read(&mut stream).await.unwrap().is_none());
        assert!(Frame::read(&mut &both[..9]).await.is_err());
    }

    #[test]
    fn methods_are_named_after_what_they_are_about() {
        let publish = [&[0, 60, 0, 40, 0, 0, 0, 6][..], b"public", &[1]].concat();
        assert_eq!(frame(&publish).method(), Some(Method::Publishes("broker publish public".to_owned())));
        let declare = [&[0, 50, 0, 10, 0, 0, 8][..], b"claim.ab", &[2, 0, 0, 0, 0]].concat();
        assert_eq!(frame(&declare).method(), Some(Method::Asks("broker declare claim".to_owned())));
        assert_eq!(frame(&[0, 60, 0, 40, 0, 0, 9]).method(), None);
    }
}
