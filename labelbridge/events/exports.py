"""Label exports that Event Grid tells of: whose they are, and which of them we made ourselves.

Prevents a sync that starts itself: every sync with Azure ML active makes an export, and that export's own
`BlobCreated` must not start the next sync. So each blob of an export that Labelbridge reads is noted, and an
event about one that is noted is not news.
"""

import hashlib
import re

from pydantic import ValidationError

from labelbridge.azure.blobs import Blobs
from labelbridge.events.orders import ExportSeen
from labelbridge.model import Claim, ProjectRef

_SUBJECT = re.compile(r"^/blobServices/default/containers/(?P<container>[^/]+)/blobs/(?P<path>.+)$", re.S)
_ACCOUNT = re.compile(r"/providers/Microsoft\.Storage/storageAccounts/(?P<name>[^/]+)$", re.I)


def export_of(source: str, subject: str, pattern: str) -> ExportSeen | None:
    """The label export that a `Microsoft.Storage.BlobCreated` event speaks of, or None if it is none.

    Args:
        source: ARM id of the storage account (`topic` or `source` of the event).
        subject: `/blobServices/default/containers/CONTAINER/blobs/PATH` (Event Grid's schema of Blob Storage).
        pattern: `EventSettings.export_pattern`.
    """
    account, blob = _ACCOUNT.search(source.rstrip("/")), _SUBJECT.match(subject)
    if account is None or blob is None:
        return None
    found = re.search(pattern, blob["path"], re.S)
    if found is None or not found["job"]:
        return None
    return ExportSeen(
        job=found["job"], account=account["name"], container=blob["container"], path=blob["path"]
    )


class Exports:
    """What a registry knows of exports: which we made, whose they can be, which were heard of."""

    def __init__(self, blobs: Blobs, container: str) -> None:
        """`blobs` and `container` are the registry's."""
        self._blobs = blobs
        self._container = container

    async def note(self, account: str, container: str, path: str) -> None:
        """Remember a blob of an export of our own; may be repeated."""
        await self._blobs.create(self._container, _name(account, container, path), b"{}")

    async def projects(self, job: str) -> tuple[ProjectRef, ...]:
        """The projects that ever claimed a labeling job of this name, in any workspace.

        By the claims, which are named after jobs: the records of a fleet would all have to be read.
        """
        found = []
        for blob in await self._blobs.list(self._container, "claims/"):
            if blob.name.rpartition("/")[2] != f"{job.casefold()}.json":
                continue
            content = await self._blobs.read(self._container, blob.name)
            try:
                claim = Claim.model_validate_json(content.data) if content else None
            except ValidationError:
                continue
            if claim is not None:
                found.append(claim.project)
        return tuple(found)

    async def heard(self, digest: str) -> bool:
        """True if an event of this digest was dealt with."""
        return await self._blobs.exists(self._container, f"events/heard/{digest}.json")

    async def note_heard(self, digest: str) -> None:
        """Remember for ever that an event was dealt with; may be repeated."""
        await self._blobs.create(self._container, f"events/heard/{digest}.json", b"{}")

    async def made(self, export: ExportSeen) -> bool:
        """True if Labelbridge made this export."""
        return await self._blobs.exists(self._container, _name(export.account, export.container, export.path))


def _name(account: str, container: str, path: str) -> str:
    digest = hashlib.sha256("\0".join((account.casefold(), container, path)).encode()).hexdigest()
    return f"exports/{digest}.json"
