"""Brings each authoring request to its turnstile, and tells the turnstile of each 429.

Prevents a call that forgets to ask: the policy stands in the pipeline of the official client, below its
retries and above the transport's last look at the deadline.
"""

from typing import Any
from urllib.parse import unquote, urlsplit

from azure.core.pipeline.policies import AsyncHTTPPolicy

from labelbridge.azure.errors import retry_after
from labelbridge.throttling.limiter import Limiter
from labelbridge.throttling.settings import Sort, ThrottleSettings

WITHOUT_RETRY_AFTER = 5.0
"""Seconds of a pause after a 429 that does not say how long; ours."""


class ThrottlePolicy(AsyncHTTPPolicy[Any, Any]):
    """The policy of one Language resource. `limiters` has none for a sort without limit."""

    def __init__(self, settings: ThrottleSettings, limiters: dict[Sort, Limiter]) -> None:
        super().__init__()
        self._settings = settings
        self._limiters = limiters

    async def send(self, request: Any) -> Any:
        """Wait for the request's turn, send it, and pause its sort if the service says so."""
        limiter = self._limiters.get(self._settings.sort_of(request.http_request.method))
        if limiter is None:
            return await self.next.send(request)
        await limiter.enter(project_of(request.http_request.url))
        response = await self.next.send(request)
        if response.http_response.status_code == 429:
            asked = retry_after(response.http_response.headers)
            await limiter.pause(asked.total_seconds() if asked else WITHOUT_RETRY_AFTER)
        return response


def project_of(url: str) -> str:
    """The project that an authoring request is about; empty if it is about none."""
    _, found, rest = urlsplit(url).path.partition("/projects/")
    return unquote(rest.split("/", 1)[0]).casefold() if found else ""
