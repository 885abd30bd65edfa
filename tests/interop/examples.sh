#!/usr/bin/env bash
# Prints the path of GitHub's own examples of events (npm's @octokit/webhooks-examples, MIT), for the test that sends them all: in
# target/webhooks-examples, fetched once. Fails where there is no npm or no network.
set -euo pipefail
cd "$(dirname "$0")/../.."

# The last one: its successor is a description without examples.
version=7.6.1
folder=target/webhooks-examples
examples=$folder/package/api.github.com/index.json
if [ ! -f "$examples" ]; then
    mkdir -p "$folder"
    archive=$(cd "$folder" && npm pack --silent "@octokit/webhooks-examples@$version")
    tar -xzf "$folder/$archive" -C "$folder"
    rm "$folder/$archive"
fi
echo "$PWD/$examples"
