//! Looking into queues, and what else programs ask the broker without working.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use common::broker::{Address, Headers, Locked, Outgoing, waiting_rooms};
use common::queue::Queue;
use lapin::options::QueueDeleteOptions;
use tests::fleet::{DEADLINE, Fleet, Setup, run_test_with};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

fn no_programs() -> Setup {
    Setup { webhook: false, worker: false, ..Setup::default() }
}

#[tokio::test]
async fn work_that_waits_for_another_attempt_can_be_seen() {
    run_test_with(no_programs(), async |fleet: &mut Fleet| -> Result<()> {
        let session = fleet.session().await?;
        session.declare(&[Queue::Public]).await?;
        let publisher = session.publisher().await?;
        let (soon, late) = (Duration::from_mins(10), Duration::from_hours(10));
        for (body, pause) in [("a", soon), ("b", soon), ("c", late)] {
            let (queue, body) = (Queue::Public, body.into());
            let message = Outgoing { queue, body, priority: None, headers: Headers::fresh() };
            publisher.publish_later(&message, pause).await?;
        }
        for _ in 0..2 {
            let mut seen = Vec::new();
            for room in waiting_rooms("public") {
                let see = |headers: &Headers, body: &[u8]| {
                    assert_eq!(headers.attempt.number(), 1);
                    seen.push(String::from_utf8_lossy(body).into_owned());
                };
                session.peek_named(&room, see).await?;
            }
            assert_eq!(seen, ["a", "b", "c"], "in the order of their pauses, and still there");
        }
        assert_eq!(session.depth_of("retry.public.1024000").await?, 2);
        assert_eq!(session.depth(Queue::Public).await?, 0);
        session.close().await;
        let channel = fleet.bare_client().await?.create_channel().await?;
        for room in waiting_rooms("public") {
            channel.queue_delete(room.into(), QueueDeleteOptions::default()).await?;
        }
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn what_was_seen_while_it_waited_comes_back_in_time() {
    run_test_with(no_programs(), async |fleet: &mut Fleet| -> Result<()> {
        let session = fleet.session().await?;
        session.declare(&[Queue::Public]).await?;
        let (queue, body) = (Queue::Public, "x".into());
        let message = Outgoing { queue, body, priority: None, headers: Headers::fresh() };
        session.publisher().await?.publish_later(&message, Duration::from_millis(300)).await?;
        let end = Instant::now() + DEADLINE;
        let received = loop {
            session.peek_named("retry.public.500", |_, _| ()).await?;
            if let Some(received) = session.take(Queue::Public).await? {
                break received;
            }
            assert!(Instant::now() < end, "looking keeps a message from coming back");
        };
        assert_eq!((&received.body()[..], &received.headers().id), (&b"x"[..], &message.headers.id));
        received.ack().await?;
        session.close().await;
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn a_lock_has_one_holder_and_goes_with_its_connection() {
    run_test_with(no_programs(), async |fleet: &mut Fleet| -> Result<()> {
        let (address, line) = forwarded(fleet.broker.address()).await?;
        let mut connector = fleet.connector()?;
        connector.address = address;
        let (holder, other) = (connector.connect("holder").await?, fleet.session().await?);
        assert_eq!(holder.lock("sweep").await?, Locked::Ours);
        assert_eq!(holder.lock("sweep").await?, Locked::Ours, "it has it already");
        assert_eq!(other.lock("sweep").await?, Locked::ByAnother);
        assert_eq!(other.lock("else").await?, Locked::Ours);
        assert!(other.is_connected(), "a refusal costs a channel, not the session");
        // As when the holder's process is killed: nobody says goodbye.
        line.abort();
        let end = Instant::now() + DEADLINE;
        while other.lock("sweep").await? == Locked::ByAnother {
            assert!(Instant::now() < end, "the lock of a dead holder is kept");
        }
        holder.lost().await;
        let third = fleet.session().await?;
        assert_eq!(third.lock("sweep").await?, Locked::ByAnother);
        other.close().await;
        while third.lock("sweep").await? == Locked::ByAnother {
            assert!(Instant::now() < end, "the lock of a closed session is kept");
        }
        third.close().await;
        Ok(())
    })
    .await;
}

/// A way to the broker that can be cut.
async fn forwarded(broker: &str) -> Result<(Address, JoinHandle<Result<()>>)> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let address = listener.local_addr()?.to_string().parse().context("an address")?;
    let broker = broker.to_owned();
    let line = tokio::spawn(async move {
        let (mut client, _) = listener.accept().await?;
        let mut server = TcpStream::connect(broker).await?;
        tokio::io::copy_bidirectional(&mut client, &mut server).await?;
        Ok(())
    });
    Ok((address, line))
}
