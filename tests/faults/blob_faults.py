"""Faults between a worker and its blobs: requests that are lost before, after or in two of their effects.

Prevents a record store that is only ever killed whole: the write that commits an operation may arrive and its
answer not, may come twice, or never. Struck in the forked worker's own transport, at a seeded rate; each strike
is a line in a file that all workers of a campaign append to.
"""

import json
import os
import random
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from azure.core.exceptions import ServiceRequestError, ServiceResponseError

from labelbridge.azure import transport
from tests.faults.recording import Disturbance

WRITES = ("dropped", "reset after the effect", "reset after the effect", "repeated")
READS = ("dropped", "reset after the effect")
LASTS = 10.0
"""Seconds within which the attempt that a strike failed is repeated."""
SELDOM = 5
"""Reads are struck so many times less often than writes."""


@dataclass(frozen=True)
class BlobFaults:
    """What a worker is told."""

    endpoint: str
    """Where the addresses of all blobs begin."""
    rate: float
    """Share of the writes that is struck."""
    seed: str
    note: str
    """The file that strikes are written down in."""


@dataclass(frozen=True)
class Struck:
    """One request that was struck."""

    at: float
    how: str
    method: str
    path: str

    @property
    def is_record(self) -> bool:
        """True for a write of a project's record: an intent, a commit, a withdrawal."""
        return self.method == "PUT" and self.path.endswith("/record.json")


def install(faults: BlobFaults) -> None:
    """Let them strike this process's requests to blobs from now on."""
    dice = random.Random(f"{faults.seed}/blobs")
    original = transport.DeadlineTransport.send
    notes = os.open(faults.note, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    async def send(self: Any, request: Any, **config: Any) -> Any:
        how = _chosen(faults, dice, request)
        if how is None:
            return await original(self, request, **config)
        struck = Struck(time.time(), how, request.method, urlsplit(request.url).path)
        os.write(notes, (json.dumps(asdict(struck)) + "\n").encode())
        if how == "dropped":
            raise ServiceRequestError("The connection was reset before the request was sent.")
        answer = await original(self, request, **config)
        answer.internal_response.close()
        if how == "repeated":
            _rewind(request)
            return await original(self, request, **config)
        raise ServiceResponseError("The connection was reset before the answer came.")

    transport.DeadlineTransport.send = send  # type: ignore[method-assign]


def _chosen(faults: BlobFaults, dice: random.Random, request: Any) -> str | None:
    if not request.url.startswith(faults.endpoint):
        return None
    writes = request.method == "PUT"
    if dice.random() >= (faults.rate if writes else faults.rate / SELDOM):
        return None
    return dice.choice(WRITES if writes else READS)


def _rewind(request: Any) -> None:
    for name in ("data", "body", "_data", "_content"):
        body: Any = getattr(request, name, None)
        if body is not None and hasattr(body, "seek"):
            body.seek(0)


def struck(note: Path) -> Iterator[Struck]:
    """All strikes so far."""
    if note.exists():
        for line in note.read_text("utf-8").splitlines():
            yield Struck(**json.loads(line))


def disturbances(note: Path | None) -> Iterator[Disturbance]:
    """Each strike may have had one export repeated: the step that it failed begins anew."""
    for one in struck(note) if note else ():
        yield Disturbance(one.at, one.at + LASTS, 1)


def figures(note: Path) -> Counter[str]:
    """What was struck, and how much of it was the record being written."""
    found: Counter[str] = Counter()
    for one in struck(note):
        found[f"blob {'write' if one.method == 'PUT' else 'read'} {one.how}"] += 1
        found["of these, writes of a record"] += one.is_record
    return found
