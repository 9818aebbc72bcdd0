"""A project's `settings`: what is allowed in them, and the gate that they carry.

Prevents a gate that is changed in one place and not in another: PATCH, import, creation and
deletion all go through `change`, which keeps the project row, the studios' log and the stale view
of a following GET in step. `isLabelingLocked` and `amlProjectPath` exist in previews only; what
they do is not published, the local gate is our reading.
"""

import sqlite3
from collections.abc import Mapping
from typing import Any

from labelbridge.local import log
from labelbridge.local.config import Nasty
from labelbridge.local.language_store import Project, save_project

PREVIEW_SETTINGS = ("amlProjectPath", "isLabelingLocked", "runGptPredictions", "gptPredictiveLookahead")
"""Settings that the stable versions do not have."""


def problem(settings: Mapping[str, Any], *, preview: bool) -> str | None:
    """What is wrong with these settings in a request of a preview or stable version, or None.

    Stable versions do not define the preview settings; that they refuse them is our choice.
    """
    for name in PREVIEW_SETTINGS:
        if name in settings and not preview:
            return f"The setting {name} is not available in this api-version."
    threshold = settings.get("confidenceThreshold")
    if threshold is not None and not _is_number(threshold):
        return "The setting confidenceThreshold must be a number from 0 to 1."
    if not isinstance(settings.get("isLabelingLocked", False), bool | None):
        return "The setting isLabelingLocked must be true or false."
    if not isinstance(settings.get("amlProjectPath"), str | None):
        return "The setting amlProjectPath must be a string."
    return None


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1


def visible(settings: Mapping[str, Any], *, preview: bool) -> dict[str, Any]:
    """The settings as a reader of that version sees them."""
    return {name: value for name, value in settings.items() if preview or name not in PREVIEW_SETTINGS}


def locked(settings: Mapping[str, Any]) -> bool:
    """True if the settings lock labeling; absent means unlocked."""
    return bool(settings.get("isLabelingLocked"))


def change(
    db: sqlite3.Connection, nasty: Nasty, old: Project | None, new: Project, *, now: float, by: str
) -> None:
    """Save the project, and move its gate if the settings say so.

    A lock takes effect `gate_takes_effect_after` seconds late, an unlock at once; a GET shows the
    old settings for `stale_reads_for` seconds after either.
    """
    shut = locked(new.settings)
    if old is not None and locked(old.settings) is not shut:
        new.stale_settings = old.settings
        new.stale_until = now + nasty.stale_reads_for
    save_project(db, new)
    after = nasty.gate_takes_effect_after if shut else 0.0
    log.change_gate(db, "language", new.subject, open_=not shut, now=now, by=by, after=after)


def remove(db: sqlite3.Connection, project: Project, *, now: float, by: str) -> None:
    """Close the gate of a project that is deleted, at once."""
    log.change_gate(db, "language", project.subject, open_=False, now=now, by=by)
