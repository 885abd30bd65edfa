//! The environment of tests does what it promises: each part is used once as the tests use it.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use lapin::options::{BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Confirmation, Connection, ConnectionProperties};
use tests::broker::{Broker, Identity, Options, Plain, Restart, TlsVersions};
use tests::engine::Engine;
use tests::git::{File, GitServer, pull_head};
use tests::{group, settings};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

const TIMEOUT: Duration = Duration::from_secs(20);

async fn channel(broker: &Broker, vhost: &str) -> Channel {
    let connection = broker.connect(vhost, Identity::Client).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
    channel
}

async fn declare(channel: &Channel, queue: &str) {
    let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    channel.queue_declare(queue.into(), options, FieldTable::default()).await.unwrap();
}

async fn count(channel: &Channel, queue: &str) -> lapin::Result<u32> {
    let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
    let queue = channel.queue_declare(queue.into(), options, FieldTable::default()).await?;
    Ok(queue.message_count())
}

async fn publish(channel: &Channel, queue: &str) {
    let persistent = BasicProperties::default().with_delivery_mode(2);
    let options = BasicPublishOptions::default();
    let confirm = channel.basic_publish("".into(), queue.into(), options, b"hello", persistent).await;
    assert_eq!(confirm.unwrap().await.unwrap(), Confirmation::Ack(None));
}

#[tokio::test]
async fn the_certificate_is_the_key_to_the_broker() {
    let broker = Broker::open().await.unwrap();
    let vhost = broker.vhost("environment-certificate").await.unwrap();
    let channel = channel(&broker, vhost.name()).await;
    declare(&channel, "webhook").await;
    publish(&channel, "webhook").await;
    assert_eq!(count(&channel, "webhook").await.unwrap(), 1);
    assert_eq!(broker.queues(vhost.name()).await.unwrap(), ["webhook"]);
    broker.connect(vhost.name(), Identity::None).await.unwrap_err();
    vhost.remove().await.unwrap();
    broker.connect("environment-certificate", Identity::Client).await.unwrap_err();
}

#[tokio::test]
async fn virtual_hosts_are_apart_and_go_on_drop() {
    let broker = Broker::open().await.unwrap();
    let one = broker.vhost("environment-one").await.unwrap();
    let two = broker.vhost("environment-two").await.unwrap();
    let (first, second) = (channel(&broker, one.name()).await, channel(&broker, two.name()).await);
    declare(&first, "public").await;
    count(&second, "public").await.unwrap_err();
    drop((one, two));
    let left = broker.vhosts().await.unwrap();
    assert!(!left.iter().any(|name| name == "environment-one" || name == "environment-two"), "{left:?}");
}

#[tokio::test]
async fn a_restart_keeps_durable_queues() {
    let options = Options { plain: Plain::On, tls: TlsVersions::Only12, ..Options::default() };
    let mut broker = Broker::private(&options).await.unwrap();
    let before = channel(&broker, "/").await;
    declare(&before, "webhook").await;
    publish(&before, "webhook").await;
    broker.sync().await.unwrap();
    broker.kill().unwrap();
    for restart in [Restart::Hard, Restart::Orderly] {
        broker.restart(restart).await.unwrap();
        assert_eq!(count(&channel(&broker, "/").await, "webhook").await.unwrap(), 1);
    }
    let plain = format!("amqp://guest:guest@127.0.0.1:{}", broker.plain_port().unwrap());
    Connection::connect(&plain, ConnectionProperties::default()).await.unwrap();
}

#[tokio::test]
async fn nothing_is_left_of_a_broker() {
    let broker = Broker::private(&Options::default()).await.unwrap();
    let (group, folder) = (broker.group().unwrap(), broker.folder().unwrap().to_owned());
    assert!(!group::members(group).is_empty());
    assert!(Path::new(&folder).exists());
    drop(broker);
    assert_eq!(group::members(group), Vec::<i32>::new());
    assert!(!Path::new(&folder).exists());
}

#[tokio::test]
async fn a_broker_that_does_not_start_says_why() {
    let options = Options { settings: vec!["no.such.setting = 1".to_owned()], ..Options::default() };
    let error = Broker::private(&options).await.err().unwrap();
    assert!(format!("{error:#}").contains("no.such.setting"), "{error:#}");
}

#[tokio::test]
async fn a_container_clones_fetches_and_rebases() {
    let (engine, server) = tokio::try_join!(Engine::open(), GitServer::start()).unwrap();
    let script = File::new(".cockpit-ci/run", "#!/bin/sh\ncat README; exit 42\n").executable();
    server.create("octo/app", &[script, File::new("README", "one\n")]).await.unwrap();
    let head = server.push_pull("octo/app", 1, "main", &[File::new("fix", "fixed\n")]).await.unwrap();
    server.commit("octo/app", "main", "Go on", &[File::new("README", "two\n")]).await.unwrap();
    // No reference names it any more: a worker may come late.
    server.push_pull("octo/app", 1, "main", &[File::new("fix", "better\n")]).await.unwrap();
    let script = format!(
        "set -e; uname -a; test -e /run/.containerenv; git clone -q {}/octo/app checkout; cd checkout; \
         git fetch -q origin {head}; git checkout -q --detach {head}; git -c user.name=n -c user.email=e@x rebase -q origin/main; \
         git log --format=%s origin/main..; cat fix; exec .cockpit-ci/run",
        server.url()
    );
    let mut run = engine.podman();
    run.args(["run", "--rm", "--init"]).args(engine.run_args()).args([engine.image(), "sh", "-c", &script]);
    let output = run.output().await.unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(42), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.starts_with("Linux "), "{text}");
    assert!(text.ends_with("\nPull 1\nfixed\ntwo\n"), "{text}");
    assert_eq!(engine.containers().await.unwrap(), []);
}

