"""Which document an Azure ML row means.

Prevents two failures: labels that land on a document of another datastore, or outside the container
(`..`, absolute paths), and labels lost because one side percent-encodes a name and the other does not.
"""

import re
from typing import Literal
from urllib.parse import unquote

from labelbridge.errors import LabelbridgeError
from labelbridge.labels.codes import Code, RejectedRowError
from labelbridge.model._places import MAX_BLOB_NAME, blob_path

UrlStyle = Literal["AmlDatastore", "azureml", "azureml-long"]
"""How the writer spells a document: `AmlDatastore://store/path`, `azureml://datastores/store/paths/path`,
or the same with subscription, resource group and workspace before `datastores`."""

_LABELING = re.compile(r"AmlDatastore://([^/]+)/(.*)", re.IGNORECASE | re.DOTALL)
_AZUREML = re.compile(
    r"azureml://(?:subscriptions/[^/]+/resourcegroups/[^/]+/"
    r"(?:providers/[^/]+/)?workspaces/[^/]+/)?datastores/([^/]+)/paths/(.*)",
    re.IGNORECASE | re.DOTALL,
)
_WORKSPACE = re.compile(
    r"/subscriptions/([^/]+)/resourceGroups/([^/]+)/providers/"
    r"Microsoft\.MachineLearningServices/workspaces/([^/]+)",
    re.IGNORECASE,
)
_PLAIN = re.compile(r"[^/\\%.][^/\\%]{0,1023}").fullmatch


def candidates(url: str, datastore: str | None) -> tuple[str, ...]:
    """Names of the document that `url` may mean: as it stands, and percent-decoded if that differs.

    Azure does not publish whether its labeling rows percent-encode; only the documents can tell, so
    the reader asks which of the two exists. `datastore` None accepts any datastore; names compare
    without case, as ARM names do. Subscription and workspace in a long URL are not compared.

    Raises:
        RejectedRowError: `path_outside_datastore`.
    """
    match = _LABELING.fullmatch(url) or _AZUREML.fullmatch(url)
    if match is None:
        raise RejectedRowError(Code.PATH_OUTSIDE_DATASTORE, f"not the URL of a datastore: {url[:200]!r}")
    store, path = match.groups()
    if datastore is not None and store.casefold() != datastore.casefold():
        raise RejectedRowError(Code.PATH_OUTSIDE_DATASTORE, f"datastore {store!r} instead of {datastore!r}")
    check_name(path)
    if "%" not in path:
        return (path,)
    try:
        decoded = unquote(path, errors="strict")
    except UnicodeDecodeError:
        return (path,)
    if decoded == path:
        return (path,)
    check_name(decoded)
    return (path, decoded)


def check_name(path: str) -> None:
    """Raise RejectedRowError `path_outside_datastore` if no blob of the container can have this name.

    A backslash separates here too, because Azure Storage turns it into a slash.
    """
    if plain(path):
        return
    if not path or len(path) > MAX_BLOB_NAME:
        raise RejectedRowError(Code.PATH_OUTSIDE_DATASTORE, f"a name of {len(path)} characters")
    if path[0] in "/\\":
        raise RejectedRowError(Code.PATH_OUTSIDE_DATASTORE, f"a path that leaves the container: {path!r}")
    try:
        blob_path(path)
    except ValueError as error:
        raise RejectedRowError(Code.PATH_OUTSIDE_DATASTORE, str(error)) from error


def plain(path: str) -> bool:
    """True if `path` is surely one document at the container's root, in one spelling; a quick look."""
    return _PLAIN(path) is not None


def all_plain(paths: list[str]) -> bool:
    """True if each of `paths` is surely `plain`; one look at all of them."""
    joined = "\n" + "\n".join(paths)
    if any(part in joined for part in ("/", "\\", "%", "\n.", "\n\n")) or joined.endswith("\n"):
        return False
    return max(map(len, paths)) <= MAX_BLOB_NAME


def url_prefix(datastore: str, style: UrlStyle, workspace: str | None = None) -> str:
    """What stands before the document's name, which follows as it is: nothing is percent-encoded.

    Args:
        datastore: name of the datastore.
        style: see `UrlStyle`.
        workspace: ARM id of the workspace, for the long style only.

    Raises:
        LabelbridgeError: `input_invalid` if the long style lacks its workspace.
    """
    if style == "AmlDatastore":
        return f"AmlDatastore://{datastore}/"
    if style == "azureml":
        return f"azureml://datastores/{datastore}/paths/"
    match = _WORKSPACE.fullmatch((workspace or "").rstrip("/"))
    if match is None:
        raise LabelbridgeError(
            "input_invalid", f"A long azureml:// path needs the ARM id of a workspace, not {workspace!r}."
        )
    subscription, group, name = match.groups()
    return (
        f"azureml://subscriptions/{subscription}/resourcegroups/{group}"
        f"/workspaces/{name}/datastores/{datastore}/paths/"
    )
