"""Ready only while the process can do its work; alive as long as its event loop answers."""

import asyncio
import json
from typing import Any

import pytest

from labelbridge.errors import LabelbridgeError
from labelbridge.local.processes import free_port
from labelbridge.model import SyncRequest
from labelbridge.telemetry import health
from labelbridge.telemetry.server import Telemetry
from labelbridge.telemetry.settings import TelemetrySettings
from tests.operations.helpers import TIMEOUT
from tests.operations.rehearsal import Fault, eventually
from tests.telemetry.conftest import Fleet, ShownWorker


def ready(worker: ShownWorker) -> tuple[int, dict[str, Any]]:
    status, text = worker.get("/readyz")
    return status, dict(json.loads(text))


async def becomes(worker: ShownWorker, status: int) -> dict[str, Any]:
    async def look() -> dict[str, Any] | None:
        found, said = await asyncio.to_thread(ready, worker)
        return said if found == status else None

    return await eventually(look, f"readiness never becomes {status}")


async def test_a_worker_is_not_ready_while_temporal_is_gone_and_ready_again_when_it_is_back(
    fleet: Fleet,
) -> None:
    everything = {"ready": True, "checks": {"temporal": "ok", "registry": "ok", "worker": "ok"}}
    assert await becomes(fleet.worker, 200) == everything
    temporal = fleet.stack.child("temporal")
    await asyncio.to_thread(temporal.kill)
    try:
        said = await becomes(fleet.worker, 503)
        assert said["checks"]["registry"] == said["checks"]["worker"] == "ok"
        assert said["checks"]["temporal"] != "ok"
        assert fleet.worker.get("/healthz") == (200, "ok\n")

        async def unknown() -> bool | None:
            seen = await asyncio.to_thread(fleet.worker.scrape)
            gone = "labelbridge_waiting_for_person" not in seen.names
            return True if gone and seen.values("labelbridge_fleet_seen") == {(): 0} else None

        await eventually(unknown, "a gauge of the fleet outlives the last look")
    finally:
        await asyncio.to_thread(temporal.start)
    assert await becomes(fleet.worker, 200) == everything


async def test_a_worker_that_is_told_to_stop_is_not_ready_and_is_alive_until_its_step_has_ended(
    fleet: Fleet,
) -> None:
    async with fleet.bridge() as bridge:
        with Fault(fleet.stack, r":export\?", "hang") as fault:
            handle = await bridge.start(fleet.bench.ref, SyncRequest())
            await fault.holds()
            stopping = asyncio.create_task(asyncio.to_thread(fleet.worker.stop, 60))
            assert (await becomes(fleet.worker, 503))["checks"] == {"process": "stopping"}
            assert fleet.worker.get("/healthz") == (200, "ok\n")
        await stopping
        await asyncio.to_thread(fleet.worker.start)
        await handle.result(TIMEOUT)


async def test_one_refusal_of_the_record_store_does_not_count_and_a_lasting_one_does() -> None:
    clock, refused, asked = [1000.0], [False], [0]

    async def ask() -> None:
        asked[0] += 1
        if refused[0]:
            raise LabelbridgeError("registry_unreachable")

    readiness = health.Readiness(lambda: clock[0])
    readiness.add("registry", health.answers_lately(ask, 120, lambda: clock[0]))
    assert await readiness.look() == {"process": "starting"}
    readiness.started()
    assert all(await asyncio.gather(*(readiness.is_ready() for _ in range(50))))
    assert asked[0] == 1  # anybody may ask a console, as often as they like
    refused[0] = True
    clock[0] += 119
    assert await readiness.is_ready()
    clock[0] += 2
    assert await readiness.look() == {"registry": "registry_unreachable"}
    refused[0] = False
    clock[0] += 2
    assert await readiness.is_ready()


async def test_without_a_port_nothing_is_served_and_with_one_that_is_taken_it_is_said() -> None:
    async with Telemetry(TelemetrySettings()).serving():
        pass
    taken = Telemetry(TelemetrySettings(port=free_port()))
    taken.begin()
    async with taken.serving():
        with pytest.raises(LabelbridgeError, match="cannot serve") as refused:
            async with taken.serving():
                pass
    assert refused.value.code == "settings_invalid"
