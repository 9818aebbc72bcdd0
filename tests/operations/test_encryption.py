"""With encryption on, Temporal holds nothing that tells of projects, people and labels, and everything works."""

import asyncio
import base64
import json
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from temporalio.client import Client, WorkflowQueryFailedError
from temporalio.service import RPCError

from labelbridge import converter, names
from labelbridge.client import Labelbridge
from labelbridge.encryption.marks import ENCODING
from labelbridge.errors import LabelbridgeError
from labelbridge.local.processes import Child
from labelbridge.local.seed import RECORDS_ACCOUNT
from labelbridge.local.stack import Stack
from labelbridge.model import ProjectKind, ProjectSummary, Studio, SwitchRequest
from labelbridge.settings import Settings
from tests.encryption.histories import sealed_by
from tests.namespaces import make_namespace
from tests.operations.rehearsal import Fault, Rehearsal, eventually


@dataclass
class Sealed:
    """Processes of the shared stack that keep a registry, a task queue and keys of their own."""

    stack: Stack
    settings: Settings
    variables: dict[str, str]
    worker: Child

    def rotate(self, active: str, *ids: str) -> None:
        """Change the key file, whole, as a mounted Secret changes."""
        write_keys(Path(self.variables["LABELBRIDGE_ENCRYPTION__KEYS_FILE"]), active, *ids)


def write_keys(path: Path, active: str, *ids: str) -> Path:
    keys = {name: base64.b64encode(name.encode().ljust(32, b".")).decode() for name in ids}
    new = path.with_suffix(".new")
    new.touch(mode=0o600)
    new.write_text(json.dumps({"active": active, "keys": keys}))
    return new.replace(path)


@pytest.fixture
def sealed(stack: Stack, tmp_path: Path) -> Iterator[Sealed]:
    # A namespace too: who lists all projects without these keys is refused, as other rooms' tests would be.
    container = namespace = f"p{uuid.uuid4().hex}"
    asyncio.run(make_namespace(stack.temporal.address, namespace))
    stack.tenant.blobs("operator", RECORDS_ACCOUNT).create_container(container)
    own = {
        "ENCRYPTION__KEYS_FILE": str(write_keys(tmp_path / "keys.json", "k1", "k1")),
        "ENCRYPTION__REFRESH": "PT1S",
        "ENCRYPTION__UNKNOWN_KEY_PAUSE": "PT0S",
        "STORAGE__ACCOUNT": RECORDS_ACCOUNT,
        "STORAGE__CONTAINER": container,
        "STORAGE__THRESHOLD": "1500",
        "REGISTRY__CONTAINER": f"r{uuid.uuid4().hex}",
        "TEMPORAL__NAMESPACE": namespace,
        "TEMPORAL__TASK_QUEUE": f"sealed-{uuid.uuid4().hex}",
    }
    variables = {f"LABELBRIDGE_{name}": value for name, value in own.items()}
    settings = _with(stack.settings("operator"), own)
    worker = stack.add_worker(variables=variables)
    yield Sealed(stack, settings, variables, worker)
    worker.stop()


def _with(settings: Settings, own: dict[str, str]) -> Settings:
    fields: dict[str, Any] = settings.model_dump(exclude_unset=True)
    for name, value in own.items():
        section, field = name.lower().split("__")
        fields.setdefault(section, {})[field] = value
    return Settings(_env_file=None, **fields)


@pytest.fixture
async def sealed_bridge(sealed: Sealed) -> AsyncIterator[Labelbridge]:
    with sealed.stack.acting_as("operator"):
        async with Labelbridge.connect(sealed.settings) as connected:
            yield connected


