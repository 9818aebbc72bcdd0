"""Where a data asset's address points: storage account, container, path.

Prevents reading (or handing out) a blob outside what was named: an address that climbs with `..` or
that names a datastore the workspace does not have is refused, not repaired.
"""

import re
from collections.abc import Iterable
from urllib.parse import unquote, urlsplit

from labelbridge.azure.azureml_models import Datastore
from labelbridge.errors import LabelbridgeError
from labelbridge.model import BlobRef

PUBLIC_STORAGE = "https://{account}.blob.core.windows.net"

_SHORT = re.compile(r"^azureml://datastores/(?P<store>[^/]+)/paths/(?P<path>.*)$", re.I | re.S)
_LONG = re.compile(
    r"^azureml://subscriptions/[^/]+/resourcegroups/[^/]+/(?:providers/[^/]+/)?workspaces/[^/]+"
    r"/datastores/(?P<store>[^/]+)/paths/(?P<path>.*)$",
    re.I | re.S,
)
_OLD = re.compile(r"^AmlDatastore://(?P<store>[^/]+)/(?P<path>.*)$", re.I | re.S)
_DRIVER = re.compile(
    r"^(?:wasbs?|abfss?)://(?P<container>[^@/]+)@(?P<account>[^./]+)\.[^/]+/(?P<path>.*)$", re.I | re.S
)


def resolve_asset(
    uri: str, datastores: Iterable[Datastore], *, storage_endpoint: str = PUBLIC_STORAGE
) -> BlobRef:
    """The blob, or the folder (then `name` may be empty or end with a slash), that `uri` names.

    Understands `azureml://` in its short and its long form, `AmlDatastore://`, https addresses of the
    blob (and data lake) endpoint, `wasbs://` and `abfss://`. Paths of https addresses are
    percent-decoded; paths after a datastore are taken as they are, because Azure does not say that
    they are encoded.

    Args:
        uri: Address of a data asset or of a row in it.
        datastores: Those of the workspace, to find the container behind a datastore's name.
        storage_endpoint: Template of the blob endpoint, `AzureSettings.storage_endpoint`.

    Raises:
        LabelbridgeError: `invalid_request` if the form, the datastore or the path is not acceptable.
    """
    for form in (_LONG, _SHORT, _OLD):
        if match := form.match(uri):
            store = _datastore(match["store"], datastores)
            return _ref(store.account, store.container, match["path"], uri)
    if match := _DRIVER.match(uri):
        return _ref(match["account"], match["container"], unquote(match["path"]), uri)
    if match := _https_form(storage_endpoint).match(uri):
        container, _, path = urlsplit(match["rest"]).path.partition("/")
        return _ref(match["account"], container, unquote(path), uri)
    raise LabelbridgeError("invalid_request", f"{uri!r} is no address of a blob that is understood.")


def _datastore(name: str, datastores: Iterable[Datastore]) -> Datastore:
    for store in datastores:
        if store.name.casefold() == name.casefold():
            return store
    raise LabelbridgeError("invalid_request", f"The workspace has no blob datastore {name!r}.")


def _https_form(storage_endpoint: str) -> re.Pattern[str]:
    """The endpoint's template as a pattern; the data lake endpoint of the same account counts too."""
    pattern = re.escape(storage_endpoint.rstrip("/"))
    pattern = pattern.replace(re.escape("{account}"), r"(?P<account>[^/.:@]+)", 1)
    pattern = pattern.replace(r"\.blob\.", r"\.(?:blob|dfs)\.")
    return re.compile(rf"^{pattern}/(?P<rest>.*)$", re.I | re.S)


def _ref(account: str, container: str, path: str, uri: str) -> BlobRef:
    try:
        if path.startswith(("/", "\\")):
            raise ValueError("a path that begins with a slash")
        return BlobRef(account=account, container=container, name=path)
    except ValueError as error:
        raise LabelbridgeError("invalid_request", f"{uri[:500]!r} leads outside its container.") from error
