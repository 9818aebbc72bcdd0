"""Names of blobs: `v0/ns/NAMESPACE/wt/TYPE/wi/ID/ri/RUN/d/sha256/HASH`, and nothing that leaves that shape.

Prevents a workflow id such as `../../other` or `a/d/sha256/...` that would name another's blob. Each
segment is percent-encoded by itself, so that `/` comes from this module only. Azure's rules for blob names
(1 to 1,024 characters, at most 254 segments, none that ends with a dot) hold for every input.
"""

from urllib.parse import quote

from temporalio.converter import StorageDriverActivityInfo, StorageDriverWorkflowInfo

MAX_NAME = 1024
NULL = "null"
"""Stands for what is not known. Somebody may really be named so: then equal content shares a blob, no more."""
_KEPT = "-_~"


def blob_name(target: StorageDriverWorkflowInfo | StorageDriverActivityInfo | None, digest: str) -> str:
    """The name for a payload with this SHA-256 (hex), below whom it is stored for.

    A name that would be too long keeps its namespace, to which access can be scoped, and loses the rest.
    """
    content = f"d/sha256/{digest}"
    if target is None:
        return f"v0/{content}"
    place = f"v0/ns/{segment(target.namespace)}"
    kind = "w" if isinstance(target, StorageDriverWorkflowInfo) else "a"
    whose = f"{kind}t/{segment(target.type)}/{kind}i/{segment(target.id)}/ri/{segment(target.run_id)}"
    name = f"{place}/{whose}/{content}"
    if len(name) <= MAX_NAME:
        return name
    name = f"{place}/{content}"
    return name if len(name) <= MAX_NAME else f"v0/{content}"


def is_blob_name(name: str, digest: str) -> bool:
    """True if `blob_name` can have made this name for this hash."""
    segments = name.split("/")
    return (
        len(name) <= MAX_NAME
        and segments[0] == "v0"
        and segments[-3:] == ["d", "sha256", digest]
        and len(segments) in (4, 6, 12)
        and all(part and set(part) != {"."} for part in segments)
    )


def segment(text: str | None) -> str:
    """One path segment: unreserved ASCII as it is, anything else as percent-encoded UTF-8.

    Dots are encoded where they would make `.` or `..`, or end the segment.
    """
    if not text:
        return NULL
    encoded = quote(text, safe=_KEPT)
    bare = encoded.rstrip(".")
    return bare + "%2E" * (len(encoded) - len(bare))
