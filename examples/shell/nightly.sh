#!/usr/bin/env bash
# Sync a project and train on exactly what was synced; prints the model as JSON.
# Usage: nightly.sh PROJECT MODEL KEY. The same KEY never starts anything twice: a scheduler that runs this
# again after exit code 6 or 7 gives the same one, after any other failure a new one.
set -euo pipefail
project=$1 model=$2 key=$3

labelbridge wait "$project" --for idle --timeout 30m >/dev/null
snapshot=$(labelbridge sync "$project" --key "$key-sync" --timeout 2h --output json | jq -r .snapshot.id)
labelbridge train "$project" --model "$model" --labels "$snapshot" \
    --key "$key-train" --timeout 8h --output json | jq .model
