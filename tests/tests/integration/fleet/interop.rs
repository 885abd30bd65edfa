//! Programs of an existing deployment on the same broker, with the same certificates: `interop/old_client.py` does what they do,
//! and the internal queue has the name that they give it.

use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use common::forge::StatusState;
use serde_json::{Value, json};
use tests::fleet::{DEADLINE, Fleet, Pull, Setup, run_test_with};
use tests::settings;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use super::{change, repo};

/// A program of an existing deployment.
struct Older {
    python: String,
    connection: Vec<String>,
}

impl Older {
    /// None, and a word about it, where nobody has said which python has pika.
    fn find(fleet: &Fleet) -> Option<Self> {
        let python = settings::get(settings::PYTHON);
        if python.is_none() {
            eprintln!(
                "skipped: {} is not set; tests/interop/python.sh prints a value for it",
                settings::PYTHON
            );
        }
        let secrets = fleet.broker.secrets_dir().display().to_string();
        let connection = vec![fleet.broker.address().to_owned(), fleet.vhost().to_owned(), secrets];
        Some(Self { python: python?, connection })
    }

    async fn declare(&self) -> Result<()> {
        self.run(&["declare"], "").await.map(drop)
    }

    /// As a webhook of theirs does.
    async fn publish_event(&self, event: &str, payload: &str) -> Result<()> {
        let body = json!({"event": event, "request": serde_json::from_str::<Value>(payload)?});
        self.run(&["publish", "webhook"], &body.to_string()).await.map(drop)
    }

    /// As a scanner or an operator of theirs does.
    async fn publish_task(&self, queue: &str, priority: u8, body: &Value) -> Result<()> {
        self.run(&["publish", queue, &priority.to_string()], &format!("\n{body}\n")).await.map(drop)
    }

    /// As a worker of theirs does: one message, if there is one, and it is acknowledged at the end.
    async fn take(&self, queue: &str) -> Result<Value> {
        Ok(self.run(&["take", queue], "").await?.pop().unwrap_or_default())
    }

    /// The same by a worker that dies before the end.
    async fn take_and_die(&self, queue: &str) -> Result<Value> {
        Ok(self.run(&["take", queue, "leave"], "").await?.pop().unwrap_or_default())
    }

    async fn inspect(&self) -> Result<Vec<Value>> {
        self.run(&["inspect"], "").await
    }

    async fn run(&self, words: &[&str], input: &str) -> Result<Vec<Value>> {
        let mut child = Command::new(&self.python)
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/interop/old_client.py"))
            .args(&self.connection)
            .args(words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("{}={}", settings::PYTHON, self.python))?;
        child.stdin.take().context("stdin")?.write_all(input.as_bytes()).await?;
        let output = tokio::time::timeout(DEADLINE, child.wait_with_output()).await??;
        let complaint = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "old_client.py {words:?}: {complaint}");
        let lines = String::from_utf8(output.stdout)?;
        lines.lines().map(|it| Ok(serde_json::from_str(it)?)).collect()
    }
}

fn no_programs() -> Setup {
    let scan = "allow-list = [\"alice\"]\n\
                [scan.test-map.\"octo/app\"]\nmain = [\"debian\", \"debian/devel\", \"rhel-9\"]\n";
    Setup { webhook: false, worker: false, internal_queue: "rhel", scan: scan.to_owned(), ..Setup::default() }
}

/// What a scanner of theirs makes of a context: what there is nothing to say about is null.
fn job_of_theirs(pull: &Pull, context: &str) -> Value {
    let Pull { repo, number, sha } = pull;
    json!({
        "job": {
            "repo": repo, "sha": sha, "context": context, "pull": number, "report": null, "command_subject": null,
            "slug": format!("pull-{number}-{}-20240102-030405-{context}", sha.short(8)),
            "env": {"TEST_OS": context, "TEST_REVISION": sha, "COCKPIT_BOTS_REF": "main", "BASE_BRANCH": "main"},
            "secrets": ["github-token", "image-download"],
        },
        "human": format!("pull-{number}      {context}"),
    })
}

