#!/usr/bin/env bash
# Debian's PostgreSQL for the tests of deploy/compose/temporal, where it may be installed: as root, with apt-get.
# Elsewhere the tests say that it is missing; they are skipped then, or fail where LABELBRIDGE_CI or CI is set.
set -euo pipefail
if compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null; then
    exit 0
fi
if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
    echo "No PostgreSQL, and it may not be installed from here: apt-get install postgresql"
    exit 0
fi
echo "Installing PostgreSQL"
export DEBIAN_FRONTEND=noninteractive
# No server of the machine's own: the tests start theirs.
mkdir -p /etc/postgresql-common
[ -e /etc/postgresql-common/createcluster.conf ] || echo "create_main_cluster = false" >/etc/postgresql-common/createcluster.conf
log=$(mktemp)
if ! { apt-get update && apt-get install -y --no-install-recommends postgresql; } >"$log" 2>&1; then
    tail -n 5 "$log"
    echo "PostgreSQL could not be installed."
fi
rm -f "$log"
