"""The fleet by Temporal's visibility: a thousand projects in one answer, none of them asked.

Prevents a list that wakes every project. The answer is a second or so old, so it is good for people and for
finding whom to ask, and nothing is decided by it: an act asks each project again when its turn has come. A
project whose entity is gone with Temporal's database is found again once anything was asked of it.
"""

from collections.abc import AsyncIterator
from datetime import timedelta

from temporalio.client import Client
from temporalio.service import RPCError

from labelbridge import names
from labelbridge.errors import LabelbridgeError
from labelbridge.fleet.facts import facts_of
from labelbridge.fleet.visibility import query_of
from labelbridge.fleet.where import Where, matches
from labelbridge.model import ProjectSummary

CALL_ROWS = 1000
"""Rows of one call: the most that Temporal's server gives by default."""
_PATIENCE = timedelta(seconds=20)


async def pages(
    client: Client, where: Where | None, *, size: int = CALL_ROWS
) -> AsyncIterator[tuple[ProjectSummary, ...]]:
    """The projects that match, in pages, in no particular order; each as its entity last published it.

    Raises:
        LabelbridgeError: `temporal_unreachable`.
    """
    iterator = client.list_workflows(query_of(where), page_size=size, rpc_timeout=_PATIENCE)
    seen: set[str] = set()  # one that changes while it is listed may come twice
    try:
        while iterator.current_page is None or iterator.next_page_token:
            await iterator.fetch_next_page(page_size=size)
            found: list[ProjectSummary] = []
            for execution in iterator.current_page or ():
                one: ProjectSummary | None = await execution.memo_value(
                    names.SUMMARY, None, type_hint=ProjectSummary
                )
                if one is None or one.project.key in seen or not _is_there(one):
                    continue
                if matches(where, facts_of(one)):
                    seen.add(one.project.key)
                    found.append(one)
            yield tuple(found)
    except RPCError as error:
        raise LabelbridgeError("temporal_unreachable", f"The list of projects: {error}") from error


async def listed(client: Client, where: Where | None, limit: int | None = None) -> list[ProjectSummary]:
    """The projects that match, by name; of many only the first `limit` that were found."""
    found: list[ProjectSummary] = []
    async for page in pages(client, where):
        found += page
        if limit is not None and len(found) >= limit:
            del found[limit:]
            break
    return sorted(found, key=lambda one: (one.project.name.casefold(), one.project.key))


def _is_there(one: ProjectSummary) -> bool:
    """False for the entity of a project that does not exist: it was only asked after, and ends by itself."""
    return one.known or one.connected or one.running is not None
