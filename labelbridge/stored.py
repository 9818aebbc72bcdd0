"""Content in the registry: blobs named by their own hash, and caches that may be thrown away.

Prevents two copies of one thing that differ: what is written twice is the same, what is read is held
against its name, and neither is ever held in memory as a whole (a snapshot may have any size).
"""

import hashlib
import json
import re
import tempfile
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, BinaryIO
from urllib.parse import quote

from labelbridge._threads import in_thread
from labelbridge.azure.blobs import BlobHead, Blobs
from labelbridge.errors import LabelbridgeError
from labelbridge.model import BlobRef, ProjectRef

_SHA256 = re.compile(r"[0-9a-f]{64}")
_SUFFIXES = {"raw": "json", "uploads": "jsonl", "quarantine": "jsonl", "reports": "jsonl"}
Data = bytes | BinaryIO


class Contents:
    """Snapshots, project files, quarantine files, merge reports, uploads; catalogs and shards."""

    def __init__(self, blobs: Blobs, container: str) -> None:
        """`blobs` is the account of `RegistrySettings.account`."""
        self._blobs = blobs
        self._container = container

    # Snapshots

    async def put_snapshot(
        self,
        ref: ProjectRef,
        id: str,  # noqa: A002
        content: Data,
        manifest: Mapping[str, Any],
    ) -> None:
        """Keep a snapshot of a project and its manifest. `id` is the sha256 (hex) of `content`; checked.

        The first manifest of a snapshot stays.
        """
        if await _digest(content) != id:
            raise LabelbridgeError("read_back_differs", f"Snapshot {id} does not have its content's hash.")
        await self._create(snapshot_name(ref, id), id, content)
        text = json.dumps(manifest, ensure_ascii=False, sort_keys=True, default=str).encode()
        await self._blobs.create(self._container, manifest_name(ref, id), text)

    async def read_snapshot(self, ref: ProjectRef, id: str) -> bytes | None:  # noqa: A002
        """A snapshot's content, verified against its id; None if the project has none of this id."""
        return await _all(await self.open_snapshot(ref, id))

    async def open_snapshot(self, ref: ProjectRef, id: str) -> BinaryIO | None:  # noqa: A002
        """`read_snapshot` as a temporary file, which vanishes when it is closed."""
        return await self._verified(snapshot_name(ref, id), id)

    async def read_manifest(self, ref: ProjectRef, id: str) -> dict[str, Any] | None:  # noqa: A002
        """A snapshot's manifest, or None if there is none."""
        content = await self._blobs.read(self._container, manifest_name(ref, id))
        return None if content is None else dict(json.loads(content.data))

    async def snapshot_id(self, ref: ProjectRef, start: str) -> str:
        """The id of the project's only snapshot that begins so.

        Raises:
            LabelbridgeError: `snapshot_unknown` if there is none or more than one, or `start` is no hex.
        """
        if _SHA256.fullmatch(start):
            return start
        folder = f"snapshots/{segment(ref.key)}/"
        found: list[str] = []
        if re.fullmatch(r"[0-9a-f]{4,63}", start):
            names = await self._blobs.list(self._container, folder + start)
            found = [b.name.removeprefix(folder)[:64] for b in names if b.name.endswith(".jsonl")]
        if len(found) != 1:
            many = "more than one snapshot" if found else "no snapshot"
            raise LabelbridgeError("snapshot_unknown", f"{ref.name} has {many} {start!r}.")
        return found[0]

    async def manifests(self, ref: ProjectRef) -> AsyncIterator[dict[str, Any]]:
        """The manifests of a project's snapshots, by id."""
        async for blob in self._blobs.each(self._container, f"snapshots/{segment(ref.key)}/"):
            if blob.name.endswith(".json"):
                content = await self._blobs.read(self._container, blob.name)
                if content is not None:
                    yield dict(json.loads(content.data))

    # Other content

    async def put_raw(self, data: Data) -> str:
        """Keep a Language project file as it was exported; returns its blob name."""
        return await self._put("raw", data)

    async def read_raw(self, name: str) -> bytes:
        """What `put_raw` kept, verified; see `open_raw`."""
        return await _all(await self.open_raw(name)) or b""

    async def open_raw(self, name: str) -> BinaryIO:
        """What `put_raw` kept, verified, as a temporary file, which vanishes when it is closed.

        Raises:
            LabelbridgeError: `snapshot_unknown` if there is no such blob.
        """
        return await self._opened("raw", name, "project file")

    async def put_quarantine(self, data: Data) -> str:
        """Keep rows that could not be read (JSONL); returns the blob name."""
        return await self._put("quarantine", data)

    async def read_quarantine(self, name: str) -> bytes:
        """What `put_quarantine` kept, verified; see `open_quarantine`."""
        return await _all(await self.open_quarantine(name)) or b""

    async def open_quarantine(self, name: str) -> BinaryIO:
        """What `put_quarantine` kept, verified, as a temporary file.

        Raises:
            LabelbridgeError: `snapshot_unknown` if there is no such blob.
        """
        return await self._opened("quarantine", name, "quarantine file")

    async def put_report(self, data: Data) -> str:
        """Keep the conflicts of a merge (JSONL); returns the blob name."""
        return await self._put("reports", data)

    async def open_report(self, name: str) -> BinaryIO:
        """What `put_report` kept, verified, as a temporary file.

        Raises:
            LabelbridgeError: `snapshot_unknown` if there is no such blob.
        """
        return await self._opened("reports", name, "merge report")

    async def put_upload(self, data: Data) -> BlobRef:
        """Keep a file that a caller handed in, so that an operation can name it."""
        name = await self._put("uploads", data)
        return BlobRef(account=self._blobs.account, container=self._container, name=name)

    # What may be thrown away at any time

    async def load_catalog(self, account: str, container: str, file: BinaryIO) -> BlobHead | None:
        """Write the catalog of a container to `file`; None if there is none. Check it: it is a cache."""
        return await self._blobs.download(self._container, _catalog_name(account, container), file)

    async def save_catalog(
        self, account: str, container: str, file: BinaryIO, etag: str | None
    ) -> str | None:
        """Replace the catalog that had `etag`; returns the new one, None if somebody else was first."""
        name, metadata = _catalog_name(account, container), {"sha256": await _digest(file)}
        if etag is None:
            return await self._blobs.create(self._container, name, file, metadata=metadata)
        try:
            return await self._blobs.replace(self._container, name, file, etag, metadata=metadata)
        except LabelbridgeError as error:
            if error.code != "record_conflict":
                raise
            return None

    async def put_shard(self, name: str, data: Data) -> None:
        """Keep a part of a conversion under a name below `shards/`; a repeated attempt changes nothing."""
        await self._blobs.create(self._container, _shard_name(name), data)

    async def has_shard(self, name: str) -> bool:
        """True if `put_shard` was done."""
        return await self._blobs.exists(self._container, _shard_name(name))

    async def open_shard(self, name: str, *, start: int = 0, end: int | None = None) -> BinaryIO:
        """What `put_shard` kept, or its bytes `start` to `end`, at their places in a temporary file.

        Raises:
            LabelbridgeError: `snapshot_unknown` if there is no such blob.
        """
        file = _scratch()
        file.seek(start)
        length = None if end is None else end - start
        if await self._blobs.download(self._container, _shard_name(name), file, offset=start, length=length):
            file.seek(0)
            return file
        file.close()
        raise LabelbridgeError("snapshot_unknown", f"There is no part {name!r} of a conversion.")

    async def drop_shards(self, prefix: str) -> None:
        """Delete what `put_shard` kept below `prefix`."""
        for blob in await self._blobs.list(self._container, _shard_name(prefix.rstrip("/") + "/")):
            await self._blobs.delete(self._container, blob.name)

    async def drop_stale_shards(self, folder: str, age: timedelta) -> None:
        """Delete what `put_shard` kept below `folder` and that is older than `age`, by the store's dates."""
        limit = datetime.now(UTC) - age
        for blob in await self._blobs.list(self._container, _shard_name(folder.rstrip("/") + "/")):
            if blob.last_modified is not None and blob.last_modified < limit:
                await self._blobs.delete(self._container, blob.name)

    # How

    async def _put(self, folder: str, data: Data) -> str:
        digest = await _digest(data)
        name = f"{folder}/{digest}.{_SUFFIXES[folder]}"
        await self._create(name, digest, data)
        return name

    async def _create(self, name: str, digest: str, data: Data) -> None:
        """Write content that may be there already; then it is read and verified."""
        large = not isinstance(data, bytes)
        if large and await self._blobs.exists(self._container, name):  # spares the upload of it all
            created = None
        else:
            created = await self._blobs.create(self._container, name, data)
        if created is None:
            found = await self._verified(name, digest)
            if found is not None:
                found.close()

    async def _opened(self, folder: str, name: str, what: str) -> BinaryIO:
        match = re.fullmatch(rf"{folder}/({_SHA256.pattern})\.{_SUFFIXES[folder]}", name)
        file = await self._verified(name, match[1]) if match else None
        if file is None:
            raise LabelbridgeError("snapshot_unknown", f"There is no {what} {name!r}.")
        return file

    async def _verified(self, name: str, digest: str) -> BinaryIO | None:
        file = _scratch()
        try:
            if await self._blobs.download(self._container, name, file) is None:
                file.close()
                return None
            if await _digest(file) != digest:
                raise LabelbridgeError(
                    "read_back_differs", f"The blob {name} does not have the hash of its name."
                )
        except BaseException:
            file.close()
            raise
        return file


