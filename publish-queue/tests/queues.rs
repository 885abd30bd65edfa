//! The programs and a real broker.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail a test by panicking")]

use std::fs::{self, File};
use std::process::{Output, Stdio};
use std::time::Duration;

use common::Clock;
use common::broker::{Address, Headers, Outgoing, Session};
use common::queue::{Priority, Queue, QueueNames};
use futures_util::StreamExt;
use lapin::BasicProperties;
use lapin::message::Delivery;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicGetOptions, BasicPublishOptions, BasicQosOptions,
    ConfirmSelectOptions, QueueDeclareOptions,
};
use lapin::tcp::{OwnedIdentity, OwnedTLSConfig};
use lapin::types::FieldTable;
use lapin::{Channel, Connection, ConnectionProperties};
use serde_json::{Value, json};
use tempfile::TempDir;
use tests::broker::{Broker, VirtualHost};
use tokio::process::Command;

const PUBLISH: &str = env!("CARGO_BIN_EXE_publish-queue");
const INSPECT: &str = env!("CARGO_BIN_EXE_inspect-queue");

/// A fleet whose internal queue has the name of existing deployments.
struct Fleet {
    broker: Broker,
    vhost: VirtualHost,
    folder: TempDir,
    names: QueueNames,
}

impl Fleet {
    async fn open(name: &str) -> Self {
        let broker = Broker::open().await.unwrap();
        let vhost = broker.vhost(name).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let config = format!(
            "[broker]\namqp = {:?}\nvhost = {:?}\nsecrets-dir = \"{}\"\ninternal-queue = \"rhel\"\n",
            broker.address(),
            vhost.name(),
            broker.secrets_dir().display(),
        );
        fs::write(folder.path().join("flotilla.toml"), config).unwrap();
        Self { broker, vhost, folder, names: QueueNames::with_internal("rhel").unwrap() }
    }

    async fn run(&self, program: &str, args: &str, input: &str) -> Output {
        let file = self.folder.path().join("input");
        fs::write(&file, input).unwrap();
        let mut command = Command::new(program);
        command.arg("--config").arg(self.folder.path().join("flotilla.toml")).args(args.split_whitespace());
        command.env_remove("AMQP_SERVER").env_remove("FLOTILLA_LOG");
        command.stdin(Stdio::from(File::open(file).unwrap())).output().await.unwrap()
    }

    /// Publishes, and returns what the program says of it.
    async fn publish(&self, args: &str, body: &str) -> String {
        let output = self.run(PUBLISH, args, body).await;
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{args}: {said}");
        assert!(output.stdout.is_empty(), "scripts of existing deployments expect silence");
        said
    }

    async fn inspect(&self, args: &str) -> String {
        let output = self.run(INSPECT, args, "").await;
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{args}: {said}");
        assert_eq!(said, "");
        String::from_utf8(output.stdout).unwrap()
    }

    /// A session as our workers have it.
    async fn session(&self) -> Session {
        let broker = common::broker::Broker {
            address: self.broker.address().parse::<Address>().unwrap(),
            vhost: self.vhost.name().to_owned(),
            secrets: self.broker.secrets_dir().to_owned(),
            server_name: None,
            queues: self.names.clone(),
            clock: Clock::system(),
        };
        broker.connect("test").await.unwrap()
    }

    /// A channel as older programs have it.
    async fn older(&self) -> (Connection, Channel) {
        let secret = |name: &str| fs::read(self.broker.secrets_dir().join(name)).unwrap();
        let identity =
            OwnedIdentity::PKCS8 { pem: secret("amqp-client.pem"), key: secret("amqp-client.key") };
        let ca = String::from_utf8(secret("ca.pem")).unwrap();
        let tls = OwnedTLSConfig { identity: Some(identity), cert_chain: Some(ca) };
        let port = self.broker.address().rsplit(':').next().unwrap();
        let uri = format!("amqps://localhost:{port}/{}?auth_mechanism=external", self.vhost.name());
        let runtime = lapin::runtime::default_runtime().unwrap();
        let connecting = Connection::connect_with_config(&uri, ConnectionProperties::default(), tls, runtime);
        let connection = connecting.await.unwrap();
        let channel = connection.create_channel().await.unwrap();
        channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
        (connection, channel)
    }
}

async fn publish_older(channel: &Channel, queue: &str, body: &str, priority: Option<u8>) {
    let properties = BasicProperties::default();
    let properties = priority.map_or(properties.clone(), |it| properties.with_priority(it));
    let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
    let sent = channel.basic_publish("".into(), queue.into(), options, body.as_bytes(), properties).await;
    assert!(matches!(sent.unwrap().await.unwrap(), lapin::Confirmation::Ack(None)));
}

/// Takes all that is in a queue.
async fn take_all(channel: &Channel, queue: &str) -> Vec<Delivery> {
    let mut all = Vec::new();
    while let Some(got) = channel.basic_get(queue.into(), BasicGetOptions { no_ack: true }).await.unwrap() {
        all.push(got.delivery);
    }
    all
}

