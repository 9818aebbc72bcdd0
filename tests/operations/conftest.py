"""Rehearsals: projects of their own, with people."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from labelbridge.client import Labelbridge
from labelbridge.local.stack import Stack
from labelbridge.model import ProjectKind
from tests.operations.rehearsal import Rehearsal

NewRehearsal = Callable[..., Rehearsal]


@pytest.fixture
def new_rehearsal(stack: Stack, bridge: Labelbridge, tmp_path: Path) -> Iterator[NewRehearsal]:
    """`new_rehearsal(kind)` makes one; its people go home when the test ends."""
    made: list[Rehearsal] = []

    def make(kind: ProjectKind = ProjectKind.ENTITIES, **sizes: Any) -> Rehearsal:
        made.append(Rehearsal.make(stack, bridge, tmp_path, kind, **sizes))
        return made[-1]

    yield make
    for rehearsal in made:
        rehearsal.labelers.stop()
