"""A tenant and its projects in the local Azure, made through the APIs that Azure has for it.

Prevents a rehearsal on data that Azure would not have accepted: nothing is written past the APIs.
Only two requests are ours (who exists, and the first Owner), because Entra is not imitated.
"""

import json
import time
import uuid
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

from azure.storage.blob import BlobServiceClient

from labelbridge.local.api import (
    MACHINE_LEARNING_VERSION,
    Caller,
    CallError,
    Place,
    Principal,
    segment,
)
from labelbridge.local.azurite import ACCOUNTS
from labelbridge.local.folders import LeftOut, ProjectFolder
from labelbridge.local.rbac import ROLE_IDS
from labelbridge.model import ProjectKind, ProjectRef

SUBSCRIPTION = "5b1c1f4e-0d0a-4d5e-9a51-2f6f3d0c7a10"
GROUP = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/labeling"
LANGUAGE_RESOURCE = f"{GROUP}/providers/Microsoft.CognitiveServices/accounts/contoso-language"
WORKSPACE = f"{GROUP}/providers/Microsoft.MachineLearningServices/workspaces/contoso-ml"
DATA_ACCOUNT, OTHER_ACCOUNT, RECORDS_ACCOUNT = ACCOUNTS
ADMIN = "admin"
"""Owner of the subscription; makes the resources."""
ACCOUNTS_VERSION = "2025-06-01"
STORAGE_VERSION = "2023-05-01"
ROLES_VERSION = "2022-04-01"
ROLE_DEADLINE = 60.0
"""Seconds that a granted role may take to work here; its propagation is set far shorter."""

_OPERATOR = (
    "Reader",
    "Storage Blob Data Contributor",
    "AzureML Data Scientist",
    "Cognitive Services Language Owner",
)
_LABELER = ("Storage Blob Data Reader", "Data Labeling - Labeler", "Cognitive Services Language Writer")
PEOPLE: dict[str, tuple[str, ...]] = {
    ADMIN: _OPERATOR,
    "worker": _OPERATOR,
    "operator": _OPERATOR,
    "pipeline": _OPERATOR,
    "ann": _LABELER,
    "ben": _LABELER,
    "viewer": ("Reader",),
    "console": ("Reader", "Storage Blob Data Contributor", "Cognitive Services Language Reader"),
    "stranger": (),
}
"""Principal -> roles on the resource group."""
APP_ROLES: dict[str, tuple[str, ...]] = {
    ADMIN: ("Labelbridge.Owner",),
    "operator": ("Labelbridge.Operator",),
    "pipeline": ("Labelbridge.Operator",),
    "viewer": ("Labelbridge.Reader",),
}
"""Principal -> app roles, which the console reads from its tokens."""
SIGN_INS: dict[str, str] = {
    ADMIN: "connects, switches and disconnects in the console; labels too",
    "operator": "switches, syncs and trains in the console; labels too",
    "viewer": "looks at everything in the console",
    "ann": "labels in both studios",
    "ben": "labels in both studios",
    "stranger": "has no role anywhere",
}
"""Who can sign in as a person, and the line that the sign-in page has for them."""
_T = TypeVar("_T")


