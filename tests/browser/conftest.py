"""A real Chromium for the tests of pages, and people who sign in with it.

Debian's Chromium is driven by Playwright over the stack that all tests share. It trusts the stack's own
server key and nothing else that is not publicly trusted. A test that fails leaves a picture of each page
that was open, and the stack's logs; they go to `LABELBRIDGE_ARTEFACTS`, by default `.labelbridge/artefacts`.
"""

import base64
import hashlib
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from playwright.sync_api import Browser, sync_playwright

from labelbridge.local.stack import Stack
from tests.browser.people import People

ROOT = Path(__file__).resolve().parents[2]
ARGUMENTS = (
    "--no-sandbox",  # the tests may run as root, as which Chromium's sandbox does not start
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-dev-shm-usage",
    "--no-first-run",
)
FAILED = pytest.StashKey[bool]()


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of the browser. Without one the tests are skipped, except where they must not be."""
    found = (
        os.environ.get("LABELBRIDGE_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    )
    if found is None:
        reason = "no Chromium: apt-get install chromium, or set LABELBRIDGE_CHROMIUM"
        if os.environ.get("CI") or os.environ.get("LABELBRIDGE_CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return found


@pytest.fixture(scope="session")
def artefacts() -> Path:
    """Folder for pictures."""
    folder = Path(os.environ.get("LABELBRIDGE_ARTEFACTS") or ROOT / ".labelbridge" / "artefacts")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="module")
def browser(stack: Stack, chromium: str) -> Iterator[Browser]:
    """One browser for a module: Playwright's blocking API may not be open while other tests run a loop."""
    chain = (stack.directory / "certificates" / "server.pem").read_bytes()
    trusted = f"--ignore-certificate-errors-spki-list={_key_digest(chain)}"
    with sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=chromium, args=[*ARGUMENTS, trusted])


@pytest.fixture
def people(
    request: pytest.FixtureRequest, browser: Browser, stack: Stack, artefacts: Path
) -> Iterator[People]:
    """People at their own browsers; what a page complains about on its console fails the test."""
    found = People(browser, stack, artefacts)
    yield found
    if request.node.stash.get(FAILED, False):
        name = re.sub(r"[^a-z0-9]+", "-", request.node.name.lower())
        found.picture_all(name)
        for log in stack.logs.glob("*.log"):
            shutil.copyfile(log, artefacts / f"failed-{name}-{log.name}")
    found.leave()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Iterator[None]:  # what a wrapper yields and returns is pytest's own
    report = yield
    if report.when == "call":  # type: ignore[attr-defined]
        item.stash[FAILED] = report.failed  # type: ignore[attr-defined]
    return report


def _key_digest(chain: bytes) -> str:
    """SHA-256 of the server's public key, as Chromium wants it."""
    key = x509.load_pem_x509_certificate(chain).public_key()
    der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(hashlib.sha256(der).digest()).decode()
