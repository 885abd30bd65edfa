//! Looking into queues, and what else programs ask the broker without working.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use common::broker::{Address, Headers, Locked, Outgoing, waiting_rooms};
use common::queue::{Priority, Queue};
use futures_util::{StreamExt, TryStreamExt, stream};
use lapin::options::{QueueDeleteOptions, QueuePurgeOptions};
use reqwest::header::HeaderValue;
use reqwest::{Method, Response, StatusCode};
use serde_json::json;
use tests::fleet::{DEADLINE, Fleet, Setup, run_test_with};
use tokio::io::AsyncWriteExt;
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
        assert_eq!(session.depth_of("retry.public.602112").await?, 2);
        let [plain, waiting] = [
            fleet.inspect(&["-q", "public"]).await?,
            fleet.inspect(&["-q", "public", "-q", "webhook", "--waiting"]).await?,
        ];
        assert_eq!(plain, "public queue:\nqueue public does not exist or is empty\n");
        assert_eq!(
            waiting,
            "public queue:\nqueue public does not exist or is empty\n\
             webhook queue:\nqueue webhook does not exist or is empty\n\
             waiting for public, in retry.public.602112:\na\nb\n\
             waiting for public, in retry.public.4816896:\nc\n"
        );
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

const TOKEN: &str = "7h3-t0k3n-0f-0p3r470r5";

/// A receiver that lets operators look.
fn with_token(folder: &Path) -> Result<Setup> {
    let file = folder.join("token");
    std::fs::write(&file, format!("{TOKEN}\n"))?;
    let receiver = format!("inspect-token = [{{file=\"{}\"}}]", file.display());
    Ok(Setup { worker: false, receiver, ..Setup::default() })
}

async fn ask(fleet: &mut Fleet, method: Method, query: &str, token: Option<&str>) -> Result<Response> {
    let url = format!("http://{}/inspect-queue{query}", fleet.webhook_address().await?);
    let request = reqwest::Client::builder().build()?.request(method, url);
    let request = match token {
        Some(token) => request.header("authorization", token),
        None => request,
    };
    Ok(request.send().await?)
}

