"""After a run with everything in it, no history, log, event, audit entry or blob holds a secret.

The scan is tried too: each kind of secret is planted in one of the places, and must be found there.
"""

import asyncio
import base64
import json
import sqlite3
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from temporalio.client import Client

from labelbridge.client import Labelbridge
from labelbridge.local.console import KEY_FILE
from labelbridge.local.demo_evidence import RECORDS_CONTAINER
from labelbridge.local.seed import RECORDS_ACCOUNT
from labelbridge.model import ProjectKind
from tests.events.receiver import Receiver
from tests.leaks.places import everything
from tests.leaks.scanner import SHAPES, Place, Scanner
from tests.leaks.story import CODE, QUOTED, Story, Watched
from tests.operations.rehearsal import Rehearsal, eventually


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    """A stack of its own: its worker's webhook has a secret, and all that is in its namespace is this run."""
    stack = Watched(tmp_path / "stack", workers=0, tuned=True, console=True, reconcile="PT1H")
    with stack:
        yield stack


def secrets_of(stack: Watched, receiver: Receiver) -> dict[str, list[str]]:
    """What the run's own services know to be secret."""
    state = sqlite3.connect(f"file:{stack.directory / 'azure' / 'azure.sqlite3'}?mode=ro", uri=True)
    headers = [
        header for (header,) in state.execute("SELECT header FROM principals WHERE header IS NOT NULL")
    ]
    state.close()
    accounts = json.loads((stack.directory / "azurite" / "accounts.json").read_text())
    tokens = [
        stack.tenant.caller(who).token("https://storage.azure.com").token
        for who in ("worker", "console", "operator")
    ]
    console = stack.child("console").environment
    pem = (stack.directory / "azure" / "signing-key.pem").read_text().splitlines()
    return {
        "issued token": [part for token in tokens for part in (token, token.partition(".")[0])],
        "identity header": headers,
        "storage key": list(accounts.values()),
        "session key": [json.loads((stack.directory / KEY_FILE).read_text())["session_key"]],
        "client secret": [console["LABELBRIDGE_CONSOLE__CLIENT_SECRET"]],
        "signing key": pem[1:3],
        "webhook key": [receiver.secret, receiver.secret.removeprefix("whsec_")],
        "sign-in code": [CODE],
        "quoted by Azure": [text.split()[-1].rpartition("sig=")[2] for text in QUOTED.values()],
    }


async def test_a_whole_run_leaves_no_secret_in_any_history_log_event_audit_entry_or_blob(
    watched: Watched, tmp_path: Path
) -> None:
    async with Receiver() as receiver:
        watched.subscriber = receiver.settings
        await asyncio.to_thread(watched.add_worker)
        with watched.acting_as("operator"):
            async with Labelbridge.connect(watched.settings("operator")) as bridge:
                rehearsal = Rehearsal.make(
                    watched, bridge, tmp_path, ProjectKind.ENTITIES, documents=12, labelled=8
                )
                story = Story(watched, rehearsal, receiver, tmp_path)
                try:
                    await story.run()
                finally:
                    await asyncio.to_thread(rehearsal.labelers.stop)
                client = bridge.client
                trail = await bridge.history(rehearsal.ref)
        await _listed(client, {f"{rehearsal.ref.workflow_id}/{entry.operation_id}" for entry in trail})
        scanner = Scanner(secrets_of(watched, receiver))
        found = await everything(watched, client) + story.told
        _all_was_read(found)
        assert scanner.search(found) == frozenset()
        await _planted_is_found(watched, client, scanner, secrets_of(watched, receiver))


async def _listed(client: Client, ids: set[str]) -> None:
    """Wait until Temporal's list, which is late, has all of these."""

    async def look() -> bool | None:
        return True if not ids - {one.id async for one in client.list_workflows()} else None

    await eventually(look, "Temporal does not list what ran")


def _all_was_read(places: list[Place]) -> None:
    """A scan of nothing finds nothing: every sort of place is there, with what the run must have left in it."""
    whole = {sort: b"".join(p.content for p in places if p.name.startswith(sort)) for sort in SORTS}
    assert {sort: [word for word in words if word not in whole[sort]] for sort, words in SORTS.items()} == {
        sort: [] for sort in SORTS
    }