#[tokio::test]
async fn what_older_programs_publish_is_done() {
    run_test_with(no_programs(), async |fleet: &mut Fleet| -> Result<()> {
        let Some(older) = Older::find(fleet) else { return Ok(()) };
        older.declare().await?;
        let repo = repo(fleet, "echo on $TEST_OS").await?;
        let (pull, opened) = fleet.draft_pull("alice", &repo, &change()).await?;
        let marker = fleet.logs_dir().join("marker");
        let command = json!({"command": format!("echo é > {}", marker.display())});
        older.publish_task("rhel", 5, &job_of_theirs(&pull, "rhel-8")).await?;
        older.publish_task("rhel", 9, &command).await?;
        older.publish_task("statistics", 9, &json!({"command": ["true"]})).await?;
        older.publish_event(opened.event.as_str(), &opened.payload).await?;

        let shown = fleet.inspect(&["--human", "-q", "public", "-q", "rhel", "-q", "statistics"]).await?;
        let expected = format!(
            "public queue:\nqueue public does not exist or is empty\n\
             rhel queue:\n{command}\npull-1      rhel-8\n\
             statistics queue:\n{{\"command\":[\"true\"]}}\n"
        );
        assert_eq!(shown, expected);
        let events = fleet.inspect(&["-q", "webhook"]).await?;
        assert!(events.starts_with("webhook queue:\n{\"event\":\"pull_request\""), "{events}");

        fleet.start_worker(&[]).await?;
        for context in ["debian", "debian/devel", "rhel-8", "rhel-9"] {
            let status = fleet.wait_for(&pull, context, StatusState::Success).await?;
            let image = context.split('/').next().unwrap_or_default();
            assert!(fleet.log_text(&status).await?.contains(&format!("on {image}\n")));
        }
        fleet.settle().await?;
        assert_eq!(std::fs::read_to_string(marker)?, "é\n");
        older.declare().await
    })
    .await;
}

#[tokio::test]
async fn what_we_publish_is_taken_by_older_programs() {
    run_test_with(no_programs(), async |fleet: &mut Fleet| -> Result<()> {
        let Some(older) = Older::find(fleet) else { return Ok(()) };
        fleet.start_webhook().await?;
        let repo = repo(fleet, "true").await?;
        let (pull, opened) = fleet.draft_pull("alice", &repo, &change()).await?;
        fleet.deliver_ok(&opened).await?;
        let event = older.take_and_die("webhook").await?;
        let expected = json!({
            "queue": "webhook", "priority": null, "delivery_mode": 2, "content_type": "application/json",
            "body": {"event": "pull_request", "request": serde_json::from_str::<Value>(&opened.payload)?},
        });
        assert_eq!(event, expected);

        // It is there again, for a scanner of ours.
        let scanned = fleet.run_program("run-queue", &["scan", "--once"], "").await?;
        assert_eq!(scanned.code, Some(0), "{}", scanned.err);
        fleet.publish("statistics", r#"{"command": "true"}"#).await?;
        let seen = older.inspect().await?;
        let queues: Vec<_> = seen.iter().filter_map(|it| it["queue"].as_str()).collect();
        assert_eq!(queues, ["public", "public", "rhel", "statistics"]);

        for (queue, priority, context, scenario) in [
            ("public", 9, "debian/devel", json!("devel")),
            ("public", 5, "debian", Value::Null),
            ("rhel", 5, "rhel-9", Value::Null),
        ] {
            let taken = older.take(queue).await?;
            assert_eq!((&taken["priority"], &taken["delivery_mode"]), (&json!(priority), &json!(2)));
            let job = &taken["body"]["job"];
            assert_eq!((&job["context"], &job["env"]["TEST_SCENARIO"]), (&json!(context), &scenario));
            assert_eq!((&job["sha"], &job["pull"]), (&json!(pull.sha), &json!(1)));
            let short = pull.sha.short(7);
            let human = format!("pull-1      {context:25} {short:10}   (octo/app) [bots@main]   {{main}}");
            assert_eq!(taken["body"]["human"], json!(human));
        }
        assert_eq!(older.take("statistics").await?["body"], json!({"command": "true"}));
        assert_eq!(older.take("statistics").await?, Value::Null);
        Ok(())
    })
    .await;
}
