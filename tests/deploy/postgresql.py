"""A PostgreSQL of its own for a test: Debian's, in a temporary folder, on loopback, not as root."""

import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from labelbridge.local.processes import free_port
from tests.deploy import tools

_VERSIONS = Path("/usr/lib/postgresql")
USER, DATABASE = "temporal", "temporal"
"""As `POSTGRES_USER` and `POSTGRES_DB` in compose.yaml."""


@dataclass(frozen=True)
class Server:
    """A running server, as the image `postgres` leaves it before its own scripts run."""

    programs: Path
    port: int
    password: str

    def run(self, program: str, *words: str, database: str = DATABASE) -> subprocess.CompletedProcess[str]:
        """Run one of PostgreSQL's programs against it."""
        return subprocess.run(
            [str(self.programs / program), "-h", "127.0.0.1", "-p", str(self.port), "-U", USER, "-d", database, *words],
            env={"PGPASSWORD": self.password, "PATH": os.environ["PATH"]},
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )  # fmt: skip

    def rows(self, query: str, database: str = DATABASE) -> list[str]:
        """The rows of a query, columns parted by `|`."""
        done = self.run("psql", "--no-psqlrc", "-At", "-c", query, database=database)
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()


@contextmanager
def running() -> Iterator[Server]:
    """A server with the user and the database of compose.yaml, and nothing else in it."""
    found = sorted(_VERSIONS.glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if not found:
        tools.absent("PostgreSQL", "deploy/install-postgresql.sh")
    programs = found[-1].parent
    # PostgreSQL refuses to run as root; tests of containers often do.
    owner = pwd.getpwnam("nobody").pw_uid if os.geteuid() == 0 else None
    home = Path(tempfile.mkdtemp(prefix="labelbridge-pg-"))  # pytest's own folders are closed to other users
    try:
        if owner is not None:
            os.chown(home, owner, -1)
        server = Server(programs, free_port(), secrets.token_hex(16))
        _make(server, home, owner)
        process = _start(server, home, owner)
        try:
            _await(server, process)
            yield server
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(timeout=300)
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _make(server: Server, home: Path, owner: int | None) -> None:
    secret = home / "password"
    secret.write_text(server.password)
    secret.chmod(0o644)
    subprocess.run(
        [str(server.programs / "initdb"), "-D", str(home / "data"), "-U", USER, "-A", "scram-sha-256",
         "--pwfile", str(secret), "-E", "UTF8", "--locale", "C", "--no-sync"],
        cwd=home, user=owner, check=True, capture_output=True,
    )  # fmt: skip


def _start(server: Server, home: Path, owner: int | None) -> subprocess.Popen[bytes]:
    options = {"port": server.port, "listen_addresses": "127.0.0.1", "unix_socket_directories": home}
    words = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
    return subprocess.Popen(
        [str(server.programs / "postgres"), "-D", str(home / "data"), *words],
        cwd=home,
        user=owner,
        stderr=subprocess.DEVNULL,
    )


def _await(server: Server, process: subprocess.Popen[bytes]) -> None:
    while server.run("pg_isready", "-t", "5", database="postgres").returncode:
        assert process.poll() is None, "PostgreSQL ended"
    made = server.run("psql", "-c", f"CREATE DATABASE {DATABASE}", database="postgres")
    assert made.returncode == 0, made.stderr
