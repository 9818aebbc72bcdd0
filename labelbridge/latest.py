"""`labels/latest.json`: which snapshot holds a project's latest labels, for data pipelines.

Prevents a pipeline that goes back in time: the marker is changed by compare-and-swap only, and only to
labels that were carried later. A step that is repeated long after, or a worker that wakes from a pause,
finds a newer marker and leaves it.
"""

from datetime import datetime

from labelbridge.azure.blobs import Blobs
from labelbridge.errors import LabelbridgeError
from labelbridge.forms import parsed
from labelbridge.model import Model, ProjectRef, Side
from labelbridge.stored import segment, snapshot_name


class LatestLabels(Model):
    """What the marker says."""

    schema_version: int = 1
    project: str
    """The project's key."""
    snapshot: str
    sha256: str
    """Of the snapshot's content: its id."""
    path: str
    """Blob of the content, in the registry's container."""
    source: Side
    documents: int
    labels: int
    quarantined: int
    epoch: int
    taken_at: datetime
    """Labels that a studio accepted before this moment are in the snapshot."""
    operation: str
    """The operation that carried them."""
    carried_at: datetime
    """When that operation ended: what decides which of two markers is later."""

    @property
    def order(self) -> tuple[int, datetime, str]:
        """Greater for what was carried later. Operations of a project end one after the other."""
        return self.epoch, self.carried_at, self.operation


class Markers:
    """The markers of all projects of a registry."""

    def __init__(self, blobs: Blobs, container: str) -> None:
        """`blobs` and `container` are the registry's."""
        self._blobs = blobs
        self._container = container

    async def read(self, project: ProjectRef) -> LatestLabels | None:
        """The project's marker, or None if none of its labels were carried yet."""
        return (await self._read(project))[0]

    async def advance(self, project: ProjectRef, latest: LatestLabels) -> LatestLabels:
        """Let the marker say `latest`, unless it says something later; returns what it says then."""
        name, data = marker_name(project), latest.model_dump_json(indent=1).encode()
        while True:
            standing, etag = await self._read(project)
            if standing is not None and standing.order >= latest.order:
                return standing
            if await self._blobs.swap(self._container, name, data, etag):
                return latest
            # Somebody else, or our own write whose answer was lost: the next look tells.

    async def _read(self, project: ProjectRef) -> tuple[LatestLabels | None, str | None]:
        """The marker and the ETag that the next write must match; one that is no marker is replaced."""
        content = await self._blobs.read(self._container, marker_name(project))
        if content is None:
            return None, None
        try:
            return parsed(LatestLabels, content.data, marker_name(project)), content.etag
        except LabelbridgeError as error:
            if error.code != "record_unreadable":
                raise
            return None, content.etag


def marker_name(project: ProjectRef) -> str:
    """Blob name of a project's marker, beside its record."""
    return f"projects/{segment(project.key)}/labels/latest.json"


def snapshot_path(project: ProjectRef, snapshot: str) -> str:
    """Blob name of a snapshot's content."""
    return snapshot_name(project, snapshot)