fn text(body: &[u8]) -> &str {
    std::str::from_utf8(body).unwrap()
}

#[tokio::test]
async fn a_message_is_published_as_the_wire_facts_say() {
    let fleet = Fleet::open("publish-queue-wire").await;
    let task = "{\"command\": \"true\",  \"human\": \"x\"}";
    let refused = fleet.run(PUBLISH, "-q rhel", task).await;
    let complaint = "publish-queue: queue `rhel` does not exist on this broker; --create makes it\n";
    assert_eq!((refused.status.code(), text(&refused.stderr)), (Some(2), complaint));

    fleet.publish("-q internal --create", &format!("\n {task}\t\r\n")).await;
    let said = fleet.publish("-q rhel", task).await;
    assert_eq!(fleet.publish("-q rhel --raw --log warn", "no task").await, "");
    fleet.publish("-q statistics --create", task).await;
    fleet.publish("-q webhook --create", r#"{"event": "push", "request": {}}"#).await;

    let (_connection, channel) = fleet.older().await;
    let mut arguments = FieldTable::default();
    channel.queue_declare("webhook".into(), QueueDeclareOptions::durable(), arguments.clone()).await.unwrap();
    arguments.insert("x-max-priority".into(), 9.into());
    channel.queue_declare("rhel".into(), QueueDeclareOptions::durable(), arguments.clone()).await.unwrap();
    arguments.insert("x-single-active-consumer".into(), true.into());
    channel.queue_declare("statistics".into(), QueueDeclareOptions::durable(), arguments).await.unwrap();

    let got = take_all(&channel, "rhel").await;
    assert_eq!(got.iter().map(|it| text(&it.data)).collect::<Vec<_>>(), [task, task, "no task"]);
    let properties = &got[1].properties;
    assert_eq!((*properties.priority(), *properties.delivery_mode()), (Some(9), Some(2)));
    let id = properties.message_id().clone().unwrap();
    assert!(said.contains(id.as_str()) && said.contains("rhel"), "{said}");
}

#[tokio::test]
async fn a_queue_that_others_made_otherwise_is_the_brokers_trouble() {
    let fleet = Fleet::open("publish-queue-otherwise").await;
    let (_connection, channel) = fleet.older().await;
    let none = FieldTable::default();
    channel.queue_declare("public".into(), QueueDeclareOptions::durable(), none).await.unwrap();
    let refused = fleet.run(PUBLISH, "-q public --create", r#"{"command": "true"}"#).await;
    assert_eq!(refused.status.code(), Some(3));
    let complaint = text(&refused.stderr);
    assert!(complaint.starts_with("publish-queue: could not declare the queue `public`: "), "{complaint}");
    assert!(complaint.contains("x-max-priority"), "{complaint}");
    // Without --create any queue of that name will do.
    fleet.publish("-q public", r#"{"command": "true"}"#).await;
    assert_eq!(take_all(&channel, "public").await.len(), 1);
}

#[tokio::test]
async fn queues_are_shown_as_the_wire_facts_say() {
    let fleet = Fleet::open("publish-queue-shown").await;
    let session = fleet.session().await;
    session.declare(&[Queue::Internal, Queue::Statistics, Queue::Webhook, Queue::Dead]).await.unwrap();
    let (_connection, channel) = fleet.older().await;
    publish_older(&channel, "rhel", r#"{"job": {"repo": "o/r"}, "human": "pull-1      x"}"#, Some(5)).await;
    publish_older(&channel, "rhel", "{\n  \"command\": [\"a\\n\"]\n}", Some(9)).await;
    publish_older(&channel, "webhook", r#"{"event": "e", "request": {"human": "no"}}"#, None).await;
    let shown = "public queue:\n\
                 queue public does not exist or is empty\n\
                 rhel queue:\n\
                 { \"command\": [\"a\\n\"] }\n\
                 {\"job\": {\"repo\": \"o/r\"}, \"human\": \"pull-1      x\"}\n\
                 statistics queue:\n\
                 queue statistics does not exist or is empty\n\
                 webhook queue:\n\
                 {\"event\": \"e\", \"request\": {\"human\": \"no\"}}\n";
    assert_eq!(fleet.inspect("").await, shown);
    assert_eq!(
        fleet.inspect("--human -q internal -q dead").await,
        "rhel queue:\n{ \"command\": [\"a\\n\"] }\npull-1      x\ndead queue:\nqueue dead does not exist or is empty\n"
    );

    let publisher = session.publisher().await.unwrap();
    let received = session.take(Queue::Internal).await.unwrap().unwrap();
    let id = received.headers().id.clone();
    received.bury(&publisher, "too\nbad").await.unwrap();
    fleet.publish("-q dead", "by \u{1b}[1mhand").await;
    let dead = fleet.inspect("-q dead --human").await;
    let lines: Vec<_> = dead.lines().collect();
    let (since, rest) = lines[1].split_once(", attempt").unwrap();
    assert!(since.starts_with(&format!("[{id} from rhel, since 20")), "{dead}");
    assert_eq!((lines[0], rest), ("dead queue:", " 1: too bad] { \"command\": [\"a\\n\"] }"));
    assert!(lines[2].ends_with(", attempt 1: no reason given] by \\u001b[1mhand"), "{dead}");
    let dead = fleet.inspect("-q dead").await;
    let json: Vec<Value> = dead.lines().skip(1).map(|it| serde_json::from_str(it).unwrap()).collect();
    assert_eq!(json[0]["message"], json!({"command": ["a\n"]}));
    let story = |name: &str| json[0][name].clone();
    assert_eq!(
        [story("id"), story("queue"), story("reason"), story("attempts"), story("history")],
        [json!(id.as_str()), json!("rhel"), json!("too\nbad"), json!(1), json!([])]
    );
    assert!(story("buried").as_str().unwrap().ends_with('Z'));
    assert_eq!((&json[1]["message"], &json[1]["reason"]), (&json!("by \u{1b}[1mhand"), &Value::Null));
}

#[tokio::test]
async fn looking_changes_nothing_but_the_redelivered_flag() {
    let fleet = Fleet::open("publish-queue-law-6").await;
    let session = fleet.session().await;
    let (_connection, channel) = fleet.older().await;
    let publisher = session.publisher().await.unwrap();
    session.declare(&[Queue::Public, Queue::Statistics]).await.unwrap();
    for queue in [Queue::Public, Queue::Statistics] {
        for (number, priority) in [5, 9, 0, 5, 9, 5].into_iter().enumerate() {
            let body = format!("{number}").into();
            let priority = Some(Priority::from_wire(priority));
            publisher.publish(&Outgoing { queue, body, priority, headers: Headers::fresh() }).await.unwrap();
        }
        publish_older(&channel, queue.name(), "6", None).await;
    }
    let shown = fleet.inspect("-q public -q statistics").await;
    let order = ["1", "4", "0", "3", "5", "2", "6"];
    let lines = order.join("\n");
    assert_eq!(shown, format!("public queue:\n{lines}\nstatistics queue:\n{lines}\n"));
    assert_eq!(fleet.inspect("-q public -q statistics").await, shown);
    for queue in ["public", "statistics"] {
        let got = take_all(&channel, queue).await;
        assert_eq!(got.iter().map(|it| text(&it.data)).collect::<Vec<_>>(), order);
        assert!(got.iter().all(|it| it.redelivered));
        let priorities: Vec<_> = got.iter().map(|it| *it.properties.priority()).collect();
        assert_eq!(priorities, [Some(9), Some(9), Some(5), Some(5), Some(5), Some(0), None]);
        assert!(got[..6].iter().all(|it| *it.properties.delivery_mode() == Some(2)));
    }
}

#[tokio::test]
async fn who_looks_while_others_work_takes_nothing_from_them() {
    const TASKS: usize = 300;
    let fleet = Fleet::open("publish-queue-beside").await;
    let session = fleet.session().await;
    session.declare(&[Queue::Statistics]).await.unwrap();
    let (_connection, channel) = fleet.older().await;
    for number in 0..TASKS {
        publish_older(&channel, "statistics", &number.to_string(), Some(9)).await;
    }
    channel.basic_qos(1, BasicQosOptions::default()).await.unwrap();
    let options = BasicConsumeOptions::default();
    let consume = channel.basic_consume("statistics".into(), "".into(), options, FieldTable::default());
    let mut consumer = consume.await.unwrap();
    let work = async {
        let mut done: Vec<usize> = Vec::new();
        while done.len() < TASKS {
            let delivery = tokio::time::timeout(Duration::from_secs(20), consumer.next()).await;
            let delivery = delivery.unwrap().unwrap().unwrap();
            done.push(text(&delivery.data).parse().unwrap());
            tokio::time::sleep(Duration::from_millis(2)).await;
            delivery.ack(BasicAckOptions::default()).await.unwrap();
        }
        done
    };
    let looks = async {
        let mut most = 0;
        for _ in 0..4 {
            most = most.max(fleet.inspect("-q statistics").await.lines().count());
        }
        most
    };
    let (mut done, most) = tokio::join!(work, looks);
    assert!(most > 2, "the looks saw nothing of the work");
    done.sort_unstable();
    assert_eq!(done, (0..TASKS).collect::<Vec<_>>());
    let empty = "statistics queue:\nqueue statistics does not exist or is empty\n";
    assert_eq!(fleet.inspect("-q statistics").await, empty);
}

#[tokio::test]
async fn who_has_seen_enough_may_go() {
    let fleet = Fleet::open("publish-queue-head").await;
    for _ in 0..8 {
        fleet.publish("-q dead --create", &"x".repeat(300_000)).await;
    }
    let mut command = Command::new(INSPECT);
    command.arg("--config").arg(fleet.folder.path().join("flotilla.toml")).args(["-q", "dead"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().await.unwrap();
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), ""));
    assert_eq!(fleet.inspect("-q dead").await.lines().count(), 9);
}
