"""Train and Test: documents keep what they had in Language, or all are left to the service; as was asked."""

import asyncio
from pathlib import Path
from typing import Any

from labelbridge.client import Labelbridge
from labelbridge.labels.split import by_name
from labelbridge.local.stack import Stack
from labelbridge.model import ProjectKind, Studio, SwitchRequest, SyncRequest, TrainRequest
from tests.operations.helpers import Bench, connect, follow

PERCENT = 40


async def test_documents_stay_in_train_and_test_if_so_asked(
    bridge: Labelbridge, stack: Stack, tmp_path: Path
) -> None:
    await asyncio.gather(*(_split(bridge, stack, tmp_path, kind) for kind in ProjectKind))


async def _split(bridge: Labelbridge, stack: Stack, path: Path, kind: ProjectKind) -> None:
    bench = await Bench.make(stack, path, kind, change=_assign)
    before = await _datasets(bench)
    assert set(before.values()) >= {"Train", "Test"}
    await connect(bridge, bench)
    await follow(bridge, bench.ref, SwitchRequest(to=Studio.AZUREML))
    for number in range(12):
        await bench.label(Studio.AZUREML, f"d{number:03}.txt", 1)

    await follow(bridge, bench.ref, SyncRequest(split="keep", test_percent=PERCENT))
    kept = await _datasets(bench)
    known = {name: dataset for name, dataset in before.items() if dataset}
    new = {name: by_name(name, PERCENT) for name in kept if name not in known}
    assert new
    assert kept == known | new

    trained = await follow(bridge, bench.ref, TrainRequest(model="kept", labels="as-is", split="keep"))
    assert trained.model is not None
    assert await _datasets(bench) == kept

    await follow(bridge, bench.ref, TrainRequest(model="given", split="service", train_percent=60))
    assert set((await _datasets(bench)).values()) == {"Train"}

    await follow(bridge, bench.ref, SwitchRequest(to=Studio.LANGUAGE, split="keep", test_percent=PERCENT))
    assert await _datasets(bench) == kept


def _assign(file: dict[str, Any]) -> None:
    """Every third labelled document is in Test, every fifth nowhere."""
    for number, document in enumerate(file["assets"]["documents"]):
        if number % 5 != 4:
            document["dataset"] = "Test" if number % 3 == 0 else "Train"


async def _datasets(bench: Bench) -> dict[str, str | None]:
    file = await bench.language_file()
    return {one["location"]: one.get("dataset") for one in file["assets"]["documents"]}
