#!/bin/sh
# Bring both of Temporal's databases to the schema of this version of its server; repeated, it changes nothing.
# SQL_PASSWORD is read by the tool itself.
set -eu
for pair in temporal:temporal temporal_visibility:visibility; do
    database=${pair%%:*}
    versions=/etc/temporal/schema/postgresql/v12/${pair##*:}/versioned
    sql() { temporal-sql-tool --plugin postgres12 --ep "$POSTGRES_HOST" -p 5432 -u temporal --db "$database" "$@"; }
    sql setup-schema -v 0.0
    sql update-schema -d "$versions"
done