@dataclass(frozen=True)
class Tenant:
    """What was made, and the access of each principal to it."""

    place: Place
    principals: dict[str, Principal]
    language_endpoint: str
    storage_account: str = f"{GROUP}/providers/Microsoft.Storage/storageAccounts/{DATA_ACCOUNT}"
    language_resource: str = LANGUAGE_RESOURCE
    workspace: str = WORKSPACE

    @classmethod
    def load(cls, file: Path) -> "Tenant":
        """The tenant that `make_tenant` wrote to `file`."""
        found = json.loads(file.read_text())
        place = Place(**{**found["place"], "authority": Path(found["place"]["authority"])})
        principals = {name: Principal(**fields) for name, fields in found["principals"].items()}
        return cls(place, principals, found["language_endpoint"])

    def save(self, file: Path) -> None:
        """Write what `load` reads; readable by its owner only, for the principals' secrets."""
        file.touch(mode=0o600)
        found = {
            "place": {**asdict(self.place), "authority": str(self.place.authority)},
            "language_endpoint": self.language_endpoint,
            "principals": {name: asdict(one) for name, one in self.principals.items()},
        }
        file.write_text(json.dumps(found, indent=1))

    def kind_of(self, project: ProjectRef) -> ProjectKind:
        """The kind of a project that exists."""
        path = f"/{segment(project.name)}"
        body = self.caller(ADMIN).language("GET", self.language_endpoint, path).body
        return ProjectKind(body["projectKind"])

    def caller(self, name: str) -> Caller:
        """Access as that principal; KeyError if there is none of that name."""
        return Caller(self.place, self.principals[name])

    def blobs(self, name: str, account: str = DATA_ACCOUNT) -> BlobServiceClient:
        """The official blob client as that principal."""
        return BlobServiceClient(
            self.place.storage_endpoint.format(account=account),
            credential=self.caller(name),
            connection_verify=str(self.place.authority),
        )


@dataclass(frozen=True)
class SeededProject:
    """A project that was made from a folder, and what it is made of."""

    ref: ProjectRef
    kind: ProjectKind
    container: str
    datastore: str
    categories: tuple[str, ...]
    documents: tuple[str, ...]
    left_out: tuple[LeftOut, ...]


def make_tenant(place: Place) -> Tenant:
    """Make principals, resources and roles; repeated, it finds them there."""
    nobody = Caller(place, None)
    principals: dict[str, Principal] = {}
    for name in PEOPLE:
        body = nobody.request("POST", "/local/principals", {"name": name}).body
        principals[name] = Principal(**body)
    owner = {"object_id": principals[ADMIN].object_id, "scope": f"/subscriptions/{SUBSCRIPTION}"}
    nobody.request("POST", "/local/bootstrap-owner", owner)
    admin = Caller(place, principals[ADMIN])
    _let_sign_in(nobody, principals)
    endpoint, identities = _make_resources(admin)
    tenant = Tenant(place, principals, endpoint)
    for name, roles in PEOPLE.items():
        for role in roles:
            grant(admin, principals[name].object_id, role, GROUP)
    for identity in identities:
        grant(admin, identity, "Storage Blob Data Contributor", tenant.storage_account)
    for name in ("worker", "operator", "pipeline", "console", ADMIN):
        caller = tenant.caller(name)
        patiently(lambda caller=caller: caller.language("GET", endpoint, ""))  # type: ignore[misc]
    return tenant


def make_project(
    tenant: Tenant,
    folder: ProjectFolder,
    *,
    name: str,
    container: str | None = None,
    account: str = DATA_ACCOUNT,
) -> SeededProject:
    """Upload the folder's documents to a container of their own and import its labels as a new project."""
    container = container or name.lower().replace("_", "-").replace(".", "-")
    client = tenant.blobs(ADMIN, account).get_container_client(container)
    if not client.exists():
        client.create_container()
    for document in folder.documents:
        client.upload_blob(document, folder.content(document), overwrite=True)
    datastore = make_datastore(tenant, container, account)
    admin = tenant.caller(ADMIN)
    body = folder.import_file(name=name, container=container)
    patiently(lambda: admin.language_job("POST", tenant.language_endpoint, f"/{segment(name)}/:import", body))
    return SeededProject(
        ref=ProjectRef(language_resource=tenant.language_resource, name=name),
        kind=folder.kind,
        container=container,
        datastore=datastore,
        categories=folder.categories,
        documents=folder.documents,
        left_out=folder.left_out,
    )


