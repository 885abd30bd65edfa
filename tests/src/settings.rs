//! The environment variables of the harness, in one place: a developer sets some of them,
//! `with-services` sets all of them for the tests it runs.

use std::env;

/// Where the broker comes from: `private` (or unset), `container`, or `HOST:PORT` of one that runs.
pub const BROKER: &str = "FLOTILLA_TEST_BROKER";
/// The image of a broker in a container, `NAME:TAG`, if not `RabbitMQ`'s official one. Such a broker
/// also needs `DOCKER_HOST`, which with podman is the socket of `podman system service`.
pub const BROKER_IMAGE: &str = "FLOTILLA_TEST_BROKER_IMAGE";
/// `http://user:password@host:port`, the management API of a broker that runs.
pub const BROKER_API: &str = "FLOTILLA_TEST_BROKER_API";
/// The folder of certificates and tokens of a broker that runs.
pub const SECRETS_DIR: &str = "FLOTILLA_TEST_SECRETS_DIR";
/// The name of this run of tests. Its processes inherit it and its containers carry it in a label,
/// so that what is left over can be told from everything else on the machine.
pub const RUN: &str = "FLOTILLA_TEST_RUN";
/// The image that the run has made.
pub const IMAGE: &str = "FLOTILLA_TEST_IMAGE";
/// A python that has pika, for what older programs do; `tests/interop/python.sh` makes one and prints it.
pub const PYTHON: &str = "FLOTILLA_TEST_PYTHON";
/// A folder with an older job-runner, and in `venv` a python with what it needs: what it does is written to `tests/interop/jobs.json`.
pub const OLD_RUNNER: &str = "FLOTILLA_OLD_RUNNER";
/// The file with GitHub's examples of events; `tests/interop/examples.sh` fetches them and prints it.
pub const EXAMPLES: &str = "FLOTILLA_TEST_EXAMPLES";
/// Set: all situations of `tests/interop/decisions.jsonl` are played, not some of each kind, and a worker is killed at all of its steps
/// (`1`), or at those whose names have this text.
pub const ALL: &str = "FLOTILLA_TEST_ALL";
/// The file `axe.min.js`, which checks pages for accessibility; `tests/browser/axe.sh` fetches one and prints it.
pub const AXE: &str = "FLOTILLA_TEST_AXE";
/// podman's own variable: the file with its settings.
pub const CONTAINERS_CONF: &str = "CONTAINERS_CONF";

/// The value of a variable; empty counts as unset.
#[expect(clippy::disallowed_methods, reason = "the one place where the harness reads the environment")]
pub fn get(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

/// The name of the run of tests that this process belongs to; without `with-services` it is one by itself.
pub fn run() -> String {
    get(RUN).unwrap_or_else(|| format!("process-{}", std::process::id()))
}
