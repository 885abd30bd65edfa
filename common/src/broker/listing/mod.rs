//! Queues as text for people: a heading, then a message a line (wire facts, section 1, `inspect-queue`). The program of that name
//! prints it, and the receiver serves it.

mod entry;
mod epitaph;
mod line;

use std::io::{self, Write};
use std::ops::ControlFlow;

pub use entry::{Entry, Show};
pub use line::OneLine;

use super::look::Peeked;
use super::{BrokerError, Headers, Received, Session, waiting_rooms};
use crate::queue::Queue;

/// Which queues are shown, and how.
#[derive(Clone, Copy, Debug)]
pub struct Listing<'a> {
    /// In this order.
    pub queues: &'a [Queue],
    /// What of each message.
    pub show: Show,
    /// How many bytes of messages at most, if there is a limit. Once one is left out, so are all that come after it, and each queue
    /// ends with how many of its messages those are.
    pub most_bytes: Option<usize>,
}

/// Why queues could not be shown.
#[derive(Debug, thiserror::Error)]
pub enum ListingError {
    /// The broker, or the way to it.
    #[error(transparent)]
    Broker(#[from] BrokerError),
    /// What takes the text.
    #[error("the text of the queues could not be written")]
    Write(#[source] io::Error),
}

impl Listing<'_> {
    /// Writes the messages of each queue below a heading; what reads the text finds the heading of an empty one too.
    ///
    /// The messages are away from their queue until the last one was written, so `out` must not be someone who may be slow or
    /// stop to read.
    pub async fn write(self, session: &Session, out: &mut impl Write) -> Result<(), ListingError> {
        let mut room = self.most_bytes.unwrap_or(usize::MAX);
        for queue in self.queues {
            self.queue(*queue, session, &mut room, out).await?;
        }
        Ok(())
    }

    async fn queue(
        self,
        queue: Queue,
        session: &Session,
        room: &mut usize,
        out: &mut impl Write,
    ) -> Result<(), ListingError> {
        let name = session.queues().of(queue);
        writeln!(out, "{name} queue:").map_err(ListingError::Write)?;
        let mut written = Ok(());
        let see = |received: &Received| match line(received, self.show, room) {
            Some(line) => {
                written = out.write_all(line.as_bytes());
                if written.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            }
            None => ControlFlow::Break(()),
        };
        let peeked = match session.peek_while(queue, see).await {
            Err(BrokerError::Missing(_)) => Peeked::default(),
            peeked => peeked?,
        };
        written.map_err(ListingError::Write)?;
        let last = match peeked {
            Peeked { seen: 0, more: 0 } => writeln!(out, "queue {name} does not exist or is empty"),
            Peeked { more: 0, .. } => Ok(()),
            Peeked { more, .. } => writeln!(out, "… and {more} more"),
        };
        last.map_err(ListingError::Write)
    }
}

/// Writes what waits to come back to these queues: to be tried again, or for whoever has begun it. Each time to wait for has a heading,
/// if any message has it; where nothing waits, nothing is written. As with [`Listing::write`], `out` must not be slow; what would
/// come back while it is looked at does so afterwards.
pub async fn write_waiting(
    queues: &[Queue],
    show: Show,
    session: &Session,
    out: &mut impl Write,
) -> Result<(), ListingError> {
    for queue in queues {
        let name = session.queues().of(*queue);
        for room in waiting_rooms(name) {
            let mut lines = vec![format!("waiting for {name}, in {room}:")];
            let see = |_: &Headers, body: &[u8]| lines.push(Entry::waiting(body, show).to_string());
            if session.peek_named(&room, see).await? > 0 {
                writeln!(out, "{}", lines.join("\n")).map_err(ListingError::Write)?;
            }
        }
    }
    Ok(())
}

/// A message's line, if there is room for it; if not, there is none for anything that comes after it.
fn line(received: &Received, show: Show, room: &mut usize) -> Option<String> {
    let entry = Entry::new(received, show);
    // What is too large anyway is not copied.
    let line = (entry.least_bytes() <= *room).then(|| format!("{entry}\n")).filter(|it| it.len() <= *room);
    *room = line.as_ref().map_or(0, |it| *room - it.len());
    line
}
