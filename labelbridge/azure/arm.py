"""What is read from Azure Resource Manager of a Language resource.

Prevents a Language endpoint that is guessed from a resource's name although it has a custom subdomain.
"""

from typing import Any

from azure.core.credentials_async import AsyncTokenCredential
from azure.core.exceptions import ResourceNotFoundError
from azure.mgmt.cognitiveservices.aio import CognitiveServicesManagementClient

from labelbridge.azure.errors import azure_errors
from labelbridge.azure.observed import Transport
from labelbridge.model import Model, arm_name
from labelbridge.settings import AzureSettings


class LanguageAccount(Model):
    """A Language resource. `storage_accounts` are ARM ids (`userOwnedStorage`)."""

    id: str
    endpoint: str
    principal_ids: tuple[str, ...]
    storage_accounts: tuple[str, ...]


def client_options(settings: AzureSettings, transport: Transport) -> dict[str, Any]:
    """How every official client of Resource Manager is made: this cloud, this transport, no retries."""
    return {
        "base_url": settings.arm_endpoint,
        "credential_scopes": [f"{settings.arm_audience}/.default"],
        "transport": transport,
        "retry_total": 0,
    }


class Arm:
    """Reads from Resource Manager; one instance per session."""

    def __init__(
        self, settings: AzureSettings, credential: AsyncTokenCredential, transport: Transport
    ) -> None:
        """`transport` is shared and never closed here."""
        self._credential = credential
        self._options = client_options(settings, transport)
        self._cognitive: dict[str, CognitiveServicesManagementClient] = {}

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

    def _cognitive_client(self, subscription: str) -> CognitiveServicesManagementClient:
        if subscription not in self._cognitive:
            self._cognitive[subscription] = CognitiveServicesManagementClient(
                self._credential, subscription, **self._options
            )
        return self._cognitive[subscription]


def _principals(identity: Any) -> tuple[str, ...]:
    """Object ids of the system-assigned and of every user-assigned identity."""
    if identity is None:
        return ()
    own = [
        identity.principal_id,
        *(i.principal_id for i in (identity.user_assigned_identities or {}).values()),
    ]
    return tuple(p for p in own if p)


def subscription_of(resource_id: str) -> str:
    """The subscription id within an ARM id."""
    return resource_id.strip("/").split("/")[1]


def resource_group_of(resource_id: str) -> str:
    """The resource group within an ARM id."""
    return resource_id.strip("/").split("/")[3]
