"""How a command is registered: with its examples, and with `--query` wherever it has `--output`.

Prevents a command that lacks one of them because somebody forgot: no command names either by itself.
"""

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Annotated, Any, TypeVar

import typer

from labelbridge.cli.examples import EXAMPLES
from labelbridge.cli.query import Query, using

F = TypeVar("F", bound=Callable[..., None])


def _read(text: str) -> Query:
    try:
        return Query(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


QueryOption = Annotated[
    Query | None,
    typer.Option(
        "--query",
        metavar="JMESPATH",
        parser=_read,
        help="Print only this of the JSON document, in the form that --output says.",
        show_default=False,
    ),
]


def command(app: typer.Typer, name: str | None = None) -> Callable[[F], F]:
    """Register a function as a command of `app`, by its own name or `name`."""

    def register(function: F) -> F:
        called = name or function.__name__
        path = f"{app.info.name} {called}" if isinstance(app.info.name, str) else called
        epilog = "\n".join(("Examples:", *(f"  $ {line}" for line in EXAMPLES.get(path, ()))))
        app.command(called, epilog=epilog)(_with_query(function))
        return function

    return register


def _with_query(function: Callable[..., None]) -> Callable[..., None]:
    signature = inspect.signature(function)
    if "output" not in signature.parameters:
        return function

    @wraps(function)
    def queried(*, query: Query | None = None, **options: Any) -> None:
        with using(query):
            function(**options)

    parameters = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in signature.parameters.values()]
    option = inspect.Parameter("query", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=QueryOption)
    where = 1 + next(i for i, one in enumerate(parameters) if one.name == "output")
    parameters.insert(where, option)
    vars(queried)["__signature__"] = signature.replace(parameters=parameters)
    queried.__annotations__ = {**function.__annotations__, "query": QueryOption}
    return queried
