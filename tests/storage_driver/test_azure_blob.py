"""The driver on a real Azurite, by the official client, behind a real workflow of a real server."""

import asyncio
import hashlib
import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError
from azure.storage.blob.aio import BlobServiceClient, ContainerClient
from temporalio import workflow
from temporalio.api.common.v1 import Payload
from temporalio.client import Client
from temporalio.converter import (
    ExternalStorage,
    StorageDriverClaim,
    StorageDriverRetrieveContext,
    StorageDriverStoreContext,
    StorageDriverWorkflowInfo,
)
from temporalio.worker import Worker

from labelbridge.converter import data_converter
from labelbridge.local import certificates
from labelbridge.local.azurite import Azurite
from labelbridge.local.temporal import TemporalServer
from labelbridge.settings import Settings
from labelbridge.storage_driver import (
    AzureBlobStorageDriver,
    ClaimInvalidError,
    IntegrityError,
    PayloadMissingError,
    PayloadTooLargeError,
    StorageDriverError,
)
from labelbridge.storage_driver.azure_storage_blob import AzureStorageBlobClient
from tests.encryption.test_keys import written

LARGE = "a document, again and again. " * 20_000
CONTEXT = StorageDriverStoreContext(
    target=StorageDriverWorkflowInfo(namespace="labeling", id="labelbridge/a.tickets", run_id="r", type="t")
)
READ = StorageDriverRetrieveContext()


@pytest.fixture(scope="module")
def azurite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Azurite]:
    made = certificates.ensure(tmp_path_factory.mktemp("certificates"))
    server = Azurite(tmp_path_factory.mktemp("azurite"), made)
    server.start()
    yield server
    server.stop()


@pytest.fixture
async def container(azurite: Azurite) -> AsyncIterator[ContainerClient]:
    """A new container, through the official client."""
    async with _service(azurite) as service:
        client = service.get_container_client(f"c{uuid.uuid4().hex}")
        await client.create_container()
        yield client


@pytest.fixture
async def driver(azurite: Azurite, container: ContainerClient) -> AsyncIterator[AzureBlobStorageDriver]:
    async with _service(azurite) as service:
        yield AzureBlobStorageDriver(
            AzureStorageBlobClient(service), container.container_name, max_payload_size=2_000_000
        )


def _service(azurite: Azurite) -> BlobServiceClient:
    account, key = next(iter(azurite.accounts.items()))
    return BlobServiceClient(
        azurite.endpoint.format(account=account),
        credential={"account_name": account, "account_key": key},
        connection_verify=str(azurite._authority),
        retry_total=0,
    )


async def names(container: ContainerClient) -> list[str]:
    return [blob.name async for blob in container.list_blobs()]


async def test_payloads_come_back_in_order_and_equal_ones_share_a_blob(
    driver: AzureBlobStorageDriver, container: ContainerClient
) -> None:
    payloads = [Payload(metadata={"encoding": b"x"}, data=data) for data in (b"one", b"two", b"one", b"")]
    claims = await driver.store(CONTEXT, payloads)
    assert await driver.retrieve(READ, claims) == payloads
    found = await names(container)
    assert len(found) == 3
    prefix = "v0/ns/labeling/wt/t/wi/labelbridge%2Fa.tickets/ri/r/d/sha256/"
    assert {name.removeprefix(prefix) for name in found} == {
        hashlib.sha256(payload.SerializeToString()).hexdigest() for payload in payloads
    }


async def test_many_writers_of_the_same_content_all_succeed_and_write_it_once(
    driver: AzureBlobStorageDriver, container: ContainerClient
) -> None:
    payload = Payload(data=LARGE.encode())
    claims = await asyncio.gather(*(driver.store(CONTEXT, [payload]) for _ in range(8)))
    first = (await container.get_blob_client((await names(container))[0]).get_blob_properties()).etag
    await driver.store(CONTEXT, [payload])
    assert len({str(claim) for claim in claims}) == 1
    (name,) = await names(container)
    assert (await container.get_blob_client(name).get_blob_properties()).etag == first


