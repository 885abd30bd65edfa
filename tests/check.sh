#!/usr/bin/env bash
# Everything that must pass: format, lints, documents, tests. No arguments; CI runs just this.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf '\n==> %s\n' "$*"; }

say "system packages"
tests/install-packages.sh

say "format"
cargo fmt --all --check

say "lints"
cargo clippy --locked --workspace --all-targets -- -D warnings
cargo clippy --locked -p tests --lib --features container-broker -- -D warnings

say "one crypto provider, one TLS"
for banned in ring openssl-sys native-tls rsa; do
    if cargo tree --locked --workspace --edges normal,build,dev --invert "$banned" 2>/dev/null | grep -q .; then
        echo "$banned is in the build; see the workspace's Cargo.toml for what brings aws-lc-rs instead" >&2
        exit 1
    fi
done

say "documentation"
RUSTDOCFLAGS="-D warnings" cargo doc --locked --workspace --no-deps --quiet
tests/check-documents.sh

say "build"
cargo build --locked --workspace --bins
cargo test --locked --workspace --doc --quiet

say "an old program's client"
# Not there (no python3, no network): the test that needs it says so and is skipped.
FLOTILLA_TEST_PYTHON=$(tests/interop/python.sh) && export FLOTILLA_TEST_PYTHON || echo "no python3 with pika: skipped"

say "GitHub's examples of events"
FLOTILLA_TEST_EXAMPLES=$(tests/interop/examples.sh) && export FLOTILLA_TEST_EXAMPLES || echo "no npm, or no network: skipped"
say "a check of pages for accessibility"
# Not there (no npm, no network): as above.
FLOTILLA_TEST_AXE=$(tests/browser/axe.sh) && export FLOTILLA_TEST_AXE || echo "no axe-core: skipped"

say "tests"
if cargo nextest --version >/dev/null 2>&1; then
    exec target/debug/with-services cargo nextest run --locked --workspace --no-fail-fast
fi
echo "cargo-nextest is not installed (cargo install --locked cargo-nextest): the slower cargo test runs"
exec target/debug/with-services cargo test --locked --workspace --lib --bins --tests --no-fail-fast