#[tokio::test]
async fn containers_of_a_test_are_known_by_their_label() {
    let engine = Engine::open().await.unwrap();
    let other = Engine::open().await.unwrap();
    let mut run = engine.podman();
    run.args(["run", "--detach"]).args(engine.run_args()).args([engine.image(), "sleep", "60"]);
    let output = run.output().await.unwrap();
    let id = String::from_utf8(output.stdout).unwrap();
    assert_eq!(other.containers().await.unwrap(), []);
    let removed = engine.remove_containers().await.unwrap();
    assert_eq!(removed.iter().map(|it| it.id.as_str()).collect::<Vec<_>>(), [id.trim()]);
    assert_eq!(engine.containers().await.unwrap(), []);
}

#[tokio::test]
async fn a_repository_can_be_read_back() {
    let server = GitServer::start().await.unwrap();
    let start = server.create("octo/app", &[File::new("a", "one"), File::new("d/b", [0, 1])]).await.unwrap();
    let next = server.commit("octo/app", "main", "Next", &[File::new("a", "two")]).await.unwrap();
    let pull = server.push_pull("octo/app", 7, &start, &[File::new("a", "three")]).await.unwrap();
    let more = server.extend_pull("octo/app", 7, &[File::new("c", "")]).await.unwrap();
    let read = async |at: &str, path: &str| server.read("octo/app", at, path).await.unwrap();
    assert_eq!(read("main", "a").await.unwrap(), b"two");
    assert_eq!(read(&start, "d/b").await.unwrap(), [0, 1]);
    assert_eq!(read(&pull_head(7), "a").await.unwrap(), b"three");
    assert_eq!(read(&pull, "c").await, None);
    assert_eq!(read(&pull, "d").await, None);
    assert_eq!(server.resolve("octo/app", "main").await.unwrap(), next);
    assert_eq!(server.resolve("octo/app", &pull_head(7)).await.unwrap(), more);
    server.branch("octo/app", "old", &start).await.unwrap();
    assert_eq!(read("old", "a").await.unwrap(), b"one");
    server.resolve("octo/app", "nowhere").await.unwrap_err();
}

fn with_services(script: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_with-services"));
    // Its own services, also where the tests themselves run under it.
    for name in [settings::BROKER, settings::IMAGE, settings::RUN, settings::CONTAINERS_CONF] {
        command.env_remove(name);
    }
    command.args(["--", "sh", "-c", script]).kill_on_drop(true);
    command
}

#[tokio::test]
async fn with_services_passes_the_exit_code_on() {
    let script = "test -f $FLOTILLA_TEST_SECRETS_DIR/ca.pem && podman run --rm --network=host \
                  --pull=never $FLOTILLA_TEST_IMAGE sh -c 'exit 3'";
    let output = with_services(script).output().await.unwrap();
    assert_eq!(output.status.code(), Some(3), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

#[tokio::test]
async fn with_services_names_what_is_left_over() {
    let script = "curl -sSf -X PUT $FLOTILLA_TEST_BROKER_API/api/vhosts/forgotten; \
                  podman run -d --name=flotilla-test-forgotten --network=host --label=flotilla.test=$FLOTILLA_TEST_RUN/1 \
                  $FLOTILLA_TEST_IMAGE sleep 600; sleep 600 >/dev/null 2>&1 &";
    let output = with_services(script).output().await.unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{text}");
    for left in ["container flotilla-test-forgotten\n", "(sleep 600)\n", "virtual host forgotten\n"] {
        assert!(text.contains(left), "{text}");
    }
}

#[tokio::test]
async fn a_killed_run_leaves_no_broker() {
    let mut run = with_services("echo $FLOTILLA_TEST_SECRETS_DIR; read -r until_the_end_of_the_test");
    // podman's settings are nothing that runs; they go with the test.
    let temporary = tempfile::tempdir().unwrap();
    run.env("TMPDIR", temporary.path());
    let mut run = run.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut secrets = String::new();
    BufReader::new(run.stdout.take().unwrap()).read_line(&mut secrets).await.unwrap();
    let folder = Path::new(secrets.trim()).parent().unwrap();
    assert!(folder.exists());
    run.start_kill().unwrap();
    // The watchdog removes the folder when the broker's processes are killed.
    let gone = async {
        while folder.exists() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(TIMEOUT, gone).await.unwrap();
}
