"""One session with Azure: a credential, a transport, and the clients that share them.

Prevents the failure of a client that was made on the side: every request of the product goes through
the same `DeadlineTransport`, so none can be sent after its deadline, and every client closes when the
session does.
"""

import base64
import json
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from azure.core.credentials_async import AsyncTokenCredential
from azure.identity.aio import DefaultAzureCredential

from labelbridge.azure.arm import Arm
from labelbridge.azure.azureml import Workspace
from labelbridge.azure.blobs import Blobs
from labelbridge.azure.errors import azure_errors
from labelbridge.azure.language import LanguageResource
from labelbridge.azure.observed import ObservedTransport
from labelbridge.azure.transport import DeadlineTransport
from labelbridge.errors import LabelbridgeError
from labelbridge.extras import Extra, needs
from labelbridge.model import Model, arm_id, resource_key
from labelbridge.settings import Settings
from labelbridge.telemetry.counting import Service
from labelbridge.throttling.throttling import Throttling

if TYPE_CHECKING:
    from labelbridge.azure.assignments import Assignments
    from labelbridge.azure.event_grid import Topic


class Identity(Model):
    """Who this process is to Entra. `principal_type` is as `az role assignment create` takes it."""

    object_id: str
    principal_type: str
    name: str = ""


class AzureSession:
    """Async context manager that owns the credential and the connections.

    Clients are made on first use and kept for the session. Not for use by two event loops.
    """

    arm: Arm

    def __init__(
        self, settings: Settings, credential: AsyncTokenCredential | None = None, *, throttled: bool = False
    ) -> None:
        """Take `DefaultAzureCredential` unless a test gives another.

        `throttled`: requests to Language wait for their turn, as those of workers must. People who look at a
        page or give a command do not wait: `settings.throttle.kept_back` is for them.
        """
        self._settings = settings
        self._transport = DeadlineTransport(settings.ca_bundle)
        self._credential: Any = credential or DefaultAzureCredential(transport=self._to("identity"))
        self.arm = Arm(settings.azure, self._credential, self._to("arm"))
        self._language: dict[str, LanguageResource] = {}
        self._workspaces: dict[str, Workspace] = {}
        self._blobs: dict[str, Blobs] = {}
        self._topics: dict[str, Topic] = {}
        self._assignments: Assignments | None = None
        self._identity: Identity | None = None
        self.throttling: Throttling | None = None
        account = settings.registry.account
        if throttled and account:
            self.throttling = Throttling(settings.throttle, self.blobs(account), settings.registry.container)

    async def __aenter__(self) -> Self:
        """Open the connections."""
        await self._transport.open()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the credential, then the connections."""
        await self._credential.close()
        await self._transport.close()

    def language(self, resource_id: str) -> LanguageResource:
        """The Language resource with this ARM id; nothing is read until it is used."""
        key = arm_id(resource_id).casefold()
        if key not in self._language:
            found = self.throttling and self.throttling.of(resource_key(resource_id), resource_id)
            self._language[key] = LanguageResource(
                resource_id,
                self._settings,
                self.arm,
                self._credential,
                self._to("language"),
                (found.policy,) if found else (),
            )
        return self._language[key]

    def workspace(self, workspace_id: str) -> Workspace:
        """The Azure ML workspace with this ARM id; nothing is read until it is used."""
        key = arm_id(workspace_id).casefold()
        if key not in self._workspaces:
            self._workspaces[key] = Workspace(
                workspace_id, self._settings.azure, self._credential, self._to("azureml")
            )
        return self._workspaces[key]

    def blobs(self, account: str) -> Blobs:
        """The blobs of a storage account, by the account's name."""
        if account not in self._blobs:
            self._blobs[account] = Blobs(
                account, self._settings.azure.storage_endpoint, self._credential, self._to("blob")
            )
        return self._blobs[account]

    @property
    def assignments(self) -> "Assignments":
        """Who has which role; its client is loaded with the first use."""
        if self._assignments is None:
            with needs(Extra.WORKER, "Reading role assignments"):
                from labelbridge.azure.assignments import Assignments
            self._assignments = Assignments(self._settings.azure, self._credential, self._transport)
        return self._assignments

    def topic(self, endpoint: str) -> "Topic":
        """The Event Grid topic at this endpoint; its client is loaded with the first."""
        with needs(Extra.WORKER, "Event Grid"):
            from labelbridge.azure.event_grid import Topic
        if endpoint not in self._topics:
            self._topics[endpoint] = Topic(endpoint, self._credential, self._to("event_grid"))
        return self._topics[endpoint]

    def _to(self, service: Service) -> ObservedTransport:
        """The session's transport, for the clients of one service."""
        return ObservedTransport(self._transport, service)

    async def identity(self) -> Identity:
        """Whom the credential's own token names.

        The token is decoded and not verified: it is our own, and the services verify it.
        """
        if self._identity is None:
            async with azure_errors("get a token for Resource Manager"):
                token = await self._credential.get_token(f"{self._settings.azure.arm_audience}/.default")
            self._identity = identity_of(token.token)
        return self._identity

    async def object_id(self) -> str:
        """Entra object id of the credential's own identity."""
        return (await self.identity()).object_id


def identity_of(token: str) -> Identity:
    """Read object id and kind of principal from an Entra access token, unverified.

    Entra puts `oid` into every access token; a user's delegated token has `scp`, an app's has not.
    """
    try:
        payload = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        object_id = str(claims["oid"])
    except (IndexError, ValueError, KeyError, TypeError) as error:
        raise LabelbridgeError(
            "invalid_request", "The credential's token names no object id (`oid`)."
        ) from error
    user = claims.get("idtyp") == "user" or "scp" in claims or "upn" in claims
    name = claims.get("upn") or claims.get("preferred_username") or claims.get("name")
    name = name or claims.get("app_displayname") or claims.get("appid")
    return Identity(
        object_id=object_id, principal_type="User" if user else "ServicePrincipal", name=str(name or "")
    )
