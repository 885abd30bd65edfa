#!/usr/bin/env bash
# Prints the path of a python that has pika, for the tests that act as older programs (tests/interop/old_client.py):
# the system's own, or one in target/interop-venv, which is made once. Fails where there is none to be had.
set -euo pipefail
cd "$(dirname "$0")/../.."

venv=target/interop-venv
for python in "${FLOTILLA_TEST_PYTHON:-}" "$PWD/$venv/bin/python" "$(command -v python3 || true)"; do
    if [ -n "$python" ] && "$python" -c 'import pika' 2>/dev/null; then
        echo "$python"
        exit
    fi
done
{
    python3 -m venv --clear "$venv"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check 'pika>=1.3.2,<2'
} >&2
echo "$PWD/$venv/bin/python"
