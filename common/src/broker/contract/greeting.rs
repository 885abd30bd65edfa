//! What a broker says of itself when somebody knocks. The client library keeps that for itself, so this knocks a second time.

use std::time::Duration;

use amq_protocol::frame::{AMQPFrame, parse_frame};
use amq_protocol::protocol::{AMQPClass, connection};
use futures_util::{AsyncReadExt, AsyncWriteExt};
use lapin::types::FieldTable;

use super::super::message::as_text;
use super::super::{Broker, BrokerError};

/// How we ask: AMQP 0-9-1.
const KNOCK: &[u8] = b"AMQP\x00\x00\x09\x01";
/// A greeting is of some hundred bytes.
const LONGEST: usize = 64 * 1024;
const LIMIT: Duration = Duration::from_secs(10);

/// Product and version.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Greeting {
    pub(super) product: Option<String>,
    pub(super) version: Option<String>,
}

impl Broker {
    /// None where there is none that can be understood; who cannot connect hears of that elsewhere.
    pub(super) async fn greeting(&self) -> Option<Greeting> {
        let greeted = async {
            let mut stream = self.stream().await?;
            Ok::<_, BrokerError>(listen(&mut stream).await)
        };
        tokio::time::timeout(LIMIT, greeted).await.ok()?.ok()?
    }
}

async fn listen(stream: &mut (impl AsyncReadExt + AsyncWriteExt + Unpin)) -> Option<Greeting> {
    stream.write_all(KNOCK).await.ok()?;
    stream.flush().await.ok()?;
    let (mut heard, mut buffer) = (Vec::new(), [0; 4096]);
    while heard.len() < LONGEST {
        let read = stream.read(&mut buffer).await.ok().filter(|it| *it > 0)?;
        heard.extend_from_slice(buffer.get(..read)?);
        if let Ok((_, frame)) = parse_frame(heard.as_slice()) {
            return understand(&frame);
        }
    }
    None
}

fn understand(frame: &AMQPFrame) -> Option<Greeting> {
    match frame {
        AMQPFrame::Method(_, AMQPClass::Connection(connection::AMQPMethod::Start(start))) => {
            let of: &FieldTable = &start.server_properties;
            let text = |name: &str| of.inner().get(name).and_then(as_text);
            Some(Greeting { product: text("product"), version: text("version") })
        }
        _ => None,
    }
}