@pytest.mark.parametrize("content", [b"", b"shorter", b"x" * 3, LARGE.encode() + b"more"])
async def test_a_blob_that_was_changed_is_not_believed(
    driver: AzureBlobStorageDriver, container: ContainerClient, content: bytes
) -> None:
    claims = await driver.store(CONTEXT, [Payload(data=LARGE.encode())])
    await container.upload_blob(claims[0].claim_data["blob"], content, overwrite=True)
    with pytest.raises(IntegrityError, match="was changed"):
        await driver.retrieve(READ, claims)


async def test_a_blob_or_container_that_is_gone_is_named(
    driver: AzureBlobStorageDriver, container: ContainerClient
) -> None:
    claims = await driver.store(CONTEXT, [Payload(data=b"one")])
    await container.delete_blob(claims[0].claim_data["blob"])
    with pytest.raises(PayloadMissingError, match=claims[0].claim_data["hash_value"]):
        await driver.retrieve(READ, claims)
    await container.delete_container()
    with pytest.raises(PayloadMissingError):
        await driver.retrieve(READ, claims)
    with pytest.raises(StorageDriverError, match="Could not store") as caught:
        await driver.store(CONTEXT, [Payload(data=b"one")])
    assert isinstance(caught.value.__cause__, HttpResponseError)


async def test_a_payload_that_is_too_large_is_refused_before_anything_is_sent(
    driver: AzureBlobStorageDriver, container: ContainerClient
) -> None:
    with pytest.raises(PayloadTooLargeError, match="2000000"):
        await driver.store(CONTEXT, [Payload(data=b"x" * 2_000_001)])
    assert await names(container) == []


CHANGES: dict[str, dict[str, str]] = {
    "another blob": {"blob": "records/tickets.json"},
    "a way out": {"blob": "v0/ns/../../d/sha256/{hash_value}"},
    "another container": {"container": "labelbridge"},
    "another hash": {"hash_value": "0" * 64},
    "another algorithm": {"hash_algorithm": "md5"},
    "a size that is none": {"size": "-1"},
    "a size beyond all": {"size": "99999999999999"},
    "no container": {"container": ""},
}


@pytest.mark.parametrize("what", CHANGES)
async def test_a_claim_that_the_driver_never_made_reads_nothing(
    driver: AzureBlobStorageDriver, what: str
) -> None:
    (claim,) = await driver.store(CONTEXT, [Payload(data=b"one")])
    changed = {key: value.format(**claim.claim_data) for key, value in CHANGES[what].items()}
    with pytest.raises(ClaimInvalidError):
        await driver.retrieve(READ, [StorageDriverClaim(claim_data={**claim.claim_data, **changed})])


@workflow.defn(name="echo", sandboxed=False)
class Echo:
    """Gives back what it got."""

    @workflow.run
    async def run(self, text: str) -> str:
        return text


@pytest.fixture
def temporal(tmp_path: Path) -> Iterator[TemporalServer]:
    server = TemporalServer(tmp_path / "temporal", tuned=True)
    server.start()
    yield server
    server.stop()


async def test_a_workflows_large_payloads_are_stored_outside_as_ciphertext(
    driver: AzureBlobStorageDriver, container: ContainerClient, tmp_path: Path, temporal: TemporalServer
) -> None:
    settings = Settings(_env_file=None, encryption={"keys_file": written(tmp_path / "keys.json")})
    sealed = data_converter(settings, "default")
    storage = ExternalStorage(drivers=[driver], payload_size_threshold=10_000)
    client = await Client.connect(temporal.address, data_converter=replace(sealed, external_storage=storage))
    async with Worker(client, task_queue="q", workflows=[Echo]):
        handle = await client.start_workflow(Echo.run, LARGE, id="large", task_queue="q")
        assert await handle.result(rpc_timeout=timedelta(seconds=60)) == LARGE
        assert await client.execute_workflow(Echo.run, "small", id="small", task_queue="q") == "small"
    history = (await handle.fetch_history()).to_json()
    assert "ExternalStorageReference" in history or "externalPayloads" in history
    assert len(history) < 20_000
    await _holds_no_plaintext(container)
    without = await Client.connect(temporal.address, data_converter=sealed)
    with pytest.raises(RuntimeError, match="TMPRL1105"):
        await without.get_workflow_handle("large").result()


async def _holds_no_plaintext(container: ContainerClient) -> None:
    found = await names(container)
    assert found
    for name in found:
        content: Any = await (await container.download_blob(name)).readall()
        assert b"document" not in content
        assert b"encryption-key-id" in content
