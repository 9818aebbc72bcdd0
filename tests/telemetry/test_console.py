"""What a console shows: requests by the pattern of their address, and whether it can do its work."""

from collections.abc import AsyncIterator, Iterator

import httpx
import pytest

from labelbridge.console.app import create_app
from labelbridge.local.processes import free_port
from labelbridge.settings import Settings
from labelbridge.telemetry import counting
from labelbridge.telemetry.prometheus import Prometheus
from labelbridge.telemetry.settings import TelemetrySettings
from tests.telemetry.conftest import Scrape

BASE = "https://console.test"


@pytest.fixture
def prometheus() -> Iterator[Prometheus]:
    before, counted = counting.counting(), Prometheus(TelemetrySettings(port=1))
    counting.install(counted)
    yield counted
    counting.install(before)


@pytest.fixture
async def browser() -> AsyncIterator[httpx.AsyncClient]:
    console = {"base_url": BASE, "issuer": "https://issuer.test", "client_id": "c", "session_key": "k" * 40}
    temporal = {"address": f"127.0.0.1:{free_port()}", "connect_timeout": "PT1S"}
    app = create_app(Settings(_env_file=None, console=console, temporal=temporal))
    app.state.shown.readiness.started()
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=BASE) as client:
        yield client


async def test_requests_are_counted_by_the_pattern_of_their_address(
    prometheus: Prometheus, browser: httpx.AsyncClient
) -> None:
    for path in (
        "/problems/forbidden?a=b",
        "/problems/no_worker",
        "/projects/secret",
        "/made-up",
        "/healthz",
    ):
        await browser.get(path)
    await browser.request("MADEUP", "/problems/forbidden")
    seen = Scrape(prometheus.text().decode())
    assert seen.values("labelbridge_console_requests_total", "method", "route", "status") == {
        ("GET", "/problems/{code}", "2xx"): 2,
        ("GET", "unknown", "3xx"): 2,
        ("other", "/problems/{code}", "4xx"): 1,
    }
    assert not [value for value in seen.labels() if "secret" in value or "made-up" in value]


async def test_a_console_that_cannot_reach_temporal_is_alive_and_not_ready(
    browser: httpx.AsyncClient,
) -> None:
    assert (await browser.get("/healthz")).status_code == 200
    answer = await browser.get("/readyz")
    assert (answer.status_code, answer.json()) == (503, {"ready": False})
