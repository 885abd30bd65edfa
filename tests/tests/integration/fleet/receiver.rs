//! The receiver as a forge sees it.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use common::queue::Queue;
use reqwest::StatusCode;
use rustix::process::Signal;
use serde_json::Value;
use tests::broker::Restart;
use tests::fleet::{Fleet, Setup, run_test_with};
use tests::forge::{Delivery, sign, sign_sha1};
use tests::secrets::WEBHOOK_TOKEN;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::with_own_broker;

const OPENED: &str = include_str!("../../../payloads/pull_request.opened.json");
const ISSUE: &str = include_str!("../../../payloads/issues.opened.json");

fn receiver_only() -> Setup {
    Setup { worker: false, ..Setup::default() }
}

struct Answer {
    status: StatusCode,
    text: String,
}

/// Posts a body with these headers, as anybody on the network can.
async fn post(fleet: &mut Fleet, headers: &[(&str, &str)], body: impl Into<reqwest::Body>) -> Result<Answer> {
    let url = format!("http://{}/", fleet.webhook_address().await?);
    let mut request = reqwest::Client::builder().build()?.post(url).body(body);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let answer = request.send().await?;
    Ok(Answer { status: answer.status(), text: answer.text().await? })
}

async fn post_signed(fleet: &mut Fleet, event: &str, body: &str) -> Result<Answer> {
    let signature = sign(WEBHOOK_TOKEN, body.as_bytes());
    let headers = [("x-github-event", event), ("x-hub-signature-256", signature.as_str())];
    post(fleet, &headers, body.to_owned()).await
}

/// Takes everything out of the queue `webhook`.
async fn take_events(fleet: &Fleet) -> Result<Vec<String>> {
    let session = fleet.session().await?;
    let mut events = Vec::new();
    while let Some(received) = session.take(Queue::Webhook).await? {
        events.push(String::from_utf8_lossy(received.body()).into_owned());
        received.ack().await?;
    }
    session.close().await;
    Ok(events)
}