#[tokio::test]
async fn without_a_token_there_is_no_inspection() {
    run_test_with(Setup { worker: false, ..Setup::default() }, async |fleet: &mut Fleet| -> Result<()> {
        for token in [None, Some(""), Some("Bearer "), Some("Bearer x")] {
            assert_eq!(ask(fleet, Method::GET, "", token).await?.status(), 404);
        }
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn a_token_is_long_enough_or_refused() {
    let mut config = "[webhook]\ninspect-token = \"0123456789abcde\"\n".to_owned();
    for expected in ["webhook.inspect-token: expected [{file=", "webhook.inspect-token: "] {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("flotilla.toml");
        std::fs::write(&file, &config).unwrap();
        let mut command = std::process::Command::new(tests::fleet::binary("webhook").unwrap());
        let output = command.args(["--check-config", "--config"]).arg(&file).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2));
        assert!(said.contains(expected) && !said.contains("0123456789abcde"), "{said}");
        config = "[webhook]\ninspect-token = [{file=\"none\"}]\n".to_owned();
    }
}

#[tokio::test]
async fn operators_see_the_queues_as_the_program_shows_them() {
    let folder = tempfile::tempdir().unwrap();
    run_test_with(with_token(folder.path()).unwrap(), async |fleet: &mut Fleet| -> Result<()> {
        fleet.publish("public", r#"{"job": {"repo": "o/r"}, "human": "pull-1      x"}"#).await?;
        fleet.publish("internal", r#"{"command": ["a\n"]}"#).await?;
        fleet.publish("webhook", r#"{"event": "push", "request": {}}"#).await?;
        for (method, token, status) in [
            (Method::GET, None, 401),
            (Method::GET, Some("Bearer 7h3-t0k3n"), 401),
            (Method::GET, Some(TOKEN), 401),
            (Method::POST, Some("Bearer 7h3-t0k3n-0f-0p3r470r5"), 405),
            (Method::DELETE, None, 405),
        ] {
            let answer = ask(fleet, method, "", token).await?;
            assert_eq!(answer.status(), status, "{token:?}");
            let header = if status == 401 { ("www-authenticate", "Bearer") } else { ("allow", "GET") };
            assert_eq!(answer.headers()[header.0], header.1);
            assert!(!answer.text().await?.contains("o/r"));
        }
        let right = format!("Bearer {TOKEN}");
        for (query, arguments) in [("", &[][..]), ("?human", &["--human"])] {
            let expected = fleet.inspect(arguments).await?;
            for token in [right.clone(), format!("token {TOKEN}")] {
                let answer = ask(fleet, Method::GET, query, Some(&token)).await?;
                assert_eq!((answer.status(), &answer.headers()["content-type"]), (StatusCode::OK, &TEXT));
                assert_eq!(answer.text().await?, expected);
            }
        }
        assert_eq!(fleet.waiting().await?, [(Queue::Webhook, 1), (Queue::Public, 1), (Queue::Internal, 1)]);
        let said = fleet.webhook()?.said();
        assert!(!said.contains("7h3-t0k3n"), "{said}");
        let operators = fleet.webhook()?.listening("operator endpoints").await?;
        let metrics = reqwest::get(format!("http://{operators}/metrics")).await?.text().await?;
        for (answer, count) in [("Shown", 4), ("Unauthorized", 3), ("MethodNotAllowed", 2)] {
            let line = format!("flotilla_webhook_inspections_total{{answer=\"{answer}\"}} {count}");
            assert!(metrics.contains(&line), "{line}: {metrics}");
        }
        take_all(fleet, &[Queue::Webhook, Queue::Public, Queue::Internal]).await
    })
    .await;
}

const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

#[tokio::test]
async fn an_inspection_of_ten_thousand_messages_is_bounded() {
    const TASKS: u32 = 10_000;
    let folder = tempfile::tempdir().unwrap();
    run_test_with(with_token(folder.path()).unwrap(), async |fleet: &mut Fleet| -> Result<()> {
        let session = fleet.session().await?;
        session.declare(&[Queue::Public, Queue::Webhook]).await?;
        let publisher = session.publisher().await?;
        let command = json!({"command": ["true", "x".repeat(1000)]}).to_string();
        let publish = |number: u32| {
            let (queue, priority) = (Queue::Public, Some(Priority::NORMAL));
            let body = command.replace("true", &format!("{number:05}")).into();
            let message = Outgoing { queue, body, priority, headers: Headers::fresh() };
            let publisher = publisher.clone();
            async move { publisher.publish(&message).await }
        };
        let publishing = stream::iter(0..TASKS).map(publish).buffered(200);
        publishing.try_collect::<Vec<_>>().await?;
        fleet.publish("webhook", r#"{"event": "push", "request": {}}"#).await?;

        // A client that does not wait for the answer takes nothing away.
        let mut client = TcpStream::connect(fleet.webhook_address().await?).await?;
        let request =
            format!("GET /inspect-queue HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n\r\n");
        client.write_all(request.as_bytes()).await?;
        let end = Instant::now() + DEADLINE;
        while session.depth(Queue::Public).await? == TASKS {
            assert!(Instant::now() < end, "the inspection does not begin");
        }
        drop(client);
        let token = format!("Bearer {TOKEN}");
        assert_eq!(ask(fleet, Method::GET, "", Some(&token)).await?.status(), 503, "one at a time");
        let text = loop {
            let answer = ask(fleet, Method::GET, "", Some(&token)).await?;
            if answer.status() == StatusCode::OK {
                break answer.text().await?;
            }
            assert!(Instant::now() < end, "the inspection does not end: {answer:?}");
        };
        assert!(text.len() < 4 * 1024 * 1024 + 1000, "{} bytes", text.len());
        let shown: Vec<_> = text.lines().filter(|it| it.starts_with("{\"command\":[\"")).collect();
        assert!(
            shown.iter().enumerate().all(|(at, it)| it.contains(&format!("\"{at:05}\""))),
            "in their order"
        );
        let left = TASKS - u32::try_from(shown.len())?;
        assert!((5000..6500).contains(&left), "{left}");
        let expected = format!(
            "\n… and {left} more\ninternal queue:\nqueue internal does not exist or is empty\n\
             statistics queue:\nqueue statistics does not exist or is empty\nwebhook queue:\n… and 1 more\n"
        );
        assert!(text.ends_with(&expected), "{:?}", text.get(text.len() - 300..));
        assert_eq!(fleet.inspect(&[]).await?.lines().count(), 10_000 + 4 + 2 + 1, "all are there");
        let status = std::fs::read_to_string(format!("/proc/{}/status", fleet.webhook()?.id()))?;
        let most = status.lines().find_map(|it| it.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB"));
        let most: u32 = most.context("VmHWM")?.parse()?;
        assert!(most < 100_000, "{most} kB");
        session.close().await;
        let channel = fleet.bare_client().await?.create_channel().await?;
        channel.queue_purge("public".into(), QueuePurgeOptions::default()).await?;
        take_all(fleet, &[Queue::Webhook]).await
    })
    .await;
}

async fn take_all(fleet: &Fleet, queues: &[Queue]) -> Result<()> {
    let session = fleet.session().await?;
    for queue in queues {
        while let Some(received) = session.take(*queue).await? {
            received.ack().await?;
        }
    }
    session.close().await;
    Ok(())
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
