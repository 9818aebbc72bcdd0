"""Role assignments, as Azure Resource Manager has them.

Prevents a role that is inherited (from the account, the resource group, the subscription, or through a group)
being reported as missing. Only workers look at roles, so only the extra `worker` brings this module's client.
"""

from azure.core.credentials_async import AsyncTokenCredential
from azure.core.exceptions import HttpResponseError
from azure.mgmt.authorization.aio import AuthorizationManagementClient

from labelbridge.azure.arm import client_options, subscription_of
from labelbridge.azure.errors import azure_errors
from labelbridge.azure.observed import Transport
from labelbridge.model import Model
from labelbridge.settings import AzureSettings


class RoleAssignment(Model):
    """One assignment that holds at the scope that was asked about."""

    role_guid: str
    """Role definition GUID, lower case."""
    scope: str
    """Where it was assigned: the scope asked about, or one above it."""
    principal_type: str = ""


class Assignments:
    """Reads role assignments; one instance per session."""

    def __init__(
        self, settings: AzureSettings, credential: AsyncTokenCredential, transport: Transport
    ) -> None:
        """`transport` is shared and never closed here."""
        self._credential = credential
        self._options = client_options(settings, transport)
        self._clients: dict[str, AuthorizationManagementClient] = {}

    async def at(self, scope: str, principal_id: str) -> tuple[RoleAssignment, ...]:
        """The assignments that give `principal_id` a role at `scope`, inherited ones included.

        `assignedTo()` also finds those that come through a group. Where ARM refuses that filter,
        `principalId eq` is used and groups are not seen. ARM answers both with assignments below the
        scope too; those are left out.

        Args:
            scope: ARM id of a resource, also of a blob container
                (`…/storageAccounts/a/blobServices/default/containers/c`).
            principal_id: Entra object id.
        """
        client = self._client(subscription_of(scope))
        async with azure_errors(f"list the roles of {principal_id} at {scope}"):
            try:
                return await _listed(client, scope, f"assignedTo('{principal_id}')")
            except HttpResponseError as error:
                if error.status_code != 400:
                    raise
                return await _listed(client, scope, f"principalId eq '{principal_id}'")

    def _client(self, subscription: str) -> AuthorizationManagementClient:
        if subscription not in self._clients:
            self._clients[subscription] = AuthorizationManagementClient(
                self._credential, subscription, **self._options
            )
        return self._clients[subscription]


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


def covers(outer: str, inner: str) -> bool:
    """True if a role at `outer` is inherited at `inner`; ids compare by segment, in any case."""
    above = outer.strip("/").casefold().split("/")
    below = inner.strip("/").casefold().split("/")
    return above == [""] or below[: len(above)] == above
