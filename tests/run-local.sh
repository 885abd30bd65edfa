#!/bin/bash
# The whole fleet on this machine, then a pull request through it. Builds and installs what that needs.
set -euo pipefail

usage() {
    cat <<'TEXT'
tests/run-local.sh [-i|--interactive] [-j|--job SCRIPT]

Runs the whole fleet on this machine and a pull request through it:

  1. installs system packages that are missing, RabbitMQ and podman above all
     (tests/install-packages.sh; it says which, and uses sudo unless you are root)
  2. builds the programs (debug; a few minutes the first time)
  3. starts a broker, the webhook, a worker, a stand-in for GitHub and a git
     server, all on the loopback interface, with certificates made for them
  4. opens a pull request: its signed event is posted to the webhook, becomes a
     task, runs in a container, and its status and log come back
  5. takes everything down again, also after Ctrl-C or a failure

  -i, --interactive  keep it up after 4 and print all addresses, with commands
                     to paste; Enter or Ctrl-C goes on to 5
  -j, --job SCRIPT   the shell script that is the repository's test, such as
                     'exit 3', instead of one that succeeds
  -h, --help         this text

The log of the job stays, below target/run-local.
Exit codes: 0 the job was green, 1 it was not or something failed, 130 Ctrl-C.
TEXT
}

say() {
    printf 'run-local: %s\n' "$*" >&2
}

for argument; do
    case $argument in
    -h | --help)
        usage
        exit
        ;;
    esac
done

cd "$(dirname "${BASH_SOURCE[0]}")/.."
if ! command -v cargo >/dev/null; then
    say "cargo is not in the path: it takes a Rust toolchain, https://rustup.rs has one"
    exit 1
fi
tests/install-packages.sh
say "building the programs, unless that is done (debug)"
cargo build --workspace --bins
# In place of this shell, so that Ctrl-C has one reader.
target=$(cargo metadata --format-version=1 --no-deps | sed -n 's/.*"target_directory":"\([^"]*\)".*/\1/p')
exec "$target/debug/run-local" "$@"
