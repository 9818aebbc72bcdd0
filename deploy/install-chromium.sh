#!/usr/bin/env bash
# Debian's Chromium for the browser tests, where it may be installed: as root, with apt-get. Elsewhere the
# tests say that it is missing; they are skipped then, or fail where LABELBRIDGE_CI or CI is set.
set -euo pipefail
if [ -n "${LABELBRIDGE_CHROMIUM:-}" ] || command -v chromium >/dev/null || command -v google-chrome >/dev/null; then
    exit 0
fi
if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
    echo "No Chromium, and it may not be installed from here: apt-get install chromium"
    exit 0
fi
echo "Installing Chromium"
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
if ! { apt-get update && apt-get install -y --no-install-recommends chromium; } >"$log" 2>&1; then
    tail -n 5 "$log"
    echo "Chromium could not be installed."
fi
rm -f "$log"
