"""A thin ARM client for what no released management package covers.

Prevents a dependency on a private module: `labelingJobs` has only preview API versions, no
`azure-mgmt-machinelearningservices` release carries it, and `azure-ai-ml` dropped its private copy.
"""

from typing import Any
from urllib.parse import urlsplit

from azure.core.credentials_async import AsyncTokenCredential
from azure.core.exceptions import HttpResponseError
from azure.core.pipeline.policies import HeadersPolicy, RequestIdPolicy, UserAgentPolicy
from azure.core.rest import AsyncHttpResponse, HttpRequest
from azure.mgmt.core import AsyncARMPipelineClient
from azure.mgmt.core.policies import ARMHttpLoggingPolicy, AsyncARMChallengeAuthenticationPolicy

from labelbridge.azure.errors import azure_errors, json_object
from labelbridge.azure.observed import Transport
from labelbridge.errors import LabelbridgeError
from labelbridge.settings import AzureSettings


class ArmRest:
    """Sends requests to Resource Manager as they are; no retries, no pollers."""

    def __init__(
        self, settings: AzureSettings, credential: AsyncTokenCredential, transport: Transport
    ) -> None:
        """`transport` is shared and never closed here."""
        self._base = settings.arm_endpoint.rstrip("/")
        self._client: AsyncARMPipelineClient[HttpRequest, AsyncHttpResponse] = AsyncARMPipelineClient(
            self._base,
            policies=[
                RequestIdPolicy(),
                HeadersPolicy(),
                UserAgentPolicy("labelbridge"),
                AsyncARMChallengeAuthenticationPolicy(credential, f"{settings.arm_audience}/.default"),
                ARMHttpLoggingPolicy(),
            ],
            transport=transport,
        )

    async def call(
        self,
        what: str,
        method: str,
        path: str,
        *,
        version: str | None,
        json: Any = None,
        params: dict[str, str] | None = None,
        ok: tuple[int, ...] = (200,),
    ) -> AsyncHttpResponse:
        """Send one request.

        Args:
            what: What is tried, for the message of an error.
            method: HTTP method.
            path: ARM path, or a whole address that ARM gave (a `Location`, a `nextLink`).
            version: `api-version`; None for an address that carries its own.
            json: Body, if any.
            params: Further query parameters.
            ok: Status codes that are no error.
        """
        query = {**(params or {}), **({"api-version": version} if version else {})}
        request = HttpRequest(method, self._address(path), params=query or None, json=json)
        async with azure_errors(what):
            response = await self._client.send_request(request)
            if response.status_code not in ok:
                raise HttpResponseError(response=response)
            return response

    async def pages(self, what: str, path: str, *, version: str) -> list[dict[str, Any]]:
        """All items of a listing, its `nextLink`s followed."""
        items: list[dict[str, Any]] = []
        body = json_object(await self.call(what, "GET", path, version=version))
        items.extend(body.get("value") or ())
        while link := body.get("nextLink"):
            body = json_object(await self.call(what, "GET", link, version=None))
            items.extend(body.get("value") or ())
        return items

    def _address(self, path: str) -> str:
        """The whole address; one that ARM gave must be ARM's own, because it is sent our token."""
        if path.startswith("/"):
            return self._base + path
        if not self._own(path):
            raise LabelbridgeError(
                "invalid_request", f"{path[:200]!r} is no address of {self._base}: no token is sent there."
            )
        return path

    def _own(self, address: str) -> bool:
        """True if every reader of addresses takes this one for Resource Manager's, or its region's."""
        if "\\" in address or not address.isascii() or not address.isprintable() or " " in address:
            return False
        try:
            ours, theirs = urlsplit(self._base), urlsplit(address)
            own = theirs.hostname == ours.hostname or (theirs.hostname or "").endswith(f".{ours.hostname}")
            named = theirs.username is not None or theirs.password is not None
            return own and not named and (theirs.scheme, theirs.port) == (ours.scheme, ours.port)
        except ValueError:
            return False
