"""Lists in pages: a cursor names the last item that was given, so that nothing is skipped or given twice.

Prevents pages by number, which shift under a reader while items come and go.
"""

import base64
import binascii
from typing import Annotated, Generic, TypeVar

from fastapi import Query
from pydantic import Field

from labelbridge.errors import LabelbridgeError
from labelbridge.model import Model

T = TypeVar("T")

Cursor = Annotated[
    str | None,
    Query(max_length=2000, description="`next` of the page before; the first page without it."),
]
Limit = Annotated[int, Query(ge=1, le=200, description="Items on a page, at most.")]
PAGE = 50


class Page(Model, Generic[T]):
    """One page of a list."""

    items: tuple[T, ...]
    next: str | None = Field(default=None, description="Cursor of the next page; none on the last.")


def cursor_of(last: str) -> str:
    """The opaque form of an item's name."""
    return base64.urlsafe_b64encode(last.encode()).decode().rstrip("=")


def last_of(cursor: str | None) -> str | None:
    """The name in a cursor; `input_invalid` for what never was one."""
    if cursor is None:
        return None
    try:
        return base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError) as error:
        raise LabelbridgeError("input_invalid", "cursor: this is no cursor of ours.") from error
