"""Serves an application over TLS in a thread, and browsers that trust it."""

import contextlib
import signal
import ssl
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import trustme
import uvicorn
from starlette.requests import HTTPConnection

from labelbridge.console.sessions import COOKIE
from labelbridge.errors import ExitCode
from labelbridge.local.processes import free_port
from labelbridge.settings import Settings
from tests.console.issuer import CLIENT_ID, CLIENT_SECRET, Issuer

SESSION_KEY = "a key of thirty-two characters, and more"


@dataclass(frozen=True)
class Trust:
    """An authority of the test's own and a certificate for this machine."""

    directory: Path

    @classmethod
    def make(cls, directory: Path) -> "Trust":
        authority = trustme.CA()
        certificate = authority.issue_cert("127.0.0.1")
        authority.cert_pem.write_to_path(str(directory / "ca.pem"))
        certificate.private_key_pem.write_to_path(str(directory / "server.key"))
        chain = b"".join(blob.bytes() for blob in certificate.cert_chain_pems)
        (directory / "server.pem").write_bytes(chain)
        return cls(directory)

    @property
    def ca(self) -> Path:
        return self.directory / "ca.pem"

    @property
    def files(self) -> tuple[str, str]:
        return str(self.directory / "server.pem"), str(self.directory / "server.key")


@contextlib.contextmanager
def serving(app: Any, trust: Trust, port: int) -> Iterator[None]:
    """The application on 127.0.0.1, until the block ends."""
    certificate, key = trust.files
    config = uvicorn.Config(
        app,
        host="127.0.0.1",
        port=port,
        ssl_certfile=certificate,
        ssl_keyfile=key,
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    began = threading.Event()
    startup = server.startup

    async def say(*args: Any, **kwargs: Any) -> None:
        try:
            await startup(*args, **kwargs)
        finally:
            began.set()

    server.startup = say  # type: ignore[method-assign]
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    assert began.wait(60)
    assert server.started
    try:
        yield
    finally:
        server.should_exit = True
        thread.join(30)


def console_settings(base: Settings, *, issuer: str, port: int, ca: Path, **more: Any) -> Settings:
    """The settings of a console at that port."""
    console = {
        "base_url": f"https://127.0.0.1:{port}",
        "issuer": issuer,
        "client_id": CLIENT_ID,
        "client_secret": CLIENT_SECRET,
        "session_key": SESSION_KEY,
    }
    fields = base.model_dump(exclude={"console"}) | {"ca_bundle": ca, "console": console | more}
    return Settings(_env_file=None, **fields)


@dataclass(frozen=True)
class Site:
    """A console that serves, its application, and its identity provider."""

    url: str
    app: Any
    issuer: Issuer
    ca: Path

    def browser(self, **options: Any) -> httpx.Client:
        """A new browser: no cookies, follows redirects."""
        context = ssl.create_default_context(cafile=str(self.ca))
        return httpx.Client(base_url=self.url, verify=context, follow_redirects=True, timeout=60, **options)

    def program(self, person: str, **claims: Any) -> httpx.Client:
        """A program with a token of its own; no redirect is followed."""
        browser = self.browser(headers=self.issuer.bearer(person, **claims))
        browser.follow_redirects = False
        return browser

    def signed_in(self, person: str) -> httpx.Client:
        """A browser in which somebody has signed in."""
        self.issuer.person = person
        browser = self.browser()
        browser.get("/auth/sign-in?next=/healthz").raise_for_status()
        return browser

    def csrf(self, browser: httpx.Client) -> str:
        """What the session's pages would send back."""
        cookie = f"{COOKIE}={browser.cookies[COOKIE]}"
        scope = {"type": "http", "headers": [(b"cookie", cookie.encode())]}
        session = self.app.state.sessions.read(HTTPConnection(scope))
        assert session
        return str(session.csrf)


@contextlib.contextmanager
def site(base: Settings, trust: Trust, ca: Path, **more: Any) -> Iterator[Site]:
    """A console with an identity provider of its own."""
    from labelbridge.console.app import create_app

    provider_port, port = free_port(), free_port()
    issuer = Issuer(f"https://127.0.0.1:{provider_port}")
    app = create_app(console_settings(base, issuer=issuer.url, port=port, ca=ca, **more))
    with serving(issuer.app, trust, provider_port), serving(app, trust, port):
        yield Site(f"https://127.0.0.1:{port}", app, issuer, ca)


def answers(port: int, trust: Trust) -> bool:
    """True once something serves over TLS there and says that it is well."""
    context = ssl.create_default_context(cafile=str(trust.ca))
    try:
        with urllib.request.urlopen(f"https://127.0.0.1:{port}/healthz", context=context) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def serves_until_sigterm(
    command: Sequence[str],
    variables: Mapping[str, str],
    port: int,
    trust: Trust,
    log: Path,
    meanwhile: Callable[[], None] = lambda: None,
) -> None:
    """The command serves over TLS at `port`, ends at SIGTERM, and leaves no traceback in its log."""
    with log.open("wb") as written:
        process = subprocess.Popen(command, env=variables, cwd=log.parent, stdout=written, stderr=written)
    try:
        until = time.monotonic() + 120
        while not answers(port, trust):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < until, log.read_text()
            time.sleep(0.1)
        meanwhile()
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == ExitCode.DONE
    finally:
        process.kill()
        process.wait()
    assert "Traceback" not in log.read_text()
