"""What prepares Temporal's database and namespace in deploy/compose, against a real PostgreSQL and a real Temporal.

Temporal's own server for PostgreSQL, and its schema tool, are in no package registry (docs/deploy.md). So here a
stand-in for the tool notes what it was asked and asks the database for itself whether that can be done.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from labelbridge.local.processes import free_port
from tests.deploy import postgresql, tools
from tests.deploy.postgresql import Server

HERE = tools.DEPLOY / "compose" / "temporal"
TOOL = """#!/bin/sh
set -eu
[ "$1 $3 $5 $7 $9" = "--plugin --ep -p -u --db" ]
plugin=$2 host=$4 port=$6 user=$8
shift 9
database=$1
shift
echo "$plugin $database $*" >>"$NOTES"
[ "$port" = 5432 ]
PGPASSWORD=$SQL_PASSWORD exec "$PSQL" -h "$host" -p "$REAL_PORT" -U "$user" -d "$database" -v ON_ERROR_STOP=1 \
    -c "CREATE TABLE IF NOT EXISTS schema_version (version_partition INT)"
"""


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with postgresql.running() as found:
        yield found


def test_visibility_gets_a_database_of_its_own_that_its_user_may_fill(server: Server) -> None:
    # The words by which the image runs what stands in docker-entrypoint-initdb.d.
    words = ("-v", "ON_ERROR_STOP=1", "--no-password", "--no-psqlrc", "-f", str(HERE / "visibility.sql"))
    done = server.run("psql", *words)
    assert done.returncode == 0, done.stderr
    assert "temporal_visibility" in server.rows("SELECT datname FROM pg_database")
    assert server.run("pg_isready", database="temporal_visibility").returncode == 0
    # Its advanced visibility needs generated columns, JSONB and this extension (Temporal's schema/postgresql/v12).
    assert server.rows("CREATE EXTENSION btree_gin", "temporal_visibility") == ["CREATE EXTENSION"]
    sql = "CREATE TABLE probe (a JSONB, b TEXT GENERATED ALWAYS AS (a->>'x') STORED); DROP TABLE probe"
    assert server.rows(sql, "temporal_visibility") == ["CREATE TABLE", "DROP TABLE"]


def test_both_schemas_are_set_up_and_updated_and_again_at_each_start(server: Server, tmp_path: Path) -> None:
    tool, notes = tmp_path / "temporal-sql-tool", tmp_path / "notes"
    tool.write_text(TOOL)
    tool.chmod(0o755)
    variables = {
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "NOTES": str(notes),
        "PSQL": str(server.programs / "psql"),
        "REAL_PORT": str(server.port),
        "POSTGRES_HOST": "127.0.0.1",
        "SQL_PASSWORD": server.password,
    }
    if "temporal_visibility" not in server.rows("SELECT datname FROM pg_database"):
        assert server.run("psql", "-f", str(HERE / "visibility.sql")).returncode == 0
    for _ in range(2):
        done = _run("schema.sh", variables)
        assert done.returncode == 0, done.stderr
    versions = "/etc/temporal/schema/postgresql/v12/{}/versioned"
    once = [
        "postgres12 temporal setup-schema -v 0.0",
        f"postgres12 temporal update-schema -d {versions.format('temporal')}",
        "postgres12 temporal_visibility setup-schema -v 0.0",
        f"postgres12 temporal_visibility update-schema -d {versions.format('visibility')}",
    ]
    assert notes.read_text().splitlines() == once * 2
    for database in ("temporal", "temporal_visibility"):
        assert server.rows("SELECT count(*) FROM schema_version", database) == ["0"]
    refused = _run("schema.sh", {**variables, "SQL_PASSWORD": "wrong"})
    assert refused.returncode != 0


def test_the_namespace_is_made_once_with_its_retention() -> None:
    program, port = Path(sys.executable).with_name("temporal"), free_port()
    process = subprocess.Popen(
        [str(program), "server", "start-dev", "--headless", "--ip", "127.0.0.1", "--port", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    variables = {
        "PATH": f"{program.parent}:{os.environ['PATH']}",
        "HOME": os.environ.get("HOME", "/"),
        "TEMPORAL_ADDRESS": f"127.0.0.1:{port}",
        "TEMPORAL_NAMESPACE": "labeling",
        "RETENTION": "30d",
    }
    try:
        # Compose repeats it (`restart: on-failure`) until Temporal serves.
        while (done := _run("namespace.sh", variables)).returncode:
            assert process.poll() is None, done.stderr
        again = _run("namespace.sh", {**variables, "RETENTION": "7d"})
        assert again.returncode == 0, again.stderr
        described = subprocess.run(
            [str(program), "operator", "namespace", "describe", "--namespace", "labeling"],
            env=variables, capture_output=True, text=True, check=True,
        ).stdout  # fmt: skip
    finally:
        process.terminate()
        process.wait(timeout=300)
    assert "720h0m0s" in described


def _run(script: str, variables: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", str(HERE / script)], env=variables, capture_output=True, text=True, check=False, timeout=300
    )
