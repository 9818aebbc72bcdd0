"""`labelbridge events` and `labelbridge policy`, as an operator runs them."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from aiohttp import web

from labelbridge.errors import ExitCode
from labelbridge.local.stack import Stack
from labelbridge.settings import Settings
from tests.events.conftest import MakeSettings, OpenStores, RunWorker, an_event
from tests.events.receiver import Receiver

Run = Callable[..., Any]


@pytest.fixture
def run(stack: Stack) -> Run:
    """`await run(settings, "events", "tail")` runs a command in a process of its own."""

    def command(settings: Settings, *arguments: str) -> subprocess.CompletedProcess[str]:
        own = {
            "LABELBRIDGE_REGISTRY__CONTAINER": settings.registry.container,
            "LABELBRIDGE_TEMPORAL__TASK_QUEUE": settings.temporal.task_queue,
        }
        return subprocess.run(
            [sys.executable, "-m", "labelbridge.cli.main", *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
            env=os.environ | stack.environment("operator") | own,
        )

    async def there(settings: Settings, *arguments: str) -> subprocess.CompletedProcess[str]:
        return await asyncio.to_thread(command, settings, *arguments)

    return there


async def test_an_operator_reads_the_outbox_tries_a_subscriber_and_lets_it_be_told_again(
    events_settings: MakeSettings, open_stores: OpenStores, worker: RunWorker, run: Run
) -> None:
    status = 200
    async with Receiver(answer=lambda _: web.Response(status=status)) as receiver:
        settings = events_settings()
        own = settings.temporal.task_queue
        found = events_settings(webhooks={own: receiver.settings}).events
        settings = settings.model_copy(update={"events": found})
        stores = await open_stores(settings)
        ids = [(await stores.outbox.append(an_event(number))).id for number in range(5)]
        tail, table, wrong = await asyncio.gather(
            run(settings, "events", "tail", "--from", "2", "-o", "json"),
            run(settings, "events", "tail"),
            run(settings, "events", "tail", "--from", "x", "-o", "json"),
        )
        assert [json.loads(line)["id"] for line in tail.stdout.splitlines()] == ids[2:], tail.stderr
        assert len(table.stdout.splitlines()) == 5
        assert (wrong.returncode, json.loads(wrong.stdout)["error"]["code"]) == (
            ExitCode.USAGE,
            "input_invalid",
        )
        async with worker(settings):
            replay = await run(settings, "events", "replay", "--to", own, "--from", "1", "-o", "json")
            assert replay.returncode == 0, replay.stderr
            await receiver.has(lambda r: r.ids() == ids[1:])
            status = 503
            tried, unknown = await asyncio.gather(
                run(settings, "events", "test", own, "-o", "json"),
                run(settings, "events", "replay", "--to", "nobody", "--from", "0", "-o", "json"),
            )
        assert (tried.returncode, json.loads(tried.stdout)["status"]) == (ExitCode.FINDINGS, 503)
        assert json.loads(unknown.stdout)["error"]["code"] == "subscriber_unknown"


async def test_an_operator_sets_a_policy_and_sees_it(
    stack: Stack, events_settings: MakeSettings, open_stores: OpenStores, run: Run
) -> None:
    settings = events_settings()
    await open_stores(settings)
    name = settings.temporal.task_queue
    made, refused = await asyncio.gather(
        run(settings, "policy", name, "--auto-sync", "every 15 min", "-o", "json"),
        run(settings, "policy", f"{name}-2", "--auto-sync", "sometimes", "-o", "json"),
    )
    assert made.returncode == 0, made.stderr
    assert json.loads(made.stdout)["mode"] == "every"
    assert json.loads(refused.stdout)["error"]["code"] == "input_invalid"
    seen, status = await asyncio.gather(
        run(settings, "policy", name), run(settings, "status", name, "-o", "json")
    )
    assert "every 15 min" in seen.stdout
    assert json.loads(status.stdout)["auto_sync"] == "every 15 min"
    off = await run(settings, "policy", name, "--auto-sync", "off")
    assert off.returncode == 0, off.stderr
