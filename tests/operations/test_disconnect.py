"""Labels that go to Azure ML and come back, by a switch or by the disconnect that ends it all."""

import asyncio
from pathlib import Path
from typing import Any

from labelbridge.client import Labelbridge
from labelbridge.local.referee import Labels
from labelbridge.local.stack import Stack
from labelbridge.model import (
    DisconnectRequest,
    JobRef,
    MergeReport,
    OperationResult,
    ProjectKind,
    Studio,
    SwitchRequest,
    SyncRequest,
)
from tests.operations.helpers import Bench, connect, follow, refused_at_once

SETS = {"d000.txt": "Train", "d001.txt": "Test", "d002.txt": "Train", "d003.txt": "Test"}
"""Documents that Language has assigned by hand."""


def _assigned(file: dict[str, Any]) -> None:
    for document in file["assets"]["documents"]:
        if document["location"] in SETS:
            document["dataset"] = SETS[document["location"]]


async def _sets(bench: Bench) -> dict[str, str]:
    file = await bench.language_file()
    return {one["location"]: one["dataset"] for one in file["assets"]["documents"] if one.get("dataset")}


async def test_with_azureml_active_a_disconnect_carries_its_labels_or_keeps_them_as_it_was_told(
    bridge: Labelbridge, stack: Stack, tmp_path: Path
) -> None:
    await asyncio.gather(
        *(_there_and_back_twice(bridge, stack, tmp_path, kind) for kind in ProjectKind),
        *(_discarded(bridge, stack, tmp_path, kind) for kind in ProjectKind),
    )


async def _there_and_back_twice(bridge: Labelbridge, stack: Stack, path: Path, kind: ProjectKind) -> None:
    """What was labelled in Azure ML wins, all else is Language's: by a switch, then by a disconnect."""
    bench, other = await asyncio.gather(
        Bench.make(stack, path, kind, change=_assigned), Bench.make(stack, path, kind)
    )
    own = dict(await bench.in_language())
    assert len(own) == 8
    await connect(bridge, bench)
    own = await _first_round(bridge, bench, own)
    own, gone = await _second_round(bridge, bench, own)
    assert (gone.active, gone.epoch) == (Studio.LANGUAGE, 4)
    assert await _sets(bench) == SETS
    await _is_parted_for_ever(bridge, bench, other)
    assert await bench.in_language() == own


async def _first_round(bridge: Labelbridge, bench: Bench, own: dict[str, Any]) -> dict[str, Any]:
    await follow(bridge, bench.ref, SwitchRequest(to=Studio.AZUREML))
    assert await bench.in_language() == own
    ours = {name: await bench.label(Studio.AZUREML, name, 1) for name in ("d000.txt", "d001.txt", "d009.txt")}
    assert ours["d000.txt"] != own["d000.txt"]
    await follow(bridge, bench.ref, SyncRequest())
    assert await bench.in_language() == ours
    back = await follow(bridge, bench.ref, SwitchRequest(to=Studio.LANGUAGE))
    merged = own | ours
    assert await bench.in_language() == merged
    assert await _sets(bench) == SETS
    await _reports(bench, back, merged, azureml=ours, taken=3, kept=6)
    assert await bench.gates_become(language=True, azureml=False)
    return merged


async def _second_round(
    bridge: Labelbridge, bench: Bench, own: dict[str, Any]
) -> tuple[dict[str, Any], OperationResult]:
    """`d000` is labelled in both rounds; `d009` only in Language since Azure ML was left."""
    between = {name: await bench.label(Studio.LANGUAGE, name, 3) for name in ("d000.txt", "d009.txt")}
    await follow(bridge, bench.ref, SwitchRequest(to=Studio.AZUREML))
    again = {name: await bench.label(Studio.AZUREML, name, 5) for name in ("d000.txt", "d010.txt")}
    gone = await follow(bridge, bench.ref, DisconnectRequest(labels="sync"))
    merged = own | between | again
    assert await bench.in_language() == merged
    azureml = await bench.in_azureml()
    await _reports(bench, gone, merged, azureml=azureml, taken=2, kept=len(merged) - 2)
    return merged, gone


