"""How Language authoring is called: through Microsoft's own client, without its pollers.

Prevents the traps of that client (azure-ai-textanalytics-authoring 1.0.0b1, each measured): its
pollers never end on `cancelled` or `partiallyCompleted`, so operations are begun without one and the
job's id is taken from `operation-location`; `get_project_client` drops the API version, so the
project client is made directly.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlsplit

from azure.ai.textanalytics.authoring.aio import TextAuthoringClient, TextAuthoringProjectClient
from azure.core.credentials_async import AsyncTokenCredential
from azure.core.exceptions import HttpResponseError
from azure.core.pipeline.policies import AsyncHTTPPolicy
from azure.core.rest import AsyncHttpResponse, HttpRequest

from labelbridge.azure.arm import Arm, LanguageAccount
from labelbridge.azure.errors import azure_errors, json_object
from labelbridge.azure.observed import Transport
from labelbridge.errors import LabelbridgeError
from labelbridge.model import PROJECT_NAME
from labelbridge.settings import Settings


class LanguageCalls:
    """The clients of one Language resource and the calls they have no public method for."""

    def __init__(
        self,
        resource_id: str,
        settings: Settings,
        arm: Arm,
        credential: AsyncTokenCredential,
        transport: Transport,
        policies: Sequence[AsyncHTTPPolicy[Any, Any]] = (),
    ) -> None:
        """The endpoint is looked up through `arm` on first use. `transport` is shared.

        `policies` stand in front of each request, below the client's own retries.
        """
        self.id = resource_id
        self.settings = settings
        self._arm = arm
        self._credential = credential
        self._options: dict[str, Any] = {
            "api_version": settings.azure.language_api_version,
            "credential_scopes": [f"{settings.azure.language_audience}/.default"],
            "transport": transport,
            "retry_total": 0,
            "per_retry_policies": list(policies),
        }
        self._endpoint: str | None = None
        self._client: TextAuthoringClient | None = None
        self._projects: dict[str, TextAuthoringProjectClient] = {}

    async def account(self) -> LanguageAccount:
        """The resource as ARM has it; read anew each time.

        Raises:
            LabelbridgeError: `invalid_request` if there is no such resource.
        """
        account = await self._arm.language_account(self.id)
        if account is None:
            raise LabelbridgeError(
                "invalid_request",
                f"There is no Language resource {self.id}.",
                remedy="Check the resource id: `az cognitiveservices account list --output table`.",
                data={"status": "404"},
            )
        return account

    async def request(
        self,
        what: str,
        method: str,
        path: str,
        *,
        json: Any = None,
        ok: tuple[int, ...] = (200,),
        stream: bool = False,
    ) -> AsyncHttpResponse:
        """A call for which the official client has no public method, through its own pipeline.

        Args:
            what: What is tried, for the message of an error.
            method: HTTP method.
            path: Path below `projects/`, or a whole address (https).
            json: Body, if any.
            ok: Status codes that are no error.
            stream: Leave the answer's body unread; the caller closes the response.
        """
        client = await self.resource_client()
        base = f"{await self.base()}/language/authoring/analyze-text/projects"
        absolute = path.startswith("https://")
        request = HttpRequest(
            method,
            path if absolute else f"{base}/{path}",
            params=None if absolute else {"api-version": self.settings.azure.language_api_version},
            json=json,
        )
        async with azure_errors(what):
            response = await client.send_request(request, stream=stream)
            if response.status_code not in ok:
                if stream:
                    await response.read()
                raise HttpResponseError(response=response)
            return response

    async def base(self) -> str:
        """The resource's endpoint, as ARM knows it."""
        if self._endpoint is None:
            self._endpoint = (await self.account()).endpoint
        return self._endpoint

    async def resource_client(self) -> TextAuthoringClient:
        """The official client of the resource."""
        endpoint = await self.base()
        if self._client is None:
            self._client = TextAuthoringClient(endpoint, self._credential, **self._options)
        return self._client

    async def project_client(self, name: str) -> TextAuthoringProjectClient:
        """The official client of one project."""
        endpoint = await self.base()
        if name not in self._projects:
            self._projects[name] = TextAuthoringProjectClient(
                endpoint, self._credential, project_name=plain(name), **self._options
            )
        return self._projects[name]


def job_id_of(headers: Mapping[str, str]) -> str:
    """The job's id out of `operation-location` (a few pages of the documentation say `location`)."""
    location = headers.get("operation-location") or headers.get("location") or ""
    job = urlsplit(location).path.rstrip("/").rsplit("/", 1)[-1]
    if not job.strip("."):
        raise LabelbridgeError("unavailable", "The service accepted a job and did not say where it is.")
    return job


def operation_job(pipeline_response: Any, *_: Any) -> str:
    """For the `cls` of an operation that begins a job: the job's id."""
    return job_id_of(pipeline_response.http_response.headers)


async def begun(begin: Any) -> str:
    """The job's id of an SDK operation that was begun with `polling=False`."""
    return str(await (await begin).result())


def json_body(pipeline_response: Any, *_: Any) -> Any:
    """For the `cls` of an operation: the JSON as it came (the SDK's models drop what they do not know)."""
    return json_object(pipeline_response.http_response)


def part(job_id: str) -> str:
    """A job's id as one segment of an address, whatever the service named it."""
    if not job_id.strip("."):
        raise LabelbridgeError("invalid_request", f"{job_id!r} is no id of a job.")
    return quote(job_id, safe="")


def plain(name: str) -> str:
    """A name that stays within its path segment: `..` is a legal name and an illegal segment."""
    if not re.fullmatch(PROJECT_NAME, name) or not name.strip("."):
        raise LabelbridgeError("invalid_request", f"{name!r} is no name of a project, model or deployment.")
    return name
