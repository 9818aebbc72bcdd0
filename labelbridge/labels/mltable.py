"""The MLTable folder that Azure ML hands back for labels: which JSONL files it points at.

Prevents two failures: labels missed because they stand in the table's second file, and a table that
makes us read a file outside its folder. Source of the form: Azure's MLTable schema (`paths` with
`file`, `folder` or `pattern`, then `transformations`).
"""

from collections.abc import Iterable, Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import yaml

from labelbridge.errors import LabelbridgeError

NAME = "MLTable"
"""Name of the file that makes a folder an MLTable."""
MAX_BYTES = 1 << 20
"""A table's own file is a few lines; more is refused."""


def members(table: bytes, names: Iterable[str], source: str) -> tuple[str, ...]:
    """Files of the folder that a table points at, in the table's order, each once.

    Args:
        table: content of the file `MLTable`.
        names: every file under the folder, relative to it, with `/` between parts.
        source: names the table in errors.

    Raises:
        LabelbridgeError: `input_invalid`: no table, a table that is not of JSON lines, a path that
            leaves the folder, or one that names no file.
    """
    value = _parsed(table, source)
    there = sorted(names)
    found: dict[str, None] = {}
    for kind, path in _paths(value, source):
        matching = [name for name in there if _matches(kind, path, name)]
        if not matching:
            raise _no(source, f"{kind} {path!r} names no file of the folder")
        found.update(dict.fromkeys(matching))
    return tuple(found)


def folder_members(folder: Path) -> tuple[Path, ...]:
    """`members` of a folder on this machine, as paths."""
    root = folder.resolve()
    names = [
        path.relative_to(root).as_posix()
        for path in root.rglob("*")
        if path.is_file() and path.resolve().is_relative_to(root)
    ]
    try:
        with (folder / NAME).open("rb") as file:
            table = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise _no(str(folder), f"its MLTable cannot be read: {error.strerror}") from error
    found = members(table, (name for name in names if name != NAME), str(folder / NAME))
    return tuple([folder / name for name in found])


def _parsed(table: bytes, source: str) -> dict[str, Any]:
    if len(table) > MAX_BYTES:
        raise _no(source, f"more than {MAX_BYTES} bytes")
    try:
        value = yaml.safe_load(table)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise _no(source, f"not YAML: {error}") from error
    if not isinstance(value, dict):
        raise _no(source, "not a mapping")
    steps = value.get("transformations")
    if not isinstance(steps, Sequence) or not any(_reads_json_lines(step) for step in steps):
        raise _no(source, "its transformations have no read_json_lines")
    return value


def _reads_json_lines(step: object) -> bool:
    return step == "read_json_lines" or (isinstance(step, dict) and "read_json_lines" in step)


def _paths(value: dict[str, Any], source: str) -> Iterator[tuple[str, str]]:
    paths = value.get("paths")
    if not isinstance(paths, list) or not paths:
        raise _no(source, "it has no paths")
    for entry in paths:
        if not isinstance(entry, dict) or len(entry) != 1:
            raise _no(source, "a path is one of file, folder and pattern")
        ((kind, path),) = entry.items()
        if kind not in ("file", "folder", "pattern") or not isinstance(path, str):
            raise _no(source, "a path is one of file, folder and pattern")
        parts = [part for part in path.split("/") if part not in ("", ".")]
        if "://" in path or path.startswith("/") or "\\" in path or ".." in parts:
            raise _no(source, f"the path {path!r} leaves the folder")
        yield kind, "/".join(parts)


def _matches(kind: str, path: str, name: str) -> bool:
    if kind == "file":
        return name == path
    if kind == "folder":
        return name.endswith(".jsonl") and (not path or name.startswith(path + "/"))
    return fnmatchcase(name, path)


def _no(source: str, why: str) -> LabelbridgeError:
    return LabelbridgeError("input_invalid", f"{source} is no MLTable of labels: {why}.")
