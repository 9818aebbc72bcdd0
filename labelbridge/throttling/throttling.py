"""The turnstiles of all Language resources of a process, and which resources its fleet has.

Prevents a turn that nobody serves: the worker that meets a resource first tells its own process at once,
and the other workers by a blob.
"""

from collections.abc import Awaitable, Callable
from urllib.parse import unquote

from labelbridge.azure.blobs import Blobs
from labelbridge.model import ProjectRef
from labelbridge.throttling.ledger import FOLDER, Ledger
from labelbridge.throttling.limiter import Limiter
from labelbridge.throttling.policy import ThrottlePolicy
from labelbridge.throttling.settings import Sort, ThrottleSettings

Listener = Callable[[str], Awaitable[None]]
SORTS: tuple[Sort, ...] = ("post", "get")


class ResourceThrottle:
    """One resource's ledger, and its turnstiles by sort."""

    def __init__(self, ledger: Ledger, settings: ThrottleSettings) -> None:
        """A sort without a limit has no turnstile."""
        self.ledger = ledger
        self.limiters = {sort: Limiter(ledger, sort) for sort in SORTS if settings.limit(sort)}
        self.policy = ThrottlePolicy(settings, self.limiters)


class Throttling:
    """Those of all resources; belongs to a session, and to its event loop."""

    def __init__(self, settings: ThrottleSettings, blobs: Blobs, container: str) -> None:
        """`blobs` and `container` are the registry's."""
        self.settings = settings
        self._blobs = blobs
        self._container = container
        self._resources: dict[str, ResourceThrottle] = {}
        self._met: set[str] = set()
        self._listener: Listener | None = None

    def listen(self, listener: Listener | None) -> None:
        """Have `listener` told the key of each resource that this process meets from now on."""
        self._listener = listener

    def of(self, key: str, resource: str) -> ResourceThrottle:
        """The turnstiles of a resource, by `ProjectRef.resource_key` and ARM id."""
        if key not in self._resources:
            ledger = Ledger(resource, key, self._blobs, self._container, self.settings)
            self._resources[key] = ResourceThrottle(ledger, self.settings)
        return self._resources[key]

    async def meet(self, project: ProjectRef) -> None:
        """An operation on this project begins: its resource's queue is served when this returns.

        Raises:
            LabelbridgeError: of the blob service, if other workers could not be told.
        """
        key = project.resource_key
        if not self.settings.turns:
            return
        if key not in self._met:
            await self.of(key, project.language_resource).ledger.meet()
            self._met.add(key)
        if self._listener is not None:  # after the blob: whoever serves a resource without one stops
            await self._listener(key)

    async def known(self) -> frozenset[str]:
        """Keys of the resources that any worker met and whose blob was not deleted since.

        Raises:
            LabelbridgeError: of the blob service.
        """
        names = [blob.name for blob in await self._blobs.list(self._container, FOLDER)]
        keys = frozenset(unquote(n.removeprefix(FOLDER).removesuffix(".json")) for n in names)
        self._met &= keys  # one that was deleted is made again when its resource is met again
        return keys

    async def turn(self, project: ProjectRef) -> None:
        """Wait until a request that begins work on the project's resource would be let through."""
        limiter = self.of(project.resource_key, project.language_resource).limiters.get("post")
        if limiter is not None:
            await limiter.ready()