def make_datastore(tenant: Tenant, container: str, account: str = DATA_ACCOUNT) -> str:
    """Let the tenant's workspace reach a container of blobs; the datastore's name."""
    datastore = container.replace("-", "_")
    properties: dict[str, Any] = {
        "datastoreType": "AzureBlob",
        "accountName": account,
        "containerName": container,
    }
    properties |= {"protocol": "https", "credentials": {"credentialsType": "None"}}
    tenant.caller(ADMIN).arm(
        "PUT",
        f"{WORKSPACE}/datastores/{datastore}",
        {"properties": properties},
        version=MACHINE_LEARNING_VERSION,
    )
    return datastore


def grant(admin: Caller, object_id: str, role: str, scope: str) -> None:
    """Assign a role; the assignment's name is derived, so that a repetition finds it."""
    name = uuid.uuid5(uuid.NAMESPACE_URL, f"{scope}|{object_id}|{role}".casefold())
    definition = (
        f"/subscriptions/{SUBSCRIPTION}/providers/Microsoft.Authorization/roleDefinitions/{ROLE_IDS[role]}"
    )
    properties = {
        "roleDefinitionId": definition,
        "principalId": object_id,
        "principalType": "ServicePrincipal",
    }
    admin.arm(
        "PUT",
        f"{scope}/providers/Microsoft.Authorization/roleAssignments/{name}",
        {"properties": properties},
        version=ROLES_VERSION,
        expect=(200, 201, 409),
    )


def revoke(admin: Caller, object_id: str, role: str, scope: str) -> None:
    """Remove what `grant` assigned."""
    name = uuid.uuid5(uuid.NAMESPACE_URL, f"{scope}|{object_id}|{role}".casefold())
    path = f"{scope}/providers/Microsoft.Authorization/roleAssignments/{name}"
    admin.arm("DELETE", path, version=ROLES_VERSION)


def patiently(call: Callable[[], _T]) -> _T:
    """Repeat a call while it is refused with 403: a role takes its time to work."""
    deadline = time.monotonic() + ROLE_DEADLINE
    while True:
        try:
            return call()
        except CallError as error:
            if error.status != 403 or time.monotonic() > deadline:
                raise
        time.sleep(0.1)


def _let_sign_in(nobody: Caller, principals: dict[str, Principal]) -> None:
    """Tell the local Entra who is a person, and who has which app roles."""
    for name, about in SIGN_INS.items():
        person = {"object_id": principals[name].object_id, "display_name": name.capitalize(), "about": about}
        nobody.request("POST", "/local/entra/people", person)
    for name, roles in APP_ROLES.items():
        body = {"object_id": principals[name].object_id, "roles": list(roles)}
        nobody.request("POST", "/local/entra/roles", body)


def _make_resources(admin: Caller) -> tuple[str, tuple[str, ...]]:
    """Storage, Language resource and workspace; the Language endpoint and both resources' identities."""
    storage = f"{GROUP}/providers/Microsoft.Storage/storageAccounts"
    for account in ACCOUNTS:
        body: dict[str, Any] = {
            "location": "westeurope",
            "kind": "StorageV2",
            "sku": {"name": "Standard_LRS"},
        }
        admin.arm("PUT", f"{storage}/{account}", {**body, "properties": {}}, version=STORAGE_VERSION)
    language = {
        "location": "westeurope",
        "kind": "TextAnalytics",
        "sku": {"name": "S"},
        "identity": {"type": "SystemAssigned"},
        "properties": {
            "customSubDomainName": "contoso-language",
            "userOwnedStorage": [{"resourceId": f"{storage}/{DATA_ACCOUNT}"}],
        },
    }
    made = admin.arm("PUT", LANGUAGE_RESOURCE, language, version=ACCOUNTS_VERSION).body
    workspace = {
        "location": "westeurope",
        "identity": {"type": "SystemAssigned"},
        "properties": {"storageAccount": f"{storage}/{DATA_ACCOUNT}"},
    }
    admin.arm("PUT", WORKSPACE, workspace, version=MACHINE_LEARNING_VERSION)
    found = admin.arm("GET", WORKSPACE, version=MACHINE_LEARNING_VERSION).body
    return made["properties"]["endpoint"], (made["identity"]["principalId"], found["identity"]["principalId"])
