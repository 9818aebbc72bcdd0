"""Addresses of data assets: where they point, and what is refused."""

import pytest

from labelbridge.azure.assets import resolve_asset
from labelbridge.azure.azureml import Datastore
from labelbridge.errors import LabelbridgeError

STORES = (
    Datastore(name="textstore", account="stacct", container="tickets"),
    Datastore(name="workspaceblobstore", account="wsacct", container="azureml-blobstore-1", is_default=True),
)
LONG = "azureml://subscriptions/s/resourcegroups/rg/workspaces/ws/datastores/textstore/paths/a/b.jsonl"
LONGER = (
    "azureml://subscriptions/s/resourceGroups/rg/providers/Microsoft.MachineLearningServices/workspaces/ws"
    "/datastores/textstore/paths/a/b.jsonl"
)


@pytest.mark.parametrize(
    "uri",
    [
        LONG,
        LONGER,
        "azureml://datastores/textstore/paths/a/b.jsonl",
        "azureml://datastores/TextStore/paths/a/b.jsonl",
        "AmlDatastore://textstore/a/b.jsonl",
        "amldatastore://textstore/a/b.jsonl",
        "https://stacct.blob.core.windows.net/tickets/a/b.jsonl",
        "https://stacct.dfs.core.windows.net/tickets/a/b.jsonl",
        "https://stacct.blob.core.windows.net/tickets/a/b.jsonl?sv=1&sig=x",
        "wasbs://tickets@stacct.blob.core.windows.net/a/b.jsonl",
        "abfss://tickets@stacct.dfs.core.windows.net/a/b.jsonl",
    ],
)
def test_each_form_of_address_is_understood(uri: str) -> None:
    ref = resolve_asset(uri, STORES)
    assert (ref.account, ref.container, ref.name) == ("stacct", "tickets", "a/b.jsonl")


def test_a_folder_keeps_its_slash_and_a_container_has_no_path() -> None:
    assert resolve_asset("azureml://datastores/textstore/paths/out/", STORES).name == "out/"
    assert resolve_asset("azureml://datastores/textstore/paths/", STORES).name == ""


def test_https_paths_are_decoded_and_datastore_paths_are_taken_as_they_are() -> None:
    assert (
        resolve_asset("https://stacct.blob.core.windows.net/tickets/Test%201.txt", STORES).name
        == "Test 1.txt"
    )
    assert resolve_asset("azureml://datastores/textstore/paths/Test 1.txt", STORES).name == "Test 1.txt"
    assert resolve_asset("azureml://datastores/textstore/paths/100%25.txt", STORES).name == "100%25.txt"


def test_an_endpoint_with_the_account_in_its_path_is_understood() -> None:
    ref = resolve_asset(
        "https://127.0.0.1:1/stacct/tickets/a.txt", STORES, storage_endpoint="https://127.0.0.1:1/{account}"
    )
    assert (ref.account, ref.container, ref.name) == ("stacct", "tickets", "a.txt")


@pytest.mark.parametrize(
    "uri",
    [
        "azureml://datastores/nobody/paths/a.jsonl",
        "azureml://datastores/textstore/paths/../../other/a.jsonl",
        "azureml://datastores/textstore/paths//etc/passwd",
        "AmlDatastore://textstore/a/../b",
        "https://stacct.blob.core.windows.net/tickets/%2e%2e/x",
        "https://evil.example/tickets/a.jsonl",
        "https://stacct.blob.core.windows.net.evil.example/tickets/a.jsonl",
        "file:///etc/passwd",
        "azureml:asset:1",
        "",
    ],
)
def test_what_leads_elsewhere_is_refused(uri: str) -> None:
    with pytest.raises(LabelbridgeError) as caught:
        resolve_asset(uri, STORES)
    assert caught.value.code == "invalid_request"
