"""Both studios changed the same documents: the policy decides, the report has all values, nothing is lost."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from labelbridge.client import Labelbridge
from labelbridge.errors import LabelbridgeError
from labelbridge.local.api import segment
from labelbridge.local.referee import Labels
from labelbridge.local.stack import Stack
from labelbridge.model import DisconnectRequest, ProjectKind, Studio, SwitchRequest, SyncRequest
from tests.operations.helpers import TIMEOUT, Bench, connect, follow, refused_at_once
from tests.projects import CLASSES, ENTITIES

BOTH, AZUREML_ONLY, LANGUAGE_ONLY = "d000.txt", "d001.txt", "d002.txt"


async def test_a_merge_follows_its_policy_in_every_kind_of_project(
    bridge: Labelbridge, stack: Stack, tmp_path: Path
) -> None:
    lives = [_synced_and_switched_back(bridge, stack, tmp_path, kind) for kind in ProjectKind]
    await asyncio.gather(*lives, _united(bridge, stack, tmp_path), _discarded(bridge, stack, tmp_path))


async def _synced_and_switched_back(bridge: Labelbridge, stack: Stack, path: Path, kind: ProjectKind) -> None:
    """Refused with a report, then merged by a sync, then taken back with what was labelled since."""
    bench, before, theirs, ours = await _both_changed(bridge, stack, path, kind)

    refusing = await bridge.start(bench.ref, SyncRequest(merge=True, policy="refuse"))
    if kind is not ProjectKind.MULTI_LABEL:  # refused, not queued, although something runs
        with pytest.raises(LabelbridgeError, match="input_invalid"):
            await bridge.start(bench.ref, SyncRequest(merge=True, policy="union"))
    with pytest.raises(LabelbridgeError) as caught:
        await refusing.result(TIMEOUT)
    assert caught.value.code == "merge_conflict"
    (line,) = await _report(bench, caught.value.data["report"])
    assert line["document"] == BOTH
    assert line["language"] != line["azureml"]
    assert await bench.in_language() == ours
    if kind is not ProjectKind.MULTI_LABEL:
        await refused_at_once(bench, bridge.sync(bench.ref, merge=True, policy="union"), "input_invalid")

    merged = await follow(bridge, bench.ref, SyncRequest(merge=True))
    expected = {**ours, **theirs}
    assert await bench.in_language() == expected
    assert expected[LANGUAGE_ONLY] != before[LANGUAGE_ONLY]
    assert merged.merge is not None
    assert (merged.merge.policy, merged.merge.conflicts) == ("active", (BOTH,))
    (line,) = await _report(bench, merged.merge.report)
    assert line["merged"] == line["azureml"] | {"dataset": line["merged"].get("dataset"), "language": "en-us"}
    assert await bench.gates_become(language=False, azureml=True)

    later = await bench.label(Studio.AZUREML, BOTH, 4)
    back = await follow(bridge, bench.ref, SwitchRequest(to=Studio.LANGUAGE, policy="refuse"))
    assert back.merge is not None
    assert (back.merge.conflict_count, back.merge.report) == (0, None)
    assert await bench.in_language() == {**expected, BOTH: later}
    record = await bench.record()
    assert record["met"] == {}


async def _united(bridge: Labelbridge, stack: Stack, path: Path) -> None:
    """Multi-label classes of both sides are united where both changed."""
    bench, _, theirs, ours = await _both_changed(bridge, stack, path, ProjectKind.MULTI_LABEL)
    back = await follow(bridge, bench.ref, SwitchRequest(to=Studio.LANGUAGE, policy="union"))
    assert back.merge is not None
    assert back.merge.conflicts == (BOTH,)
    united = tuple(sorted({*ours[BOTH], *theirs[BOTH]}))
    assert await bench.in_language() == {**ours, **theirs, BOTH: united}


async def _discarded(bridge: Labelbridge, stack: Stack, path: Path) -> None:
    """A disconnect that discards gives Language what it had before a merging sync."""
    bench = await Bench.make(stack, path, ProjectKind.ENTITIES)
    own = await bench.in_language()
    await connect(bridge, bench)
    await follow(bridge, bench.ref, SwitchRequest(to=Studio.AZUREML))
    await bench.label(Studio.AZUREML, AZUREML_ONLY, 3)
    await follow(bridge, bench.ref, SyncRequest(merge=True))
    assert await bench.in_language() != own
    await follow(bridge, bench.ref, DisconnectRequest(labels="discard"))
    assert await bench.in_language() == own


async def _both_changed(
    bridge: Labelbridge, stack: Stack, path: Path, kind: ProjectKind
) -> tuple[Bench, Labels, Labels, Labels]:
    """Language's labels before; what Azure ML labelled; Language's labels after a change past its gate."""
    bench = await Bench.make(stack, path, kind)
    before = await bench.in_language()
    await connect(bridge, bench)
    await follow(bridge, bench.ref, SwitchRequest(to=Studio.AZUREML))
    theirs = {name: await bench.label(Studio.AZUREML, name, 3) for name in (BOTH, AZUREML_ONLY)}
    file = await bench.language_file()
    for document in file["assets"]["documents"]:
        if document["location"] in (BOTH, LANGUAGE_ONLY):
            _relabel(kind, document)
    path_of_import = f"/{segment(bench.ref.name)}/:import"
    endpoint = stack.tenant.language_endpoint
    await asyncio.to_thread(bench.evidence.caller.language_job, "POST", endpoint, path_of_import, file)
    ours = await bench.in_language()
    assert {name for name in before if ours[name] != before[name]} == {BOTH, LANGUAGE_ONLY}
    return bench, before, theirs, ours


def _relabel(kind: ProjectKind, document: dict[str, Any]) -> None:
    """Other labels than anybody else gives the document."""
    match kind:
        case ProjectKind.ENTITIES:
            label = {"category": ENTITIES[1], "offset": 0, "length": 6}
            document["entities"][0]["labels"] = [label]
        case ProjectKind.SINGLE_LABEL:
            given = document["class"]["category"]
            document["class"] = {"category": CLASSES[(CLASSES.index(given) + 1) % 3]}
        case ProjectKind.MULTI_LABEL:
            document["classes"] = [{"category": CLASSES[2]}]


async def _report(bench: Bench, name: str | None) -> list[dict[str, Any]]:
    assert name is not None
    download = await asyncio.to_thread(bench._records.download_blob, name)
    data = await asyncio.to_thread(download.readall)
    return [json.loads(line) for line in data.splitlines()]
