"""Names of projects that this person's commands have seen, for completion in the shell.

Prevents a TAB that asks Azure: credentials and a listing take seconds. `status` and `watch` note the names
that they list in the user's cache folder; a name that is missing there is only not completed.
"""

import contextlib
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from labelbridge.model import ProjectRef

RESOURCE = "LABELBRIDGE_LANGUAGE_RESOURCE"


def remember(projects: "Iterable[ProjectRef]") -> None:
    """Note the names of all projects that there are; a folder that cannot be written costs nothing else."""
    names: dict[str, set[str]] = {}
    for project in projects:
        names.setdefault(project.language_resource.casefold(), set()).add(project.name)
    text = json.dumps({resource: sorted(found) for resource, found in sorted(names.items())})
    file = _file()
    with contextlib.suppress(OSError, RuntimeError):
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        partial = file.with_name(f".{file.name}.{os.getpid()}")
        partial.write_text(text, encoding="utf-8")
        partial.replace(file)


def complete(incomplete: str) -> list[str]:
    """The known names that begin so, of the Language resource of the environment if that is known."""
    try:
        names = json.loads(_file().read_text(encoding="utf-8"))
        resource = os.environ.get(RESOURCE, "").rstrip("/").casefold()
        found = names[resource] if resource in names else [name for some in names.values() for name in some]
        return sorted({str(name) for name in found if str(name).startswith(incomplete)})
    except (OSError, RuntimeError, ValueError, AttributeError, TypeError):
        return []  # no file, or one that somebody else wrote


def _file() -> Path:
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path("~/.cache").expanduser()) / "labelbridge" / "projects.json"
