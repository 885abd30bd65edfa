#!/bin/sh
# The container engine of an older job-runner in tests: podman, but for the python program that it runs in a container, which the
# image of the tests has no python for. Only the job's own command is run, in an empty folder.
set -eu
verb=$1
shift
if [ "$verb" != run ]; then exec podman "$verb" "$@"; fi
count=$# found=no
while [ "$count" -gt 0 ]; do
    word=$1
    shift
    count=$((count - 1))
    case $found in
    no) if [ "$word" = python3 ]; then found=python; else set -- "$@" "$word"; fi ;;
    python) if [ "$word" = -- ]; then found=command; set -- "$@" sh -c "mkdir -p \$TEST_ATTACHMENTS; exec \"\$@\"" job; fi ;;
    command) set -- "$@" "$word" ;;
    esac
done
exec podman run "$@"
