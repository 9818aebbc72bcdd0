"""`--query`: a JMESPath expression over the document that `--output json` would print.

Prevents two surprises: an expression that cannot work is refused before the command does anything, and a
query never changes what a command does or how it exits, only what it prints.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from labelbridge.errors import LabelbridgeError

if TYPE_CHECKING:
    from rich.table import Table

_CHOSEN: "ContextVar[Query | None]" = ContextVar("query", default=None)


class Query:
    """One expression, read."""

    def __init__(self, text: str) -> None:
        """Read `text`.

        Raises:
            ValueError: it is no JMESPath, or names a function that JMESPath does not have.
        """
        import jmespath
        from jmespath.exceptions import JMESPathError

        try:
            self._expression = jmespath.compile(text)
        except JMESPathError as error:
            raise ValueError(str(error)) from error
        if unknown := _functions(self._expression.parsed) - _known_functions():
            raise ValueError(f"JMESPath has no function {', '.join(sorted(unknown))}")

    def of(self, document: object) -> object:
        """What the expression finds in `document`.

        Raises:
            LabelbridgeError: `input_invalid` if a function got a value that it cannot take.
        """
        from jmespath.exceptions import JMESPathError

        try:
            return self._expression.search(document)
        except JMESPathError as error:
            raise LabelbridgeError(
                "input_invalid",
                f"--query: {error}",
                remedy="Only the printing failed: the command has done its work. Correct the query.",
            ) from error


def chosen() -> Query | None:
    """The query of the command that runs."""
    return _CHOSEN.get()


@contextmanager
def using(query: Query | None) -> Iterator[None]:
    """Let `query` choose what is printed in this block."""
    token = _CHOSEN.set(query)
    try:
        yield
    finally:
        _CHOSEN.reset(token)


def picture(found: object) -> "Table | str":
    """What a query found, for people: columns for objects, lines for plain values."""
    if found is None:
        return ""
    if isinstance(found, Mapping):
        from labelbridge.cli.present import grid

        return grid([(str(name), line(value)) for name, value in found.items()])
    if not isinstance(found, list):
        return line(found)
    if found and all(isinstance(one, Mapping) for one in found):
        return _columns(found)
    return "\n".join(line(one) for one in found)


def line(found: object) -> str:
    """One value on one line; the parts of a list are separated by tabs, as `cut` and `read` expect."""
    if isinstance(found, str):
        return found
    if isinstance(found, list) and not any(isinstance(one, list | Mapping) for one in found):
        return "\t".join(line(one) for one in found)
    if found is None:
        return ""
    import json

    return json.dumps(found, ensure_ascii=False)


def _columns(rows: Sequence[Mapping[str, object]]) -> "Table":
    from rich.markup import escape

    from labelbridge.cli.present import with_columns

    names = list(dict.fromkeys(name for row in rows for name in row))
    table = with_columns(*map(escape, names))
    for row in rows:
        table.add_row(*(escape(line(row.get(name))) for name in names))
    return table


def _functions(node: Mapping[str, Any]) -> set[str]:
    """Names of the functions that a parsed expression calls."""
    found = {str(node["value"])} if node["type"] == "function_expression" else set()
    for child in node["children"]:
        if isinstance(child, Mapping):
            found |= _functions(child)
    return found


def _known_functions() -> set[str]:
    from jmespath.functions import Functions

    return set(Functions.FUNCTION_TABLE)
