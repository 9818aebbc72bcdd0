"""What is read from Azure Resource Manager: role assignments and the Language account.

Prevents two failures: a role that is inherited (from the account, the resource group, the
subscription, or through a group) being reported as missing, and a Language endpoint that is guessed
from a resource's name although it has a custom subdomain.
"""

from typing import Any

from azure.core.credentials_async import AsyncTokenCredential
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.mgmt.authorization.aio import AuthorizationManagementClient
from azure.mgmt.cognitiveservices.aio import CognitiveServicesManagementClient

from labelbridge.azure.errors import azure_errors
from labelbridge.azure.transport import DeadlineTransport
from labelbridge.model import Model, arm_name
from labelbridge.settings import AzureSettings


class RoleAssignment(Model):
    """One assignment that holds at the scope that was asked about."""

    role_guid: str
    """Role definition GUID, lower case."""
    scope: str
    """Where it was assigned: the scope asked about, or one above it."""
    principal_type: str = ""


class LanguageAccount(Model):
    """A Language resource. `storage_accounts` are ARM ids (`userOwnedStorage`)."""

    id: str
    endpoint: str
    principal_ids: tuple[str, ...]
    storage_accounts: tuple[str, ...]


class Arm:
    """Reads from Resource Manager; one instance per session."""

    def __init__(
        self, settings: AzureSettings, credential: AsyncTokenCredential, transport: DeadlineTransport
    ) -> None:
        """`transport` is shared and never closed here."""
        self._credential = credential
        self._options: dict[str, Any] = {
            "base_url": settings.arm_endpoint,
            "credential_scopes": [f"{settings.arm_audience}/.default"],
            "transport": transport,
            "retry_total": 0,
        }
        self._authorization: dict[str, AuthorizationManagementClient] = {}
        self._cognitive: dict[str, CognitiveServicesManagementClient] = {}

    async def role_assignments(self, scope: str, principal_id: str) -> tuple[RoleAssignment, ...]:
        """The assignments that give `principal_id` a role at `scope`, inherited ones included.

        `assignedTo()` also finds those that come through a group. Where ARM refuses that filter,
        `principalId eq` is used and groups are not seen. ARM answers both with assignments below the
        scope too; those are left out.

        Args:
            scope: ARM id of a resource, also of a blob container
                (`…/storageAccounts/a/blobServices/default/containers/c`).
            principal_id: Entra object id.
        """
        client = self._authorization_client(subscription_of(scope))
        async with azure_errors(f"list the roles of {principal_id} at {scope}"):
            try:
                return await _listed(client, scope, f"assignedTo('{principal_id}')")
            except HttpResponseError as error:
                if error.status_code != 400:
                    raise
                return await _listed(client, scope, f"principalId eq '{principal_id}'")

    async def language_account(self, resource_id: str) -> LanguageAccount | None:
        """The Language resource with this ARM id, or None if there is none."""
        client = self._cognitive_client(subscription_of(resource_id))
        async with azure_errors(f"read the Language resource {arm_name(resource_id)}"):
            try:
                account = await client.accounts.get(resource_group_of(resource_id), arm_name(resource_id))
            except ResourceNotFoundError:
                return None
            properties = account.properties
            storage = (properties.user_owned_storage if properties else None) or []
            return LanguageAccount(
                id=resource_id,
                endpoint=((properties.endpoint if properties else None) or "").rstrip("/"),
                principal_ids=_principals(account.identity),
                storage_accounts=tuple(s.resource_id for s in storage if s.resource_id),
            )

    def _authorization_client(self, subscription: str) -> AuthorizationManagementClient:
        if subscription not in self._authorization:
            self._authorization[subscription] = AuthorizationManagementClient(
                self._credential, subscription, **self._options
            )
        return self._authorization[subscription]

    def _cognitive_client(self, subscription: str) -> CognitiveServicesManagementClient:
        if subscription not in self._cognitive:
            self._cognitive[subscription] = CognitiveServicesManagementClient(
                self._credential, subscription, **self._options
            )
        return self._cognitive[subscription]


async def _listed(
    client: AuthorizationManagementClient, scope: str, condition: str
) -> tuple[RoleAssignment, ...]:
    found = client.role_assignments.list_for_scope(scope.lstrip("/"), filter=condition)
    return tuple(
        [
            RoleAssignment(
                role_guid=str(a.role_definition_id).rsplit("/", 1)[-1].casefold(),
                scope=str(a.scope),
                principal_type=str(a.principal_type or ""),
            )
            async for a in found
            if covers(str(a.scope), scope)
        ]
    )


def _principals(identity: Any) -> tuple[str, ...]:
    """Object ids of the system-assigned and of every user-assigned identity."""
    if identity is None:
        return ()
    own = [
        identity.principal_id,
        *(i.principal_id for i in (identity.user_assigned_identities or {}).values()),
    ]
    return tuple(p for p in own if p)


def covers(outer: str, inner: str) -> bool:
    """True if a role at `outer` is inherited at `inner`; ids compare by segment, in any case."""
    above = outer.strip("/").casefold().split("/")
    below = inner.strip("/").casefold().split("/")
    return above == [""] or below[: len(above)] == above


def subscription_of(resource_id: str) -> str:
    """The subscription id within an ARM id."""
    return resource_id.strip("/").split("/")[1]


def resource_group_of(resource_id: str) -> str:
    """The resource group within an ARM id."""
    return resource_id.strip("/").split("/")[3]
