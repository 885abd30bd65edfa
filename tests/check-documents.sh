#!/usr/bin/env bash
# The documents name only what exists: files, programs' options, environment variables, settings, tests.
set -euo pipefail
cd "$(dirname "$0")/.."

failed=0
complain() { echo "documents: $*" >&2; failed=1; }
documents=(README.md docs/*.md)

# Paths in backquotes that begin with a folder of ours.
while read -r path; do
    [ -e "$path" ] || complain "$path does not exist"
done < <(grep -ohE '`(webhook|run-queue|publish-queue|common|credentials|tests|docs|deploy)/[A-Za-z0-9_./-]+`' "${documents[@]}" | tr -d '`' | sort -u)

# Links between documents.
while read -r link; do
    [ -e "$link" ] || [ -e "docs/$link" ] || complain "the link $link leads nowhere"
done < <(grep -ohE '\]\([A-Za-z0-9_./-]+\)' "${documents[@]}" | sed -E 's/^\]\((.*)\)$/\1/' | sort -u)

# Environment variables.
while read -r name; do
    git grep -q -- "$name" -- '*.rs' '*.sh' || complain "\$$name is in no code"
done < <(grep -ohE '\$[A-Z][A-Z0-9_]{3,}' "${documents[@]}" | tr -d '$' | sort -u)

# Tests that documents name as the proof of a sentence.
while read -r name; do
    git grep -q "fn $name\b" -- '*.rs' || complain "there is no test $name"
done < <(grep -ohE '\(test `[a-z0-9_]+`\)' "${documents[@]}" | sed -E 's/.*`(.*)`.*/\1/' | sort -u)

exit "$failed"