#[tokio::test]
async fn real_events_are_answered_as_the_table_says() {
    run_test_with(receiver_only(), async |fleet: &mut Fleet| -> Result<()> {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/payloads");
        for (file, status, queued) in [
            ("ping", 200, 0),
            ("pull_request.opened", 200, 1),
            ("pull_request.synchronize", 200, 1),
            ("pull_request.reopened", 200, 1),
            ("pull_request.labeled", 200, 1),
            ("pull_request.closed", 200, 0),
            ("issues.opened", 200, 1),
            ("push", 501, 0),
            ("status", 200, 0),
        ] {
            let body = std::fs::read_to_string(format!("{folder}/{file}.json"))?;
            let event = file.split('.').next().context("an event")?;
            let answer = post_signed(fleet, event, &body).await?;
            assert_eq!(answer.status, status, "{file}: {}", answer.text);
            let events = take_events(fleet).await?;
            assert_eq!(events.len(), queued, "{file}");
            if queued == 1 {
                assert_eq!(
                    events[0],
                    format!(r#"{{"event":"{event}","request":{body}}}"#),
                    "bytes as they came"
                );
            }
        }
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn merged_pulls_and_direct_triggers_are_queued() {
    run_test_with(receiver_only(), async |fleet: &mut Fleet| -> Result<()> {
        let merged = r#"{"action":"closed","pull_request":{"merged":true}}"#;
        let trigger = r#"{"state":"pending","description":"Not yet tested (direct trigger)"}"#;
        for (event, body) in [("pull_request", merged), ("status", trigger)] {
            assert_eq!(post_signed(fleet, event, body).await?.status, 200);
            assert_eq!(take_events(fleet).await?.len(), 1, "{event}");
        }
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn what_nobody_signed_is_refused_and_told_nothing() {
    run_test_with(receiver_only(), async |fleet: &mut Fleet| -> Result<()> {
        let right = sign(WEBHOOK_TOKEN, OPENED.as_bytes());
        let wrong = sign("another secret", OPENED.as_bytes());
        let cases: [&[(&str, &str)]; 5] = [
            &[("x-github-event", "pull_request")],
            &[("x-github-event", "pull_request"), ("x-hub-signature-256", &wrong)],
            &[("x-github-event", "pull_request"), ("x-hub-signature-256", "sha256=")],
            &[("x-github-event", "ping")],
            &[("x-github-event", "push"), ("x-hub-signature-256", &wrong)],
        ];
        for headers in cases {
            let answer = post(fleet, headers, OPENED).await?;
            assert_eq!((answer.status, answer.text.as_str()), (StatusCode::FORBIDDEN, "forbidden\n"));
        }
        // The right signature of another body.
        let headers = [("x-github-event", "pull_request"), ("x-hub-signature-256", right.as_str())];
        assert_eq!(post(fleet, &headers, ISSUE).await?.status, 403);
        assert!(take_events(fleet).await?.is_empty());
        let said = fleet.webhook()?.said();
        assert!(
            !said.contains(WEBHOOK_TOKEN) && !said.contains(&right),
            "secrets and signatures stay out of logs"
        );
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn what_cannot_be_understood_is_a_bad_request() {
    run_test_with(receiver_only(), async |fleet: &mut Fleet| -> Result<()> {
        for (event, body) in [
            ("pull_request", ""),
            ("pull_request", "payload=%7B%7D"),
            ("pull_request", "{\"action\": \"opened\""),
            ("pull_request", "{}"),
            ("issues", "[]"),
            ("status", "{\"state\": 5}"),
            ("", OPENED),
        ] {
            let answer = post_signed(fleet, event, body).await?;
            assert_eq!(answer.status, 400, "{event}: {body:.40}");
        }
        let deep = format!(r#"{{"action": "opened", "x": {}{}}}"#, "[".repeat(10_000), "]".repeat(10_000));
        assert_eq!(post_signed(fleet, "issues", &deep).await?.status, 200);
        assert_eq!(take_events(fleet).await?.len(), 1);
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn the_largest_event_is_taken_and_a_larger_one_is_not() {
    run_test_with(receiver_only(), async |fleet: &mut Fleet| -> Result<()> {
        let filled = |size: usize| {
            let frame = r#"{"action":"opened","x":""}"#;
            format!(r#"{{"action":"opened","x":"{}"}}"#, "y".repeat(size - frame.len()))
        };
        let largest = filled(25 * 1024 * 1024);
        assert_eq!(post_signed(fleet, "issues", &largest).await?.status, 200);
        assert_eq!(
            take_events(fleet).await?[0].len(),
            largest.len() + r#"{"event":"issues","request":}"#.len()
        );
        let larger = filled(25 * 1024 * 1024 + 1);
        assert_eq!(post_signed(fleet, "issues", &larger).await?.status, 413, "announced");
        let chunks = larger
            .into_bytes()
            .chunks(65_536)
            .map(|it| Ok::<_, std::io::Error>(it.to_vec()))
            .collect::<Vec<_>>();
        let body = reqwest::Body::wrap_stream(futures_util::stream::iter(chunks));
        assert_eq!(post(fleet, &[("x-github-event", "issues")], body).await?.status, 413, "not announced");
        assert!(take_events(fleet).await?.is_empty());
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn slow_clients_hold_nobody_up() {
    run_test_with(receiver_only(), async |fleet: &mut Fleet| -> Result<()> {
        let address = fleet.webhook_address().await?;
        let mut slow = Vec::new();
        for begun in [
            "",
            "POST / HTTP/1.1\r\nHost: x\r\n",
            "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{",
        ] {
            for _ in 0..50 {
                let mut client = TcpStream::connect(&address).await?;
                client.write_all(begun.as_bytes()).await?;
                slow.push(client);
            }
        }
        let begun = Instant::now();
        assert_eq!(post_signed(fleet, "pull_request", OPENED).await?.status, 200);
        assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
        assert_eq!(take_events(fleet).await?.len(), 1);
        drop(slow);
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn sha1_alone_counts_where_a_setting_says_so() {
    let setup = Setup { receiver: "accept-sha1 = true".to_owned(), ..receiver_only() };
    run_test_with(setup, async |fleet: &mut Fleet| -> Result<()> {
        for (secret, status) in [(WEBHOOK_TOKEN, 200), ("another secret", 403)] {
            let signature = sign_sha1(secret, b"{}");
            let headers = [("x-github-event", "ping"), ("x-hub-signature", signature.as_str())];
            assert_eq!(post(fleet, &headers, "{}").await?.status, status);
        }
        Ok(())
    })
    .await;
    run_test_with(receiver_only(), async |fleet: &mut Fleet| -> Result<()> {
        let signature = sign_sha1(WEBHOOK_TOKEN, b"{}");
        let headers = [("x-github-event", "ping"), ("x-hub-signature", signature.as_str())];
        assert_eq!(post(fleet, &headers, "{}").await?.status, 403, "by default it does not");
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn operators_see_what_happens() {
    run_test_with(receiver_only(), async |fleet: &mut Fleet| -> Result<()> {
        post_signed(fleet, "issues", ISSUE).await?;
        post(fleet, &[], "x").await?;
        let address = fleet.webhook()?.listening("operator endpoints").await?;
        let get = async |path: &str| reqwest::get(format!("http://{address}{path}")).await;
        assert_eq!(get("/healthz").await?.status(), 200);
        assert_eq!(get("/readyz").await?.status(), 200);
        let metrics = get("/metrics").await?.text().await?;
        for line in [
            "flotilla_webhook_deliveries_total{answer=\"Queued\"} 1",
            "flotilla_webhook_deliveries_total{answer=\"Forbidden\"} 1",
            "flotilla_webhook_confirm_seconds_count 1",
        ] {
            assert!(metrics.contains(line), "{line} in\n{metrics}");
        }
        let url = format!("http://{}/", fleet.webhook_address().await?);
        assert_eq!(reqwest::get(url).await?.status(), 405, "events are posted");
        assert_eq!(take_events(fleet).await?.len(), 1);
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn the_delivery_id_is_the_thread_through_log_and_message() {
    run_test_with(receiver_only(), async |fleet: &mut Fleet| -> Result<()> {
        let delivery = Delivery::new("issues", ISSUE)?;
        fleet.deliver_ok(&delivery).await?;
        let queued = |event: &Value| (event["message"] == "queued").then(|| event.clone());
        let logged = fleet.webhook()?.wait_until("queued", Duration::from_secs(5), queued).await?;
        assert_eq!(logged["delivery.id"], delivery.id.as_str());
        let session = fleet.session().await?;
        let received = session.take(Queue::Webhook).await?.context("an event")?;
        assert_eq!(received.headers().delivery.as_ref(), Some(&delivery.id));
        assert_eq!(logged["trace.id"], received.headers().trace.id());
        received.ack().await?;
        session.close().await;
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn an_accepted_event_outlives_the_brokers_death() {
    with_own_broker(receiver_only(), async |fleet: &mut Fleet| -> Result<()> {
        // The queue has been there for a while.
        fleet.broker.sync().await?;
        for _ in 0..20 {
            assert_eq!(post_signed(fleet, "issues", ISSUE).await?.status, 200);
        }
        fleet.broker.kill()?;
        fleet.broker.restart(Restart::Hard).await?;
        assert_eq!(take_events(fleet).await?.len(), 20);
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn without_a_confirm_the_sender_is_told_to_try_again() {
    let setup = Setup { receiver: "confirm-seconds = 1.0".to_owned(), ..receiver_only() };
    with_own_broker(setup, async |fleet: &mut Fleet| -> Result<()> {
        fleet.broker.kill()?;
        let begun = Instant::now();
        assert_eq!(post_signed(fleet, "issues", ISSUE).await?.status, 503);
        assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
        let operators = fleet.webhook()?.listening("operator endpoints").await?;
        assert_eq!(reqwest::get(format!("http://{operators}/readyz")).await?.status(), 503);
        assert_eq!(reqwest::get(format!("http://{operators}/healthz")).await?.status(), 200);
        fleet.broker.restart(Restart::Hard).await?;
        let end = Instant::now() + tests::fleet::DEADLINE;
        while post_signed(fleet, "issues", ISSUE).await?.status != 200 {
            assert!(Instant::now() < end, "the receiver does not come back");
        }
        assert!(!take_events(fleet).await?.is_empty());
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn a_request_that_has_begun_is_answered_before_the_end() {
    run_test_with(receiver_only(), async |fleet: &mut Fleet| -> Result<()> {
        let mut client = TcpStream::connect(fleet.webhook_address().await?).await?;
        let signature = sign(WEBHOOK_TOKEN, ISSUE.as_bytes());
        let head = format!(
            "POST / HTTP/1.1\r\nHost: x\r\nX-GitHub-Event: issues\r\nX-Hub-Signature-256: {signature}\r\nExpect: 100-continue\r\nContent-Length: {}\r\n\r\n",
            ISSUE.len()
        );
        client.write_all(head.as_bytes()).await?;
        // The receiver says so when it wants the body: the request has begun.
        let mut go_on = [0; b"HTTP/1.1 100 Continue\r\n\r\n".len()];
        client.read_exact(&mut go_on).await?;
        client.write_all(&ISSUE.as_bytes()[..100]).await?;
        fleet.webhook()?.signal(Signal::TERM)?;
        let asked = |event: &Value| (event["message"] == "asked to end").then_some(());
        fleet.webhook()?.wait_until("asked to end", Duration::from_secs(5), asked).await?;
        client.write_all(&ISSUE.as_bytes()[100..]).await?;
        let mut answer = String::new();
        client.read_to_string(&mut answer).await?;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert_eq!(take_events(fleet).await?.len(), 1);
        Ok(())
    })
    .await;
}