def snapshot_name(ref: ProjectRef, id: str) -> str:  # noqa: A002
    """Blob name of a snapshot; `snapshot_unknown` for what is no id."""
    if not _SHA256.fullmatch(id):
        raise LabelbridgeError("snapshot_unknown", f"{id!r} is no snapshot id: 64 hexadecimal digits.")
    return f"snapshots/{segment(ref.key)}/{id}.jsonl"


def manifest_name(ref: ProjectRef, id: str) -> str:  # noqa: A002
    """Blob name of a snapshot's manifest."""
    return snapshot_name(ref, id).removesuffix("l")


def handed_in(source: BlobRef, account: str, container: str) -> bool:
    """True if `put_upload` of this registry kept it; any other blob a worker would read with its own rights."""
    return (source.account, source.container) == (account, container) and source.name.startswith("uploads/")


def segment(text: str) -> str:
    """`text` as one segment of a blob name: it can neither leave its prefix nor be `.` or `..`."""
    name = quote(text, safe="")
    return name if name.strip(".") else name.replace(".", "%2E") or "%00"


def _catalog_name(account: str, container: str) -> str:
    return f"catalog/{segment(account)}/{segment(container)}.sqlite"


def _shard_name(name: str) -> str:
    return "shards/" + "/".join(segment(part) if part else "" for part in name.split("/"))


def _scratch() -> BinaryIO:
    return tempfile.TemporaryFile(prefix="labelbridge-")


async def _digest(data: Data) -> str:
    if isinstance(data, bytes):
        return hashlib.sha256(data).hexdigest()
    data.seek(0)
    found = await in_thread(lambda: hashlib.file_digest(data, "sha256").hexdigest())  # type: ignore[arg-type]
    data.seek(0)
    return found


async def _all(file: BinaryIO | None) -> bytes | None:
    if file is None:
        return None
    with file:
        return file.read()
