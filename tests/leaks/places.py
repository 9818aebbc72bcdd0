"""Everything that a run leaves behind: histories, schedules, the registry, logs."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

from google.protobuf.message import Message
from temporalio.api.common.v1 import Payload
from temporalio.client import Client

from labelbridge.local.demo_evidence import RECORDS_CONTAINER
from labelbridge.local.seed import RECORDS_ACCOUNT
from labelbridge.local.stack import Stack
from tests.leaks.scanner import Place

READABLE = {b"json/plain", b"json/protobuf", b"binary/null", b"binary/plain", b""}
"""Encodings of payloads that the scanner can read as they stand."""


def payloads(message: Message) -> Iterator[Payload]:
    """Every payload in a message of Temporal's, however deep."""
    if isinstance(message, Payload):
        yield message
        return
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        if field.message_type.GetOptions().map_entry:
            inner = field.message_type.fields_by_name["value"].message_type
            values: Any = value.values() if inner is not None else ()
        else:
            values = (value,) if isinstance(value, Message) else value
        for one in values:
            yield from payloads(one)


def as_place(name: str, message: Message) -> Place:
    """A message as it is stored, whose payloads must be readable: else the scan would find nothing in them."""
    for payload in payloads(message):
        encoding = payload.metadata.get("encoding", b"")
        assert encoding in READABLE, f"{name} has a payload in {encoding!r}, which is not scanned"
    return Place(name, message.SerializeToString())


async def histories(client: Client) -> AsyncIterator[Place]:
    """Each workflow of the namespace, all its runs: memo and search attributes, then each event."""
    async for execution in client.list_workflows():
        where = f"workflow {execution.id} {execution.run_id}"
        yield as_place(where, execution.raw_info)
        handle = client.get_workflow_handle(execution.id, run_id=execution.run_id)
        async for event in handle.fetch_history_events():
            yield as_place(f"{where} event {event.event_id}", event)
    async for schedule in await client.list_schedules():
        described = await client.get_schedule_handle(schedule.id).describe()
        yield as_place(f"schedule {schedule.id}", described.raw_description)


def blobs(stack: Stack) -> Iterator[Place]:
    """Every blob of the registry with its metadata: records, audit entries, events, dead letters, uploads."""
    container = stack.tenant.blobs("admin", RECORDS_ACCOUNT).get_container_client(RECORDS_CONTAINER)
    for blob in container.list_blobs(include=["metadata"]):
        content = container.download_blob(blob.name).readall()
        yield Place(f"blob {blob.name}", f"{blob.name} {blob.metadata}".encode() + content)


def logs(stack: Stack) -> Iterator[Place]:
    """The logs of the product's own processes, and Temporal's."""
    for name in stack.names:
        if name.startswith(("worker", "console", "temporal")):
            yield Place(f"log {name}", (stack.logs / f"{name}.log").read_bytes())


async def everything(stack: Stack, client: Client) -> list[Place]:
    """All of it."""
    found = [place async for place in histories(client)]
    return found + await asyncio.to_thread(lambda: [*blobs(stack), *logs(stack)])
