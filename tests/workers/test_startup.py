"""A worker says what it cannot reach and ends; what a namespace lacks it adds or names."""

import asyncio
import os
import subprocess
import sys
import uuid

import pytest
from structlog.testing import capture_logs
from temporalio.api.operatorservice.v1 import ListSearchAttributesRequest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from labelbridge.errors import ExitCode, LabelbridgeError
from labelbridge.local import processes
from labelbridge.local.temporal import TemporalServer, binary
from labelbridge.settings import Settings, TemporalSettings
from workers.startup import SEARCH_ATTRIBUTES, connect_temporal, register_search_attributes


def settings_for(address: str, **fields: object) -> Settings:
    return Settings(temporal=TemporalSettings.model_validate({"address": address, **fields}))


async def test_a_worker_waits_for_a_temporal_that_is_still_starting(temporal: TemporalServer) -> None:
    client = await connect_temporal(settings_for(temporal.address))
    assert client.namespace == "default"


async def test_an_unreachable_temporal_is_named_after_the_connect_timeout() -> None:
    address = f"127.0.0.1:{processes.free_port()}"
    with pytest.raises(LabelbridgeError) as caught:
        await connect_temporal(settings_for(address, connect_timeout=1))
    assert caught.value.code == "temporal_unreachable"
    assert address in caught.value.message


async def test_a_namespace_that_does_not_exist_is_named_at_once(temporal: TemporalServer) -> None:
    with pytest.raises(LabelbridgeError) as caught:
        await connect_temporal(settings_for(temporal.address, namespace="nowhere"))
    assert caught.value.code == "temporal_unreachable"
    assert "nowhere" in caught.value.message


async def test_missing_search_attributes_are_added_once(temporal: TemporalServer) -> None:
    namespace = f"fresh-{uuid.uuid4().hex[:8]}"
    create = [str(binary()), "operator", "namespace", "create", "--namespace", namespace]
    create += ["--address", temporal.address]
    await asyncio.to_thread(subprocess.run, create, check=True, capture_output=True, timeout=60)
    client = await connect_temporal(settings_for(temporal.address, namespace=namespace))
    await register_search_attributes(client)
    await register_search_attributes(client)
    listed = await client.operator_service.list_search_attributes(
        ListSearchAttributesRequest(namespace=namespace)
    )
    assert set(SEARCH_ATTRIBUTES) <= set(listed.custom_attributes)


async def test_who_may_not_look_at_the_search_attributes_only_warns(temporal: TemporalServer) -> None:
    client = await Client.connect(temporal.address, namespace="nowhere")
    with capture_logs() as lines:
        await register_search_attributes(client)
    assert [(line["event"], line["log_level"]) for line in lines] == [
        ("search_attributes_not_known", "warning")
    ]


async def test_a_worker_refuses_a_namespace_that_lacks_one_which_it_may_not_add(
    temporal: TemporalServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The dev server lets everybody add them, so the refusal is a stand-in.
    async def forbidden(*_: object, **__: object) -> None:
        raise RPCError("Request unauthorized.", RPCStatusCode.PERMISSION_DENIED, b"")

    client = await connect_temporal(settings_for(temporal.address))
    monkeypatch.setattr("workers.startup.SEARCH_ATTRIBUTES", ("LabelbridgeOfALaterVersion",))
    monkeypatch.setattr(client.operator_service, "add_search_attributes", forbidden)
    with pytest.raises(LabelbridgeError) as refused:
        await register_search_attributes(client)
    assert refused.value.code == "search_attributes_missing"
    assert "LabelbridgeOfALaterVersion" in refused.value.message
    assert "temporal operator search-attribute create" in refused.value.remedy


def worker(**environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "labelbridge.cli.main", "worker"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env=os.environ | {"LABELBRIDGE_TEMPORAL__CONNECT_TIMEOUT": "PT2S", **environment},
    )


def test_the_process_ends_with_7_when_temporal_cannot_be_reached() -> None:
    done = worker(LABELBRIDGE_TEMPORAL__ADDRESS=f"127.0.0.1:{processes.free_port()}")
    assert done.returncode == ExitCode.UNREACHABLE, done.stderr
    assert "temporal_unreachable: " in done.stderr
    assert "Traceback" not in done.stderr


async def test_the_process_ends_with_7_when_the_record_store_cannot_be_reached(
    temporal: TemporalServer,
) -> None:
    done = await asyncio.to_thread(
        worker,
        LABELBRIDGE_TEMPORAL__ADDRESS=temporal.address,
        LABELBRIDGE_REGISTRY__ACCOUNT="ledger",
        LABELBRIDGE_AZURE__STORAGE_ENDPOINT=f"https://127.0.0.1:{processes.free_port()}/{{account}}",
        IDENTITY_ENDPOINT=f"https://127.0.0.1:{processes.free_port()}/token",
        IDENTITY_HEADER="none",
    )
    assert done.returncode == ExitCode.UNREACHABLE, done.stderr
    assert "registry_unreachable: container labelbridge at https://127.0.0.1:" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_process_ends_with_2_when_no_record_store_is_set(temporal: TemporalServer) -> None:
    done = worker(LABELBRIDGE_TEMPORAL__ADDRESS=temporal.address)
    assert done.returncode == ExitCode.USAGE, done.stderr
    assert "LABELBRIDGE_REGISTRY__ACCOUNT" in done.stderr