async def test_an_operation_leaves_no_plaintext_survives_a_rotation_and_needs_its_keys(
    stack: Stack, sealed: Sealed, sealed_bridge: Labelbridge, tmp_path: Path
) -> None:
    r = Rehearsal.make(stack, sealed_bridge, tmp_path, ProjectKind.ENTITIES, documents=12, labelled=8)
    await r.connect()
    with Fault(stack, f"/{r.ref.name}/:export", "hang") as held:
        handle = await r.bridge.start(r.ref, SwitchRequest(to=Studio.AZUREML))
        await held.holds()
        sealed.rotate("k2", "k1", "k2")
    assert (await handle.result(300)).active is Studio.AZUREML

    await _lists_show_it_to_who_has_the_keys(r)
    assert await _history_is_sealed(r) == {"k1", "k2"}
    await _blobs_are_sealed(r, sealed)
    await _without_the_key_it_is_named(r, sealed, tmp_path)
    assert (await r.bridge.sync(r.ref, timeout=300)).source == "azureml"


async def _history_is_sealed(r: Rehearsal) -> set[str]:
    """Read as Temporal's operators can; returns the ids of the keys that encrypted it."""
    raw = await Client.connect(r.stack.temporal.address, namespace=r.bridge.client.namespace)
    actor = r.stack.tenant.principals["operator"].object_id
    secrets = {r.ref.name, r.job_name, actor, *r.evidence.folder.categories}
    keys: set[str] = set()
    trail = await r.bridge.history(r.ref)
    for workflow_id in (r.ref.workflow_id, *(f"{r.ref.workflow_id}/{e.operation_id}" for e in trail)):
        history = await raw.get_workflow_handle(workflow_id).fetch_history()
        described = await raw.get_workflow_handle(workflow_id).describe()
        for message in (*history.events, described.raw_description):
            keys |= sealed_by(message)
            # Ids are not encrypted: they, and the blobs that are named by them, show the project's name.
            text = str(message).replace(r.ref.workflow_id, "").replace(quote(r.ref.workflow_id, safe=""), "")
            assert not [secret for secret in secrets if secret in text], text
    return keys


async def _lists_show_it_to_who_has_the_keys(r: Rehearsal) -> None:
    """The memo, of which the console's list is made, by the same client; another is told the key's name."""

    async def look() -> ProjectSummary | None:
        async for found in r.bridge.client.list_workflows(f"WorkflowId = '{r.ref.workflow_id}'"):
            summary = await found.memo_value(names.SUMMARY, None, type_hint=ProjectSummary)
            return (
                summary if isinstance(summary, ProjectSummary) and summary.active is Studio.AZUREML else None
            )
        return None

    assert (await eventually(look, "the memo never showed the switch")).project == r.ref
    namespace = r.bridge.client.namespace
    without = await Client.connect(
        r.stack.temporal.address, namespace=namespace, data_converter=converter.PLAIN
    )
    described = await without.get_workflow_handle(r.ref.workflow_id).describe()
    with pytest.raises(LabelbridgeError, match="'k2'") as caught:
        await described.memo_value(names.SYNCS_BEGUN)
    assert caught.value.code == "encryption_key_unknown"


async def _blobs_are_sealed(r: Rehearsal, sealed: Sealed) -> None:
    def look() -> list[bytes]:
        container = sealed.settings.storage.container
        client = r.stack.tenant.blobs("operator", RECORDS_ACCOUNT).get_container_client(container)
        return [client.download_blob(name).readall() for name in client.list_blob_names()]

    contents = await asyncio.to_thread(look)
    assert contents
    assert all(ENCODING in content and r.ref.name.encode() not in content for content in contents)


async def _without_the_key_it_is_named(r: Rehearsal, sealed: Sealed, folder: Path) -> None:
    """A worker with another key does nothing and says which one it needs; one that has it goes on."""
    sealed.worker.stop()
    other = write_keys(folder / "other.json", "k9", "k9")
    stranger = r.stack.add_worker(
        variables=sealed.variables | {"LABELBRIDGE_ENCRYPTION__KEYS_FILE": str(other)}
    )

    async def said() -> bool | None:
        with suppress(RPCError, WorkflowQueryFailedError):
            entity = r.bridge.client.get_workflow_handle(r.ref.workflow_id)
            await entity.query(names.STATUS, rpc_timeout=timedelta(seconds=3))
        log = await asyncio.to_thread(stranger.log.read_text)
        return True if "encryption_key_unknown" in log and "'k9'" in log else None

    try:
        await eventually(said, "the worker did not name the key")
    finally:
        stranger.stop()
    sealed.worker.start()
