"""The typed confirmation of what cannot be undone.

Prevents a connection or a disconnection made by a slip, or by a script that nobody told so: without
a terminal the name must be given with `--confirm`.
"""

import sys

from labelbridge.cli.output import say, stderr
from labelbridge.errors import LabelbridgeError


def confirm_permanent(project: str, given: str | None, *, consequence: str) -> None:
    """Return if the caller gave or typed the project's name, else raise `not_confirmed`.

    Args:
        project: the name that must be typed, exactly.
        given: value of `--confirm`, if it was used; then nothing is asked.
        consequence: one sentence that says what is for ever.
    """
    if given is not None:
        if given != project:
            raise LabelbridgeError(
                "not_confirmed", f"--confirm says {given!r}, but the project is {project!r}."
            )
        return
    if not sys.stdin.isatty():
        raise LabelbridgeError(
            "not_confirmed",
            f"{consequence} There is no terminal to ask on.",
            remedy=f"Give the project's name with `--confirm {project}`.",
        )
    say(consequence)
    stderr().print(f"Type the project's name ({project}) to go on: ", markup=False, end="")
    typed = sys.stdin.readline().rstrip("\n")
    if typed != project:
        raise LabelbridgeError("not_confirmed", f"{typed!r} is not {project!r}. Nothing was done.")
