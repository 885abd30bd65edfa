//! Commands that fail: people are told by mail.

use std::time::Duration;

use anyhow::{Context, Result};
use rustix::process::Signal;
use serde_json::{Value, json};
use tests::fleet::{DEADLINE, Fleet, Setup, run_test_with};
use tests::mail::{MailServer, Trouble};

/// A fleet that tells these people by this server.
fn setup(server: &str, more: &str) -> Setup {
    let config =
        format!("[mail]\nserver = \"{server}\"\nto = [\"ops@example.com\", \"dev@example.org\"]\n{more}\n");
    Setup { config, webhook: false, ..Setup::default() }
}

#[tokio::test]
async fn a_command_that_fails_is_told_by_mail() -> Result<()> {
    let server = MailServer::start().await?;
    run_test_with(setup(&server.address(), ""), async |fleet: &mut Fleet| -> Result<()> {
        fleet.publish("public", r#"{"command": "echo fine"}"#).await?;
        let command = "echo from out; echo from err >&2; exit 3";
        fleet.publish("public", &json!({"command": command}).to_string()).await?;
        let mail = server.wait_for(1, DEADLINE).await?.remove(0);
        assert_eq!(
            (mail.from.as_str(), mail.to.join(",").as_str()),
            ("noreply@example.com", "ops@example.com,dev@example.org")
        );
        let subject = format!("run-queue on {}: a command failed with exit code 3", common::hostname());
        assert_eq!(mail.header("Subject"), Some(subject.as_str()));
        assert_eq!(mail.header("Auto-Submitted"), Some("auto-generated"));
        assert!(mail.header("Date").is_some() && mail.header("Message-ID").is_some() && !mail.encrypted);
        for part in [
            &format!("\n  {command}\n")[..],
            "exit code 3",
            "queue: public",
            "attempt: 1",
            "  from out\n",
            "  from err\n",
        ] {
            assert!(mail.text.contains(part), "{part}: {}", mail.text);
        }
        fleet.settle().await?;
        assert_eq!(server.mails().len(), 1, "once, and only about what failed");
        let said = fleet.worker(0)?.said();
        assert!(
            said.contains("from out\n") && said.contains("from err\n"),
            "it is in the worker's output, too"
        );
        assert!(said.contains("fine\n"));
        Ok(())
    })
    .await;
    Ok(())
}

#[tokio::test]
async fn nothing_that_a_command_says_harms_a_mail() -> Result<()> {
    let server = MailServer::start().await?;
    run_test_with(setup(&server.address(), ""), async |fleet: &mut Fleet| -> Result<()> {
        let command =
            ": \nBcc: mallory@example.com\n\nprintf 'a\\0b\\n.\\n..\\nFrom x\\n'; seq 1 200; exit 1\n\n";
        fleet.publish("public", &json!({"command": command}).to_string()).await?;
        let script = "printf 'a\\0b\\033[31m\\377\\n.\\n..\\n%05000d\\n' 7; exit 1";
        let words = ["sh", "-c", script, "\r\nTo: x"];
        fleet.publish("public", &json!({"command": words}).to_string()).await?;
        let mails = server.wait_for(2, DEADLINE).await?;
        for mail in &mails {
            assert_eq!(mail.to.len(), 2, "{mail:?}");
            assert_eq!(mail.headers.len(), 9, "{mail:?}");
        }
        let of = |part: &str| mails.iter().find(|it| it.text.contains(part)).with_context(|| part.to_owned());
        let cut = of("The last that it said")?;
        assert!(cut.text.trim_end().ends_with("  200"), "{}", cut.text);
        assert!(
            cut.text.contains("  Bcc: mallory@example.com\n") && !cut.text.contains("  100\n"),
            "{}",
            cut.text
        );
        let whole = of("It said:")?;
        assert!(whole.text.contains("  a␀b␛[31m\u{fffd}\n  .\n  ..\n  00000"), "{}", whole.text);
        assert!(whole.text.contains("\\r\\nTo: x\"]"), "{}", whole.text);
        fleet.settle().await
    })
    .await;
    Ok(())
}

#[tokio::test]
async fn a_server_in_trouble_is_asked_again_and_the_command_runs_once() -> Result<()> {
    let server = MailServer::start().await?;
    run_test_with(setup(&server.address(), ""), async |fleet: &mut Fleet| -> Result<()> {
        server.trouble(&[Trouble::Answer("RCPT", "451 4.3.0 not now"), Trouble::Close("DATA")]);
        let marker = fleet.logs_dir().join("marker");
        let command = format!("echo ran >> {}; exit 3", marker.display());
        fleet.publish("public", &json!({"command": command}).to_string()).await?;
        server.wait_for(1, DEADLINE).await?;
        fleet.settle().await?;
        assert_eq!((server.conversations(), server.mails().len()), (3, 1));
        assert_eq!(std::fs::read_to_string(marker)?, "ran\n");
        Ok(())
    })
    .await;
    Ok(())
}

#[tokio::test]
async fn a_notice_that_nobody_takes_keeps_the_task_and_no_slot() -> Result<()> {
    for (trouble, word) in [
        (Some(Trouble::Answer("RCPT", "550 5.1.1 nobody here")), "nobody here"),
        (Some(Trouble::Answer("MAIL", "451 4.3.0 not now")), "not now"),
        (Some(Trouble::Hang("EHLO")), "no answer within 1 s"),
        // Nobody listens.
        (None, "onnect"),
    ] {
        let server = MailServer::start().await?;
        let address = server.address();
        let server = trouble.map(|trouble| {
            server.trouble_always(trouble);
            server
        });
        let setup = Setup { execute: "slots = 1\n".to_owned(), ..setup(&address, "retry-seconds = 0") };
        run_test_with(setup, async |fleet: &mut Fleet| -> Result<()> {
            fleet.publish("public", r#"{"command": "exit 3"}"#).await?;
            let marker = fleet.logs_dir().join("marker");
            fleet
                .publish("public", &json!({"command": ["touch", marker.display().to_string()]}).to_string())
                .await?;
            let dead = fleet.wait_for_dead().await?;
            assert_eq!((dead.attempt, dead.queue.as_str()), (3, "public"));
            let expected =
                "out of attempts: the command failed with exit code 3, and its notice could not be sent: ";
            assert!(dead.reason.starts_with(expected) && dead.reason.contains(word), "{}", dead.reason);
            assert!(marker.exists(), "others are not kept waiting");
            fleet.settle().await
        })
        .await;
        drop(server);
    }
    Ok(())
}

#[tokio::test]
async fn a_worker_that_leaves_does_not_wait_for_a_mail_server() -> Result<()> {
    let server = MailServer::start().await?;
    server.trouble_always(Trouble::Hang("EHLO"));
    run_test_with(setup(&server.address(), ""), async |fleet: &mut Fleet| -> Result<()> {
        fleet.publish("public", r#"{"command": "exit 3"}"#).await?;
        let failed = |event: &Value| (event["message"] == "the command failed").then_some(());
        fleet.worker(0)?.wait_until("that the command failed", DEADLINE, failed).await?;
        fleet.worker(0)?.signal(Signal::TERM)?;
        fleet.worker(0)?.signal(Signal::INT)?;
        let status = fleet.worker(0)?.ended(Duration::from_secs(10)).await?;
        assert!(status.success(), "{status}");
        // It is back in its queue.
        let session = fleet.session().await?;
        let received = session.take(common::queue::Queue::Public).await?.context("the task")?;
        received.ack().await?;
        session.close().await;
        Ok(())
    })
    .await;
    Ok(())
}

#[tokio::test]
async fn mail_goes_over_tls_where_it_is_asked_for() -> Result<()> {
    let server = MailServer::start().await?;
    let ca = Value::from(server.ca()).to_string();
    let tls = format!("tls = \"starttls\"\nca = {ca}\nfrom = \"bot@example.net\"\nretry-seconds = 0");
    run_test_with(setup(&server.address(), &tls), async |fleet: &mut Fleet| -> Result<()> {
        fleet.publish("public", r#"{"command": "exit 3"}"#).await?;
        let mail = server.wait_for(1, DEADLINE).await?.remove(0);
        assert!(mail.encrypted && mail.from == "bot@example.net", "{mail:?}");
        fleet.settle().await
    })
    .await;
    // Somebody else's certificate is none.
    let other = MailServer::start().await?;
    run_test_with(setup(&other.address(), &tls), async |fleet: &mut Fleet| -> Result<()> {
        fleet.publish("public", r#"{"command": "exit 3"}"#).await?;
        let dead = fleet.wait_for_dead().await?;
        assert!(dead.reason.contains("certificate"), "{}", dead.reason);
        fleet.settle().await
    })
    .await;
    assert!(other.mails().is_empty());
    Ok(())
}

#[tokio::test]
async fn people_are_told_of_what_is_dead() -> Result<()> {
    let server = MailServer::start().await?;
    run_test_with(setup(&server.address(), ""), async |fleet: &mut Fleet| -> Result<()> {
        fleet.publish_raw("public", "garbage\r\nBcc: mallory@example.com").await?;
        let mail = server.wait_for(1, DEADLINE).await?.remove(0);
        let subject = format!("run-queue on {}: a message is dead", common::hostname());
        assert_eq!((mail.header("Subject"), mail.headers.len()), (Some(subject.as_str()), 9), "{mail:?}");
        for part in [" from public, attempt 1:\n", "not a JSON object", "publish-queue --from-dead ID"] {
            assert!(mail.text.contains(part), "{part}: {}", mail.text);
        }
        assert!(!mail.text.contains("garbage"), "what a message says stays out of mails");
        fleet.settle().await?;
        assert_eq!(fleet.take_dead().await?.len(), 1);
        Ok(())
    })
    .await;
    Ok(())
}
