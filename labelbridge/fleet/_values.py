"""What each field of a filter can be, the one form of each value, and when a project has it."""

import re

from labelbridge.fleet.facts import NONE, STATES, UNKNOWN, Facts, short
from labelbridge.model import PROJECT_NAME, ProjectKind, Studio, arm_id, same_resource

_KINDS = {kind.name.casefold().replace("_", "-"): kind.value for kind in ProjectKind}
_KINDS |= {kind.value.casefold(): kind.value for kind in ProjectKind} | {UNKNOWN: UNKNOWN}
_STUDIOS = {studio.value: studio.value for studio in Studio}
_STATES = {state: state for state in STATES}
_RESOURCE_NAME = re.compile(r"[a-z0-9][a-z0-9._\-]{0,79}")
_CODE = re.compile(r"[a-z][a-z0-9_]{0,59}")
_EPOCH = re.compile(r"[0-9]{1,9}")


class ValueRefusedError(ValueError):
    """The field cannot have this value; the text says what it can have."""


def normal(field: str, text: str) -> str:
    """The one form of a value of this field.

    Raises:
        ValueRefusedError: the field can never have it.
    """
    folded = text.casefold()
    if field in _CHOICES:
        choices = _CHOICES[field]
        if folded not in choices:
            raise ValueRefusedError(f"It is one of {', '.join(sorted(choices))}.")
        return choices[folded]
    if field in ("resource", "workspace"):
        return _resource(folded)
    pattern, meaning = _PATTERNS[field]
    value = text if field == "name" else folded
    if not pattern.fullmatch(value):
        raise ValueRefusedError(meaning)
    return str(int(value)) if field == "epoch" else value


def equal(field: str, facts: Facts, value: str) -> bool:
    """True if the project has this value, which `normal` gave."""
    found = getattr(facts, field)
    if field not in ("resource", "workspace"):
        return str(found) == value
    return same_resource(found, value) if value.startswith("/") else short(found) == value


def _resource(folded: str) -> str:
    if not folded.startswith("/"):
        if _RESOURCE_NAME.fullmatch(folded):
            return folded
        raise ValueRefusedError("Give the resource's own name, or its whole ARM id in quotes.")
    try:
        return arm_id(folded)
    except ValueError as error:
        raise ValueRefusedError("Give the whole ARM id, from `/subscriptions/` on.") from error


_CHOICES = {"kind": _KINDS, "active": _STUDIOS, "state": _STATES}
_PATTERNS = {
    "name": (re.compile(PROJECT_NAME.removeprefix("^").removesuffix("$")), "A project's name, exactly."),
    "attention": (_CODE, f"The code of an error, or {NONE}."),
    "epoch": (_EPOCH, "A whole number."),
}
