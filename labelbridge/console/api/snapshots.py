"""Snapshots: what labels were, and what changed between two of them."""

from contextlib import ExitStack
from typing import Annotated, Any, BinaryIO

import msgspec
from fastapi import APIRouter, Path
from starlette.responses import Response

from labelbridge._threads import in_thread
from labelbridge.console.api.context import Project, Reads, about_project
from labelbridge.console.api.paging import PAGE, Cursor, Limit, cursor_of, last_of
from labelbridge.console.deps import Reading
from labelbridge.errors import LabelbridgeError
from labelbridge.labels import diff as compare
from labelbridge.labels.diff import Change
from labelbridge.labels.manifest import Manifest
from labelbridge.labels.snapshot import stored_rows

router = APIRouter(prefix="/projects/{project}/snapshots", tags=["snapshots"])

_MOST = 100_000
SnapshotId = Annotated[
    str, Path(pattern=r"^[0-9a-f]{4,64}$", description="Id of a snapshot, or how it begins.")
]


class ManifestPage(msgspec.Struct, frozen=True, kw_only=True):
    """One page of manifests, newest first."""

    items: tuple[Manifest, ...]
    next: str | None


class DiffPage(msgspec.Struct, frozen=True, kw_only=True):
    """What changed: how much in all, and one page of the documents that differ, by name."""

    added: int
    removed: int
    changed: int
    same: int
    labels_added: int
    labels_removed: int
    items: tuple[Change, ...]
    next: str | None


STRUCTS = (Manifest, ManifestPage, DiffPage)
"""What answers are made of that pydantic does not know; `api` adds their schemas to OpenAPI."""


def _ok(name: str) -> dict[int | str, dict[str, Any]]:
    schema = {"$ref": f"#/components/schemas/{name}"}
    return {200: {"description": "Found.", "content": {"application/json": {"schema": schema}}}}


def _json(struct: msgspec.Struct) -> Response:
    return Response(msgspec.json.encode(struct), media_type="application/json")


@router.get("", response_class=Response, responses={**_ok("ManifestPage"), **about_project()})
async def snapshots(
    ref: Project, _: Reading, reads: Reads, cursor: Cursor = None, limit: Limit = PAGE
) -> Response:
    """The manifests of the project's snapshots, newest first."""
    ids = await (await reads.registry()).recent_snapshots(ref, _MOST)
    after = last_of(cursor)
    start = ids.index(after) + 1 if after in ids else 0
    if after is not None and not start:
        raise LabelbridgeError("input_invalid", "cursor: the project has no such snapshot.")
    shown = ids[start : start + limit]
    items = tuple([await reads.manifest(ref, one) for one in shown])
    return _json(ManifestPage(items=items, next=cursor_of(shown[-1]) if len(ids) > start + limit else None))


@router.get(
    "/{snapshot}",
    response_class=Response,
    responses={
        **_ok("Manifest"),
        **about_project("snapshot_unknown", "snapshot_unreadable"),
    },
)
async def snapshot(ref: Project, snapshot: SnapshotId, _: Reading, reads: Reads) -> Response:
    """Where a snapshot came from and what it holds."""
    return _json(await reads.manifest(ref, snapshot))


@router.get(
    "/{snapshot}/diff/{later}",
    response_class=Response,
    responses={
        **_ok("DiffPage"),
        **about_project("snapshot_unknown", "snapshot_unreadable"),
    },
)
async def diff(
    ref: Project,
    snapshot: SnapshotId,
    later: SnapshotId,
    _: Reading,
    reads: Reads,
    cursor: Cursor = None,
    limit: Limit = PAGE,
) -> Response:
    """What changed from one snapshot to a later one, by document and label; offsets in UTF-16 units."""
    after = last_of(cursor)
    with ExitStack() as stack:
        old = stack.enter_context(await reads.snapshot(ref, snapshot))
        new = stack.enter_context(await reads.snapshot(ref, later))
        return _json(await in_thread(lambda: _compared(old, new, after, limit)))


def _compared(old: BinaryIO, new: BinaryIO, after: str | None, limit: int) -> DiffPage:
    """Count everything, keep one page: memory does not grow with what differs."""
    found = compare.diff(stored_rows(old), stored_rows(new), past=after, most=limit + 1)
    shown = found.changes[:limit]
    return DiffPage(
        added=found.added,
        removed=found.removed,
        changed=found.changed,
        same=found.same,
        labels_added=found.labels_added,
        labels_removed=found.labels_removed,
        items=shown,
        next=cursor_of(shown[-1].document) if len(found.changes) > limit else None,
    )
