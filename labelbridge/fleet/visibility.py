"""A filter as a query of Temporal's visibility: it may find too many projects, never too few of those it knows.

Prevents two failures: a value that is read as part of the query (each is checked by its field and quoted), and
a project that is left out because visibility cannot say what was asked. Names, epochs and whole ARM ids are no
search attributes, and an entity that an older version ran has not published all: there the query asks for
less, and `where.matches` decides by what the project itself says.
"""

from labelbridge import names
from labelbridge.fleet.facts import short
from labelbridge.fleet.where import All, Any, Compare, Field, Not, Where

ENTITIES = f"WorkflowType = '{names.ENTITY_WORKFLOW}' AND ExecutionStatus = 'Running'"
_ATTRIBUTES = {
    Field.KIND: names.KIND_ATTRIBUTE,
    Field.ACTIVE: names.ACTIVE_ATTRIBUTE,
    Field.STATE: names.STATE_ATTRIBUTE,
    Field.RESOURCE: names.RESOURCE_ATTRIBUTE,
    Field.WORKSPACE: names.WORKSPACE_ATTRIBUTE,
    Field.ATTENTION: names.ATTENTION_ATTRIBUTE,
}
_NAMED = (Field.RESOURCE, Field.WORKSPACE)
"""Fields whose attribute holds only the resource's own name."""


def query_of(where: Where | None) -> str:
    """The query whose answer holds every project that `where` matches."""
    asked = None if where is None else _asked(where, negated=False)
    return ENTITIES if asked is None else f"{ENTITIES} AND {asked}"


def _asked(where: Where, *, negated: bool) -> str | None:
    """`where`, or its negation, as a condition that holds at least where it does; None: everywhere."""
    if isinstance(where, Compare):
        return _compared(where, negated=where.negated is not negated)
    if isinstance(where, Not):
        return _asked(where.inner, negated=not negated)
    parts = [_asked(part, negated=negated) for part in where.parts]
    if isinstance(where, All) is not negated:  # all of them: what cannot be asked for is left out
        return _joined(" AND ", [part for part in parts if part is not None])
    assert isinstance(where, All | Any)
    known = [part for part in parts if part is not None]
    return _joined(" OR ", known) if len(known) == len(parts) else None


def _joined(word: str, parts: list[str]) -> str | None:
    if not parts:
        return None
    return parts[0] if len(parts) == 1 else f"({word.join(parts)})"


def _compared(where: Compare, *, negated: bool) -> str | None:
    attribute = _ATTRIBUTES.get(where.field)
    if attribute is None:
        return None
    values = list(where.values)
    if where.field in _NAMED:
        # Two resources may share a name: that one of them is not meant excludes nothing.
        values = [v for v in values if not v.startswith("/")] if negated else [short(v) for v in values]
    if not values:
        return None
    listed = ", ".join(quoted(value) for value in dict.fromkeys(values))
    word = "NOT IN" if negated else "IN"
    return f"({attribute} {word} ({listed}) OR {attribute} IS NULL)"


def quoted(value: str) -> str:
    """A value as a string of the query. No value of a filter has quotes or backslashes; a newer one might."""
    return "'" + value.replace("\\", "\\\\").replace("'", "''") + "'"
