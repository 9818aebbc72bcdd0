#!/usr/bin/env bash
# Do something with labels that somebody else syncs: people, an export's event, or `auto_sync`.
# Usage: after_people.sh PROJECT COMMAND...; COMMAND gets the labels (Azure ML's JSON lines) on stdin.
set -euo pipefail
project=$1
shift

labelbridge wait "$project" --for synced --timeout 12h >/dev/null
snapshot=$(labelbridge snapshots latest "$project" --output json | jq -r .snapshot)
labelbridge snapshots export "$project" "$snapshot" - --to azureml | "$@"
