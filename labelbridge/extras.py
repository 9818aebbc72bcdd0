"""What is installed beside the client and the command line: the extras, and how one that is missing is said.

Prevents a traceback that ends in `No module named 'azure.mgmt'`, which tells nobody what to install: where a
part begins that needs an extra, a module that is not there becomes `extra_missing` with the command to run.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum

from labelbridge.errors import LabelbridgeError

_OURS = frozenset({"labelbridge", "workflows", "activities", "workers"})


class Extra(StrEnum):
    """An extra that a part of the product needs, as pip takes it."""

    WORKER = "worker"
    CONSOLE = "console"
    LOCAL = "local"
    TELEMETRY = "telemetry"


@contextmanager
def needs(extra: Extra, what: str) -> Iterator[None]:
    """Run imports that work only with `extra`.

    Args:
        extra: What must be installed.
        what: What needs it, for the message.

    Raises:
        LabelbridgeError: `extra_missing` names the module and gives the command that installs it. A module of
            Labelbridge's own that is missing is a bug and stays a `ModuleNotFoundError`.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        missing = error.name or "?"
        if missing.split(".")[0] in _OURS:
            raise
        raise LabelbridgeError(
            "extra_missing",
            f"{what} needs the extra {extra.value!r}: the module {missing} is not installed.",
            remedy=f"pip install 'labelbridge[{extra.value}]'",
        ) from error
