//! The programs as people run them, without a broker: what is refused is refused before a socket is opened.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail a test by panicking")]

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

const PUBLISH: &str = env!("CARGO_BIN_EXE_publish-queue");
const INSPECT: &str = env!("CARGO_BIN_EXE_inspect-queue");
/// Wrong usage or configuration, or refused.
const USAGE: i32 = 2;
/// What a connection that nobody listens to ends with.
const BROKER: i32 = 3;

/// A configuration that is right, with a broker that is not there.
struct Site(TempDir);

impl Site {
    fn new() -> Self {
        let site = Self(tempfile::tempdir().unwrap());
        for name in ["ca.pem", "amqp-client.pem", "amqp-client.key"] {
            site.write(name, b"");
        }
        site.write(
            "flotilla.toml",
            b"[broker]\ninternal-queue = \"rhel\"\nsecrets-dir = \".\"\namqp = \"localhost:9\"\n",
        );
        site
    }

    fn write(&self, name: &str, text: &[u8]) -> PathBuf {
        let path = self.0.path().join(name);
        fs::write(&path, text).unwrap();
        path
    }

    fn run(&self, program: &str, args: &str, input: &[u8]) -> Output {
        let input = File::open(self.write("input", input)).unwrap();
        Command::new(program)
            .arg("--config")
            .arg(self.0.path().join("flotilla.toml"))
            .args(args.split_whitespace())
            .env_remove("AMQP_SERVER")
            .env_remove("FLOTILLA_LOG")
            .stdin(Stdio::from(input))
            .output()
            .unwrap()
    }

    /// Returns what the program complains about.
    #[track_caller]
    fn fail(&self, code: i32, program: &str, args: &str, input: &[u8]) -> String {
        let output = self.run(program, args, input);
        let complaint = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{args}: {complaint}");
        assert_eq!(String::from_utf8(output.stdout).unwrap(), "");
        complaint
    }
}

#[test]
fn help_and_version_are_there() {
    let site = Site::new();
    for (program, name) in [(PUBLISH, "publish-queue"), (INSPECT, "inspect-queue")] {
        let help = site.run(program, "--help", b"");
        let text = String::from_utf8(help.stdout).unwrap();
        assert!(help.status.success() && text.contains(&format!("Usage: {name}")), "{text}");
        assert!(
            text.contains("--amqp") && text.contains("--secrets-dir") && text.contains("Exit codes"),
            "{text}"
        );
        let version = String::from_utf8(site.run(program, "--version", b"").stdout).unwrap();
        assert!(version.starts_with(name), "{version}");
    }
}

#[test]
fn wrong_usage_is_explained() {
    let site = Site::new();
    assert!(site.fail(USAGE, PUBLISH, "", b"").contains("--queue <NAME>"));
    let unknown = "unknown queue `tasks`: there are webhook, public, rhel, statistics, dead";
    assert_eq!(site.fail(USAGE, PUBLISH, "-q tasks", b"{}"), format!("publish-queue: {unknown}\n"));
    assert_eq!(site.fail(USAGE, INSPECT, "-q public -q tasks", b""), format!("inspect-queue: {unknown}\n"));
    let address = site.fail(USAGE, INSPECT, "--amqp example", b"");
    assert!(address.contains("--amqp ($AMQP_SERVER): ") && address.contains("host:port"), "{address}");
}

#[test]
fn a_configuration_can_be_checked_alone() {
    let site = Site::new();
    for program in [PUBLISH, INSPECT] {
        assert!(site.run(program, "--check-config", b"").status.success());
        site.write("flotilla.toml", b"[broker]\namqp = \"nowhere\"\nwho = 1\n");
        let problems = site.fail(USAGE, program, "--check-config", b"");
        assert!(problems.contains("flotilla.toml:2: broker.amqp: "), "{problems}");
        assert!(problems.contains("flotilla.toml:3: broker.who: "), "{problems}");
        site.write("flotilla.toml", b"[broker]\namqp = \"localhost\"\n");
    }
}

#[test]
fn a_bad_message_is_refused_before_a_socket_is_opened() {
    let site = Site::new();
    let refused = |queue: &str, body: &[u8]| site.fail(USAGE, PUBLISH, &format!("-q {queue}"), body);
    let job = refused("rhel", br#"{"job": {"repo": "o/r", "sha": 1}}"#);
    assert!(job.starts_with("publish-queue: refused: not fit for `internal`, which holds tasks"), "{job}");
    assert!(job.lines().nth(1).unwrap().starts_with("  job.sha: "), "{job}");
    assert!(refused("public", br#"{"command": "x", "prio": 1}"#).contains("\n  prio: unknown field"));
    assert!(refused("webhook", br#"{"command": "x"}"#).contains("missing field `event`"));
    assert!(refused("dead", b" \n").contains("no message on the standard input"));
    assert!(refused("dead", &vec![b'x'; 26 * 1024 * 1024]).contains("larger than 26215424 bytes"));
}

#[test]
fn what_may_pass_gets_as_far_as_the_broker() {
    let site = Site::new();
    site.write("flotilla.toml", b"[broker]\namqp = \"localhost:9\"\n");
    let secrets = site.0.path().join("secrets");
    tests::secrets::write(&secrets).unwrap();
    let secrets = secrets.display();
    for (queue, body) in [("public", r#"{"command": "true"}"#), ("public --raw", "no task"), ("dead", "x")] {
        let args = format!("-q {queue} --secrets-dir {secrets}");
        let complaint = site.fail(BROKER, PUBLISH, &args, body.as_bytes());
        assert!(complaint.contains("cannot connect to the broker at localhost:9: "), "{complaint}");
        assert_eq!(complaint.matches("refused").count(), 1, "a cause is said once: {complaint}");
    }
}

#[test]
fn a_certificate_that_cannot_be_used_is_a_matter_of_configuration() {
    let complaint = Site::new().fail(USAGE, INSPECT, "", b"");
    assert!(complaint.contains("ca.pem: expected a certificate in PEM"), "{complaint}");
}
