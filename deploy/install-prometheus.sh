#!/usr/bin/env bash
# Debian's Prometheus for the tests of deploy/prometheus, unpacked below .labelbridge: installed, the package
# would start a service on this machine. Where it cannot be fetched the tests say so; they are skipped then,
# or fail where LABELBRIDGE_CI or CI is set.
set -euo pipefail
target=$(cd "$(dirname "$0")/.." && pwd)/.labelbridge/prometheus
if [ -n "${LABELBRIDGE_PROMETHEUS:-}" ] || [ -x "$target/usr/bin/prometheus" ] || command -v prometheus >/dev/null; then
    exit 0
fi
if ! command -v apt-get >/dev/null || ! command -v dpkg >/dev/null; then
    echo "No Prometheus, and no apt-get to fetch it with: put prometheus and promtool on the PATH"
    exit 0
fi
echo "Fetching Prometheus"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
if ! apt-get download prometheus >log 2>&1; then
    # The lists may be missing or old; renewing them needs root.
    { apt-get update && apt-get download prometheus; } >log 2>&1 || { tail -n 5 log; echo "Prometheus could not be fetched."; exit 0; }
fi
mkdir -p "$target"
dpkg -x ./prometheus_*.deb "$target"
if ! "$target/usr/bin/prometheus" --version >log 2>&1; then
    tail -n 5 log
    echo "Prometheus does not run here."
    rm -rf "$target"
fi
