#!/usr/bin/env bash
# Prints the path of axe-core, which checks pages for people who can't see or can't point: $FLOTILLA_TEST_AXE, or one
# in target/axe, which is fetched once from npm. Fails where there is none to be had.
set -euo pipefail
cd "$(dirname "$0")/../.."

version=4.14.1
for file in "${FLOTILLA_TEST_AXE:-}" "$PWD/target/axe/$version/package/axe.min.js"; do
    if [ -s "$file" ]; then
        echo "$file"
        exit
    fi
done
{
    mkdir -p "target/axe/$version"
    cd "target/axe/$version"
    npm pack --silent "axe-core@$version"
    tar -xzf "axe-core-$version.tgz" package/axe.min.js package/LICENSE
} >&2
echo "$PWD/package/axe.min.js"