async def _reports(
    bench: Bench, result: OperationResult, merged: Labels, *, azureml: Labels, taken: int, kept: int
) -> None:
    """The report's counts are true, and the snapshots that it names hold both sides."""
    report = result.merge
    assert report is not None
    assert result.snapshot is not None
    assert (report.taken, report.kept, report.cleared_count) == (taken, kept, 0)
    assert await bench.in_snapshot(report.snapshot) == merged
    assert result.snapshot.id in report.originals
    assert await bench.in_snapshot(result.snapshot.id) == azureml
    await _originals_are_kept(bench, report)


async def _originals_are_kept(bench: Bench, report: MergeReport) -> None:
    for original in report.originals:
        assert isinstance(await bench.in_snapshot(original), dict)


async def _is_parted_for_ever(bridge: Labelbridge, bench: Bench, other: Bench) -> None:
    """The job is archived and paused, its name stays taken, and nobody ever connects to it again."""
    evidence = bench.evidence
    assert await bench.gates_become(language=True, azureml=False)
    assert await asyncio.to_thread(evidence.job_is_retired)
    assert await asyncio.to_thread(evidence.linked_job) is None
    assert (await asyncio.to_thread(evidence.claim))["project"]["name"] == bench.ref.name
    record = await bench.record()
    assert record["connection"] is None
    assert record["transition"] is None
    assert [job["name"] for job in record["retired"]] == [bench.job.name]
    again = bridge.connect_project(bench.ref, job=bench.job)
    await refused_at_once(bench, again, "job_retired")
    theirs = bridge.connect_project(other.ref, job=bench.job)
    await refused_at_once(other, theirs, "job_claimed")
    for ask in (bridge.switch(bench.ref, to="azureml"), bridge.sync(bench.ref), bridge.disconnect(bench.ref)):
        await refused_at_once(bench, ask, "not_connected")


async def _discarded(bridge: Labelbridge, stack: Stack, path: Path, kind: ProjectKind) -> None:
    """Language has its own labels back although a sync had replaced them; a new job can be connected."""
    bench, other = await asyncio.gather(
        Bench.make(stack, path, kind, change=_assigned), Bench.make(stack, path, kind)
    )
    own = await bench.in_language()
    await connect(bridge, bench)
    await follow(bridge, bench.ref, SwitchRequest(to=Studio.AZUREML))
    ours = {name: await bench.label(Studio.AZUREML, name, 1) for name in ("d000.txt", "d009.txt")}
    synced = await follow(bridge, bench.ref, SyncRequest())
    assert synced.snapshot is not None
    assert await bench.in_snapshot(synced.snapshot.id) == ours
    assert await bench.in_language() == ours
    assert await bench.gates_become(language=False, azureml=True)
    await refused_at_once(bench, bridge.switch(bench.ref, to="azureml"), "already_active")
    await refused_at_once(bench, bridge.disconnect(bench.ref), "labels_undecided")
    ours["d010.txt"] = await bench.label(Studio.AZUREML, "d010.txt", 2)

    gone = await follow(bridge, bench.ref, DisconnectRequest(labels="discard"))
    assert await bench.in_language() == own
    assert await _sets(bench) == SETS
    assert gone.snapshot is not None
    assert gone.snapshot.source == "azureml"
    assert await bench.in_snapshot(gone.snapshot.id) == ours
    assert any(gone.snapshot.id in note for note in gone.notes)
    await _is_parted_for_ever(bridge, bench, other)

    renewed = bench.with_job(JobRef(workspace=bench.job.workspace, name=f"{bench.job.name}-2"))
    connected = await connect(bridge, renewed)
    assert (connected.active, connected.epoch) == (Studio.LANGUAGE, 2)
    assert await renewed.gates_become(language=True, azureml=False)
    record = await renewed.record()
    assert record["connection"]["job"]["name"] == renewed.job.name
    assert [job["name"] for job in record["retired"]] == [bench.job.name]
    assert await renewed.in_language() == own