SORTS = {
    "workflow": [b"InjectedFault", b"[redacted]", b"export_labels", b"LabelbridgeState", b"preflight_failed"],
    "schedule": [b"labelbridge"],
    "blob audit/": [b"InjectedFault", b"preflight_failed", b"disconnect"],
    "blob events/log/": [b"io.labelbridge.operation.rolled_back", b"InjectedFault"],
    "blob uploads/": [b"AmlDatastore://"],
    "blob projects/": [b"schema_version"],
    "log worker-1": [b"worker_ready"],
    "log console": [b"/api/v1/projects", b"/auth/callback"],
    "delivery": [b"io.labelbridge.labels.synced", b"InjectedFault"],
    "stdout": [b"already_active"],
    "answer": [b"committed"],
}
"""Beginnings of the places' names, and what must stand there."""


async def _planted_is_found(
    stack: Watched, client: Client, scanner: Scanner, known: dict[str, list[str]]
) -> None:
    """One of each kind of secret in one place each, by the ways that such things get there."""
    container = stack.tenant.blobs("admin", RECORDS_ACCOUNT).get_container_client(RECORDS_CONTAINER)

    planted: set[str] = set()

    async def in_history(value: str, **more: object) -> None:
        workflow_id = f"planted-{uuid.uuid4().hex}"
        planted.add(workflow_id)
        handle = await client.start_workflow("nobody", value, id=workflow_id, task_queue="nobody", **more)  # type: ignore[call-overload]
        await handle.terminate()

    async def in_log(value: str) -> None:
        with (stack.logs / "worker-1.log").open("a") as file:
            file.write(f"{value}\n")

    async def in_blob(value: str) -> None:
        await asyncio.to_thread(
            container.upload_blob, f"audit/planted/{uuid.uuid4().hex}.json", value.encode()
        )

    await in_history(f"https://x.example/c?{QUOTED['signature']}")
    await in_history("x", memo={"note": known["issued token"][0]})
    await in_log(f"sent {QUOTED['header']}")
    await in_log(known["identity header"][0])
    await in_log(base64.b64encode(known["client secret"][0].encode()).decode())
    for kind in ("storage key", "session key", "webhook key", "signing key"):
        await in_blob(known[kind][0])
    await in_blob("-----BEGIN PRIVATE KEY-----")
    await in_blob(f"https://console.example/auth/callback?code={known['sign-in code'][0]}")

    await _listed(client, planted)
    leaks = scanner.search(await everything(stack, client))
    assert scanner.kinds - {leak.kind for leak in leaks} == set()
    sorts = {leak.place.split()[0] for leak in leaks}
    assert sorts == {"workflow", "blob", "log"}


@pytest.mark.parametrize("kind", SHAPES)
def test_a_shape_is_told_from_what_is_none(kind: str) -> None:
    secret = {
        "token": "eyJhbGciOiJSUzI1NiJ9.eyJvaWQiOiJhYmMifQ0.c2lnbmF0dXJlLV85",
        "header": "authorization: Bearer abcdefgh12345678",
        "signature": "https://a/b?sv=1\\u0026sig=aB3%2Fx%3D123",
        "account key": base64.b64encode(bytes(range(64))).decode(),
        "private key": "-----BEGIN RSA PRIVATE KEY-----",
        "webhook secret": "whsec_" + base64.b64encode(bytes(32)).decode(),
    }[kind]
    scanner = Scanner({})
    assert kind in {leak.kind for leak in scanner.search([Place("x", secret.encode())])}
    innocent = (
        b"sig=[redacted] Bearer [redacted] eyJ whsec_ "
        + b"9f" * 64
        + b" design=assigned, sha512="
        + b"a" * 88
    )
    assert scanner.search([Place("x", innocent)]) == frozenset()


def test_a_secret_that_is_as_short_as_a_word_is_refused() -> None:
    with pytest.raises(ValueError, match="too short"):
        Scanner({"pin": ["1234"]})
