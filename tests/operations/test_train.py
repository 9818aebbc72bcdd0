"""A model is trained on the labels that were named, the record names them, and the service agrees."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from labelbridge.client import Labelbridge
from labelbridge.errors import LabelbridgeError
from labelbridge.local.api import segment
from labelbridge.local.referee import Labels
from labelbridge.local.stack import Stack
from labelbridge.model import (
    ModelRecord,
    Outcome,
    ProjectKind,
    Studio,
    SwitchRequest,
    SyncRequest,
    TrainRequest,
)
from tests.operations.helpers import (
    TIMEOUT,
    Bench,
    carry_out,
    connect,
    follow,
    refused_by_preflight,
)


async def _trained(
    bridge: Labelbridge, bench: Bench, expected: Labels, model: str, **asked: Any
) -> ModelRecord:
    """Train; what the service says the model was trained on is what the record names, and is `expected`."""
    result = await follow(bridge, bench.ref, TrainRequest(model=model, **asked))
    assert result.model is not None
    assert await bench.in_language(trained_model=model) == expected
    assert await bench.in_snapshot(result.model.snapshot) == expected
    recorded = {one["label"]: one for one in (await bench.record())["models"]}
    assert ModelRecord.model_validate(recorded[model]) == result.model
    assert result.model.evaluation
    assert all(0 <= figure <= 1 for figure in result.model.evaluation.values())
    return result.model


async def _fails(bridge: Labelbridge, bench: Bench, request: TrainRequest, code: str) -> LabelbridgeError:
    """A training that fails and leaves Language's labels, the gates and the models as they were."""
    labels, before = await bench.in_language(), await bench.standing()
    models = (await bridge.status(bench.ref)).models
    with pytest.raises(LabelbridgeError) as caught:
        await carry_out(bridge, bench.ref, request)
    assert caught.value.code == code, caught.value.message
    assert await bench.in_language() == labels
    assert (await bridge.status(bench.ref)).models == models
    after = await bench.standing()
    assert after.gates == before.gates
    (entry,) = [await bench.audit_entry(name) for name in after.operations - before.operations]
    assert entry.outcome in (Outcome.REFUSED, Outcome.ROLLED_BACK)
    assert entry.error is not None
    assert entry.error.code == code
    return caught.value


async def test_a_model_is_trained_on_the_labels_that_were_named_or_everything_is_put_back(
    bridge: Labelbridge, stack: Stack, tmp_path: Path
) -> None:
    lives = (_unconnected, _with_azureml_active, _too_few_documents)
    await asyncio.gather(*(life(bridge, stack, tmp_path, kind) for life in lives for kind in ProjectKind))


async def _unconnected(bridge: Labelbridge, stack: Stack, path: Path, kind: ProjectKind) -> None:
    """A project without a connection is trained on its own labels, and deployed if asked."""
    bench = await Bench.make(stack, path, kind)
    own = dict(await bench.in_language())
    first = await _trained(bridge, bench, own, "m1", deployment="production")
    assert (first.labels, first.deployment) == ("latest", "production")
    caller, endpoint = stack.tenant.caller("operator"), stack.tenant.language_endpoint
    deployment = f"/{segment(bench.ref.name)}/deployments/production"
    deployed = (await asyncio.to_thread(caller.language, "GET", endpoint, deployment)).body
    assert deployed["modelId"].startswith("m1-")

    again = await _trained(bridge, bench, own, "m2", labels=first.snapshot)
    assert (again.labels, again.snapshot) == (first.snapshot, first.snapshot)

    changed = own | {"d000.txt": await bench.label(Studio.LANGUAGE, "d000.txt", 5)}
    assert changed != own
    older = TrainRequest(model="m3", labels=first.snapshot)
    await _fails(bridge, bench, older, "snapshot_needs_gated_language")
    await _fails(bridge, bench, TrainRequest(model="m3", labels="0" * 64), "snapshot_unknown")
    await refused_by_preflight(bench, bridge.train(bench.ref, model="m1", timeout=TIMEOUT), "model_exists")
    newer = await _trained(bridge, bench, changed, "m3", labels="as-is")
    assert newer.snapshot != first.snapshot


async def _with_azureml_active(bridge: Labelbridge, stack: Stack, path: Path, kind: ProjectKind) -> None:
    """Labels of the gated studio are used only where they were asked for; the gates stay as they are."""
    bench = await Bench.make(stack, path, kind)
    own = dict(await bench.in_language())
    await connect(bridge, bench)
    await follow(bridge, bench.ref, SwitchRequest(to=Studio.AZUREML))
    wanted = [f"d{number:03}.txt" for number in range(1, 12, 2)]
    ours = {name: await bench.label(Studio.AZUREML, name, 1) for name in wanted}

    as_is = await _trained(bridge, bench, own, "as-it-was", labels="as-is")
    latest = await _trained(bridge, bench, ours, "latest", labels="latest")
    assert await bench.in_language() == ours
    old = await _trained(bridge, bench, own, "old", labels=as_is.snapshot)
    assert old.snapshot == as_is.snapshot != latest.snapshot
    assert await bench.in_language() == own
    assert await bench.gates_become(language=False, azureml=True)
    assert await bench.in_azureml() == ours


async def _too_few_documents(bridge: Labelbridge, stack: Stack, path: Path, kind: ProjectKind) -> None:
    """Language wants ten documents: the failure carries its message, and its former labels are back."""
    bench = await Bench.make(stack, path, kind, documents=8, labelled=6)
    await connect(bridge, bench)
    await follow(bridge, bench.ref, SwitchRequest(to=Studio.AZUREML))
    await bench.label(Studio.AZUREML, "d007.txt", 2)
    failure = await _fails(bridge, bench, TrainRequest(model="m1"), "azure_job_failed")
    assert "Training needs at least 10 documents; the container has 8." in failure.message
    assert (await bridge.history(bench.ref))[-1].outcome is Outcome.ROLLED_BACK
    synced = await follow(bridge, bench.ref, SyncRequest())
    assert synced.snapshot is not None
    assert synced.snapshot.documents == 1
