"""The command `completion`: what lets a shell complete commands, options and names of projects."""

import os
from enum import StrEnum
from typing import Annotated

import typer

PROGRAM = "labelbridge"
VARIABLE = f"_{PROGRAM.upper()}_COMPLETE"
"""What a shell sets when it asks for completions; Typer derives it from the program's name."""


class ShellName(StrEnum):
    """Shells that can complete."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


def completion(
    context: typer.Context,
    shell: Annotated[ShellName, typer.Argument(metavar="SHELL", help="bash, zsh or fish.")],
) -> None:
    """Print the script that lets a shell complete commands, options and names of projects.

    Names are those that `status` or `watch` has listed on this machine.
    """
    os.environ[VARIABLE] = f"source_{shell.value}"
    prepare()
    context.find_root().command.main(args=[], prog_name=PROGRAM)


def prepare() -> None:
    """Let Typer answer a shell, if it is one that asks."""
    if VARIABLE in os.environ:
        from typer.completion import get_completion_inspect_parameters

        get_completion_inspect_parameters()  # registers the shells; Typer calls it only with `add_completion`
